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
A ROS 2 environment in which lseg_ros is built and run.

A ROS 2 that is sourced is used as it is. Without one, ROS 2 comes from PyPI wheels into a virtual
environment: Kilted into .venv, or with ROS_DISTRO=jazzy Jazzy into .venv-jazzy.

examples:
  python3 -m tools.pypi_ros setup                        set up and build; again: seconds
  python3 -m tools.pypi_ros run python -m pytest     one command inside
  source <(python3 -m tools.pypi_ros env)                this shell, from now on
"""


def main() -> int:
    """Run the command line; return the exit status."""
    arguments = _parser().parse_args()
    try:
        environment = detect()
        if arguments.action == 'setup':
            print(environment.title, flush=True)
            run_steps(installation.steps(environment), environment.venv / '.lseg_ros')
        elif arguments.action == 'env':
            print(_everything(environment))
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
        prog='python3 -m tools.pypi_ros',
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest='action', required=True)
    actions.add_parser('setup', help='create the environment and build lseg_ros in it')
    actions.add_parser('env', help='print the bash lines that enter the environment')
    run = actions.add_parser('run', help='run a command inside the environment')
    run.add_argument('command', nargs=argparse.REMAINDER, help='the command and its arguments')
    return parser


def _run(environment: Environment, command: list[str]) -> None:
    """Replace this process by `command` inside the environment."""
    if not (environment.install / 'local_setup.bash').exists():
        raise ValueError('nothing is set up yet; run `python3 -m tools.pypi_ros setup` first')
    os.execvp('bash', ['bash', '-c', f'{_everything(environment)}\nexec "$@"', 'bash', *command])


def _everything(environment: Environment) -> str:
    """Return the bash lines that enter the environment with lseg_ros in it."""
    return shell_lines(environment, [*environment.underlays, environment.install])


if __name__ == '__main__':
    sys.exit(main())
