# SPDX-License-Identifier: Apache-2.0
"""Every command refuses a number out of range in one line with option, value and range."""

from __future__ import annotations

import argparse
from importlib import metadata

import pytest

from lseg_ros import cli
from lseg_ros.number_options import NumberType

# command, option: a value just out of range, and the range as users read it
REFUSED = """
segment --threshold: 1.01 a number from 0 to 1
view --points-stride: 65 a whole number from 1 to 64
map --minimum-score: -0.1 a number from 0 to 1
map --top-k: 21 a whole number from 1 to 20
map --approach-distance: 0 a number from 0.05 to 100.0
map --robot-radius: -0.1 a number from 0.0 to 10.0
map --floor-height: nan a number from -1000.0 to 1000.0
map --voxel-size: 0 a number from 0.005 to 1.0
map --max-depth: 0.2 a number above 0.2 and at most 100.0
call query_map --top-k: 0 a whole number from 1 to 20
call query_map --minimum-score: 1.1 a number from 0 to 1
call state --timeout: 0 a number above 0 and at most 86400
train --crop: 0 a whole number of at least 1
train --zoom: 0 a number above 0
train --coarse: 1.1 a number from 0 to 1
train --photograph-share: 1 a number above 0 and below 1
train --balance: -0.1 a number from 0 to 1
train --recolour: 1.1 a number from 0 to 1
train --class-weighting: -1 a number of at least 0
train --base: 1 a whole number of at least 2
train --steps: 0 a whole number of at least 1
train --epochs: 1.5 a whole number of at least 1
train --batch: 0 a whole number of at least 1
train --accumulate: 0 a whole number of at least 1
train --learning-rate: 0 a number above 0
train --encoder-learning-rate: -1 a number of at least 0
train --keep-classes: -1 a number of at least 0
train --decoder-factor: -1 a number of at least 0
train --momentum: 1 a number of at least 0 and below 1
train --weight-decay: -1 a number of at least 0
train --power: inf a number of at least 0
train --warm-up: 0 a whole number of at least 1
train --average-decay: 1 a number of at least 0 and below 1
train --style-probability: 1.1 a number from 0 to 1
train --style-strength: -1 a number of at least 0
train --level-dropout: 1.1 a number from 0 to 1
train --workers: -1 a whole number of at least 0
train --seed: -1 a whole number from 0 to 4294967295
train --stop-after: 0 a whole number of at least 1
train --every: 0 a whole number of at least 1
train --width: 1025 a whole number from 1 to 1024
train --input-size: 0 a whole number from 1 to 8192
adapt --frames: 0 a whole number of at least 1
adapt --views: 0 a whole number of at least 1
adapt --mask-share: 1 a number above 0 and below 1
adapt --floor-height: low a number from -1000.0 to 1000.0
adapt --width: 0 a whole number from 1 to 1024
adapt --input-size: 31 a whole number from 32 to 8192
adapt --steps: 0 a whole number of at least 1
adapt --batch: 0 a whole number of at least 1
adapt --learning-rate: 0 a number above 0
adapt --encoder-learning-rate: -1 a number of at least 0
adapt --every: 0 a whole number of at least 1
adapt --workers: -1 a whole number of at least 0
adapt --seed: 4294967296 a whole number from 0 to 4294967295
adapt --crop: 0 a whole number of at least 1
annotate show --snap: -1 a whole number from 0 to 100
annotate masks --snap: 101 a whole number from 0 to 100
calibrate --input-size: -1 a whole number from 0 to 8192
evaluate --limit: 0 a whole number of at least 1
evaluate --input-size: 8193 a whole number from 0 to 8192
evaluate --middle: 0 a number above 0 and at most 1
evaluate --batch: 0 a whole number of at least 1
rooms --rooms: 0 a whole number of at least 1
rooms --views: 0 a whole number of at least 1
rooms --seed: -1 a whole number from 0 to 4294967295
rooms --processes: 0 a whole number of at least 1
words --strength: 10001 a number from 0 to 10000
"""
CASES = [line.partition(': ') for line in REFUSED.strip().splitlines()]


def need(command):
    if command in cli.LAB_COMMANDS and command not in metadata.entry_points(group=cli.ENTRY_POINTS).names:
        pytest.skip('needs the lab: pip install ./lab')
    if command in cli.ROS_COMMANDS:
        pytest.importorskip('lseg_ros.msg', reason='needs ROS')


@pytest.mark.parametrize('place, value, allowed', [(place, *rest.split(' ', 1)) for place, _, rest in CASES])
def test_number_out_of_range_is_refused_in_one_line(capsys, place, value, allowed):
    *command, option = place.split()
    need(command[0])
    with pytest.raises(SystemExit) as stop:
        cli.main([*command, option, value, value])  # twice, for options that take two
    assert stop.value.code == 2
    program = ' '.join(['lseg', *command])
    assert capsys.readouterr().err == f'{program}: error: argument {option}: {value!r} is not {allowed}\n'


def parsers(parser, place):
    """Yield (command and call, parser), innermost ones only."""
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for action in inner:
        for name, each in action.choices.items():
            yield from parsers(each, [*place, name])
    if not inner:
        yield place, parser


@pytest.mark.parametrize('command', [*cli.COMMANDS, *cli.ROS_COMMANDS, *cli.LAB_COMMANDS])
def test_every_number_has_a_range_that_is_tested(command):
    need(command)
    parser = argparse.ArgumentParser()
    cli._load_modules(command)[command].add_arguments(parser)
    for place, each in parsers(parser, [command]):
        for action in each._actions:
            assert action.type not in (int, float) or action.choices, f'{action.option_strings} has no range'
            if isinstance(action.type, NumberType) and '--timeout' not in action.option_strings:  # which all calls have
                assert f'\n{" ".join(place)} {action.option_strings[0]}: ' in REFUSED
