# SPDX-License-Identifier: Apache-2.0
"""Command line: `python3 -m tools.pypi_ros setup | run | env`, from the root of the checkout."""

from __future__ import annotations

import argparse
import os
import sys

from . import installation
from .environment import Environment, detect, shell_lines
from .steps import StepError, run_steps

DESCRIPTION = """\
Set up a ROS 2 environment, build lseg_ros in it and run commands there.

A sourced ROS 2 is used as it is. Otherwise ROS 2 is installed from PyPI wheels into a virtual
environment: Jazzy into .venv, or with ROS_DISTRO=kilted, Kilted into .venv-kilted.

examples:
  python3 -m tools.pypi_ros setup                  set up and build; seconds when up to date
  python3 -m tools.pypi_ros run python -m pytest   run one command in the environment
  source <(python3 -m tools.pypi_ros env)          enter the environment in this shell
"""


def main() -> int:
    """Run the command line; return the exit status."""
    arguments = _parser().parse_args()
    try:
        environment = detect()
        if arguments.action == 'setup':
            print(environment.title, flush=True)
            run_steps(installation.steps(environment), environment.stamps)
        elif arguments.action == 'env':
            print(_entered(environment))
        else:
            _run(environment, arguments.command)
    except (ValueError, StepError) as error:
        print(f'\nlseg_ros set-up: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python3 -m tools.pypi_ros', description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest='action', required=True)
    actions.add_parser('setup', help='create the environment and build lseg_ros in it')
    actions.add_parser('env', help='print the bash lines that enter the environment')
    run = actions.add_parser('run', help='run a command inside the environment')
    run.add_argument('command', nargs=argparse.REMAINDER, help='the command and its arguments')
    return parser


def _run(environment: Environment, command: list[str]) -> None:
    """Replace this process by `command` inside the environment."""
    os.execvp('bash', ['bash', '-c', f'{_entered(environment)}\nexec "$@"', 'bash', *command])


def _entered(environment: Environment) -> str:
    """Return the bash lines that enter the environment, lseg_ros included.

    Raise ValueError if lseg_ros has not been built.
    """
    if not (environment.install / 'local_setup.bash').exists():
        raise ValueError(f'{environment.title} is not set up yet; run `make setup` first.')
    return shell_lines(environment, [*environment.underlays, environment.install])


if __name__ == '__main__':
    sys.exit(main())
