# SPDX-License-Identifier: Apache-2.0
"""The layouts for viewers: what they show, and that a viewer finds every part of them."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

CONFIG = Path(__file__).parents[1] / 'config'
RVIZ = yaml.safe_load((CONFIG / 'lseg.rviz').read_text())
DISPLAYS = {display['Name']: display for display in RVIZ['Visualization Manager']['Displays']}
WINDOW = RVIZ['Window Geometry']


def dock_names(state: str) -> set[str]:
    """Return the names in a window state of Qt: UTF-16 strings after their length in bytes."""
    data = bytes.fromhex(state)
    starts = [match.end() for match in re.finditer(rb'\xfb(?=\0\0\0)', data)]
    lengths = [int.from_bytes(data[start : start + 4], 'big') for start in starts]
    return {data[start + 4 : start + 4 + length].decode('utf-16-be') for start, length in zip(starts, lengths)}


def test_rviz_shows_the_camera_the_overlay_and_the_points_in_the_colours_of_their_classes():
    assert {name: display['Topic']['Value'] for name, display in DISPLAYS.items()} == {
        'Camera': '/image',
        'Overlay': '/lseg/overlay',
        'Labelled points': '/lseg/points',
    }
    assert DISPLAYS['Labelled points']['Color Transformer'] == 'RGB8'


def test_rviz_finds_a_value_for_everything_that_it_reads_without_a_default():
    assert (WINDOW['Hide Left Dock'], WINDOW['Hide Right Dock']) == (False, False)
    assert isinstance(WINDOW['QMainWindow State'], str)


def test_rviz_finds_the_place_of_every_dock():
    images = {name for name, display in DISPLAYS.items() if display['Class'].endswith('/Image')}
    docks = images | {panel['Name'] for panel in RVIZ['Panels']}
    assert dock_names(WINDOW['QMainWindow State']) == docks
    assert docks == {name for name, value in WINDOW.items() if isinstance(value, dict)}
