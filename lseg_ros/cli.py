# SPDX-License-Identifier: Apache-2.0
"""The command line ``lseg``.

Its own commands are modules in `lseg_ros.commands`, or in `lseg_ros.nodes` if they need ROS. Other
distributions, such as the lab, add theirs with entry points in the group ``lseg_ros.commands``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module, metadata
from operator import attrgetter
from types import ModuleType
from typing import NoReturn

from lseg_ros import __version__
from lseg_ros.error_text import one_line
from lseg_ros.whole_files import is_disk_full

COMMANDS = ('segment', 'embed', 'map', 'view', 'info', 'fetch', 'convert', 'export')
# Loaded only if asked for, as it takes ROS, and time.
ROS_COMMANDS = {'call': 'lseg_ros.nodes.call.command'}
LAB_COMMANDS = ('adapt', 'annotate', 'calibrate', 'evaluate', 'rooms', 'train', 'words')
ENTRY_POINTS = 'lseg_ros.commands'
COMMAND_PARTS = attrgetter('HELP', 'DESCRIPTION', 'add_arguments', 'run')
INSTALL_LAB = 'pip install ./lab in a checkout of lseg_ros'
SOURCE_ROS = 'source a ROS 2 workspace in which lseg_ros is built'

DESCRIPTION = f"""\
Language-driven semantic segmentation: name what to look for, get a class for every pixel.

  lseg segment photo.jpg --labels "floor, chair=chair|armchair, door"
  lseg segment drive.mp4 --labels-file indoor
  lseg info

Run lseg COMMAND --help for more examples.

The commands {', '.join(LAB_COMMANDS)} come with the lab:
{INSTALL_LAB}. The command {', '.join(ROS_COMMANDS)}, which changes the labels
of a running node and more, needs ROS: {SOURCE_ROS}.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (default: of the process) names; return the exit status.

    It is 0 for success, 1 if some inputs failed or the disk is full, 2 for a user error, which is
    reported in one line, and 130 for Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else argv
    try:
        args = _build_parser(_load_modules(argv[0] if argv else '')).parse_args(argv)
        status: int = args.run(args)
        return status
    except (ValueError, OSError) as error:
        print(f'lseg: error: {one_line(error)}', file=sys.stderr)
        return 1 if isinstance(error, OSError) and is_disk_full(error) else 2
    except KeyboardInterrupt:
        print('lseg: interrupted', file=sys.stderr)
        return 130


def _load_modules(command: str) -> dict[str, ModuleType]:
    """Return the modules of all commands; those of add-ons only if `command` is not ours.

    Raise ValueError if `command` belongs to an add-on that is missing or broken.
    """
    modules = {name: import_module(f'lseg_ros.commands.{name}') for name in COMMANDS}
    if command in ROS_COMMANDS:
        modules[command] = _load_ros_command(command)
    if command in modules:
        return modules
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        try:
            module = entry.load()
            COMMAND_PARTS(module)  # raises AttributeError if one is missing
            modules.setdefault(entry.name, module)
        except Exception as error:  # a broken add-on must not break the other commands
            problem = f'command {entry.name} ({entry.value}) cannot be loaded: {one_line(error)}'
            if entry.name == command:
                raise ValueError(problem) from error
            print(f'lseg: warning: {problem}', file=sys.stderr)
    if command in LAB_COMMANDS and command not in modules:
        raise ValueError(f'{command} needs the lab, which is not installed: {INSTALL_LAB}')
    return modules


def _load_ros_command(command: str) -> ModuleType:
    """Return the module of a command that needs ROS; raise ValueError if there is no ROS."""
    try:
        return import_module(ROS_COMMANDS[command])
    except ImportError as error:
        raise ValueError(f'{command} needs ROS ({one_line(error)}): {SOURCE_ROS}') from error


class _Parser(argparse.ArgumentParser):
    """Reports a wrong argument in one line, without the usage of all options."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f'{self.prog}: error: {one_line(ValueError(message))}\n')


def _build_parser(modules: dict[str, ModuleType]) -> argparse.ArgumentParser:
    parser = _Parser(prog='lseg', description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--version', action='version', version=f'lseg {__version__}')
    commands = parser.add_subparsers(title='commands', metavar='COMMAND', required=True)
    for name, module in modules.items():
        command = commands.add_parser(
            name, help=module.HELP, description=module.DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return parser


if __name__ == '__main__':
    sys.exit(main())
