# SPDX-License-Identifier: Apache-2.0
"""The command line, ``lseg``: one module of `lseg_ros.commands` for each command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from lseg_ros import __version__

COMMANDS = ('segment', 'embed', 'bag', 'info', 'convert', 'evaluate', 'train', 'rooms')

DESCRIPTION = """\
Language-driven semantic segmentation: name what you look for, get a class for every pixel.

  lseg segment photo.jpg --labels "floor, chair=chair|armchair, door"
  lseg info
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (by default the process's) names; return the exit status.

    0 is success, 1 partial failure, 2 an error of the user's, told in one line, and 130 Ctrl-C.
    """
    args = _build_parser().parse_args(argv)
    try:
        return args.run(args)
    except (ValueError, OSError) as error:
        print(f'lseg: error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('lseg: interrupted', file=sys.stderr)
        return 130


def _build_parser() -> argparse.ArgumentParser:
    """Register the commands; their modules are light, they import torch only when run."""
    parser = argparse.ArgumentParser(prog='lseg', description=DESCRIPTION,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--version', action='version', version=f'lseg {__version__}')
    commands = parser.add_subparsers(title='commands', metavar='COMMAND', required=True)
    for name in COMMANDS:
        module = import_module(f'lseg_ros.commands.{name}')
        command = commands.add_parser(name, help=module.HELP, description=module.DESCRIPTION,
                                      formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


if __name__ == '__main__':
    sys.exit(main())
