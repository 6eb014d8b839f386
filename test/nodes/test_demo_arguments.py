# SPDX-License-Identifier: Apache-2.0
"""The demo's programs name what is wrong with an argument; none gives a traceback."""

from __future__ import annotations

import pytest

import drive_player
import map_player
import scene_client

REQUESTS = '[["two", ["floor", "wall"]]]'


@pytest.mark.parametrize(
    'program, arguments, reason',
    [
        (drive_player, ['--output', 'out', '--rate', '0'], "argument --rate: '0' is not a number above 0"),
        (drive_player, ['--output', 'out', '--rate', 'fast'], "'fast' is not a number above 0"),
        (drive_player, ['--output', 'out', '--speed', '2'], 'unrecognized arguments: --speed 2'),
        (drive_player, [], 'required: --output'),
        (map_player, ['--output', 'out', '--rate', '-1'], "'-1' is not a number above 0"),
        (scene_client, ['--output', 'out', '--requests', 'floor'], "argument --requests: 'floor' is not JSON like [["),
        (scene_client, ['--output', 'out', '--requests', '[["two", "floor"]]'], 'is not JSON like'),
        (scene_client, ['--output', 'out', '--requests', '[]'], 'is not JSON like'),
        (scene_client, ['--output', 'out', '--requests', REQUESTS, '--frames', '0'], "'0' is not a whole number"),
        (scene_client, ['--output', 'out', '--requests', REQUESTS, '--ros-args', '-p', 'x'], None),
    ],
)
def test_broken_argument_is_named(monkeypatch, capsys, program, arguments, reason):
    monkeypatch.setattr('sys.argv', [program.__name__, *arguments])
    if reason is None:  # refused by ROS, in words of its own
        assert program.main() == 1
        reason = 'demo client: '
    else:
        with pytest.raises(SystemExit) as end:
            program.main()
        assert end.value.code == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert reason in line and 'Traceback' not in line
