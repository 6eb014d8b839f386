# SPDX-License-Identifier: Apache-2.0
"""The command line, ``lseg``: one module for each command.

The package's own commands lie in `lseg_ros.commands`. Other distributions add theirs by entry
points in the group ``lseg_ros.commands``, as the lab does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module, metadata
from types import ModuleType

from lseg_ros import __version__

COMMANDS = ('segment', 'embed', 'info', 'convert')
LAB_COMMANDS = ('evaluate', 'train', 'rooms')
ENTRY_POINTS = 'lseg_ros.commands'

DESCRIPTION = """\
Language-driven semantic segmentation: name what you look for, get a class for every pixel.

  lseg segment photo.jpg --labels "floor, chair=chair|armchair, door"
  lseg info
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (by default the process's) names; return the exit status.

    0 is success, 1 partial failure, 2 a user error, reported in one line, and 130 Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else argv
    modules = dict(_modules())
    if argv and argv[0] in LAB_COMMANDS and argv[0] not in modules:
        print(
            f'lseg: error: {argv[0]} is a command of the lab, which is not installed: run '
            'pip install ./lab in the checkout of lseg_ros',
            file=sys.stderr,
        )
        return 2
    args = _build_parser(modules).parse_args(argv)
    try:
        return args.run(args)
    except (ValueError, OSError) as error:
        print(f'lseg: error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('lseg: interrupted', file=sys.stderr)
        return 130


def _modules() -> Iterator[tuple[str, ModuleType]]:
    """Yield the commands and their modules, which are light: they import torch only when run."""
    for name in COMMANDS:
        yield name, import_module(f'lseg_ros.commands.{name}')
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        try:
            yield entry.name, entry.load()
        except Exception as error:  # a broken add-on must not take the other commands with it
            print(
                f'lseg: warning: command {entry.name} ({entry.value}) cannot be loaded: {error}',
                file=sys.stderr,
            )


def _build_parser(modules: dict[str, ModuleType]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='lseg', description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--version', action='version', version=f'lseg {__version__}')
    commands = parser.add_subparsers(title='commands', metavar='COMMAND', required=True)
    for name, module in modules.items():
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.DESCRIPTION,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


if __name__ == '__main__':
    sys.exit(main())
