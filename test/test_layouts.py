# SPDX-License-Identifier: Apache-2.0
"""The layouts of RViz and Foxglove: what they show, and that all they refer to is there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from lseg_ros.labels.syntax import parse_label

CONFIG = Path(__file__).parents[1] / 'config'
RVIZ = yaml.safe_load((CONFIG / 'lseg.rviz').read_text())
DISPLAYS = {display['Name']: display for display in RVIZ['Visualization Manager']['Displays']}
WINDOW = RVIZ['Window Geometry']
FOXGLOVE = json.loads((CONFIG / 'lseg_foxglove.json').read_text())
PANELS = FOXGLOVE['configById']
TOPICS = (CONFIG.parent / 'docs' / 'topics.md').read_text()


def dock_names(state: str) -> set[str]:
    """Return the names in a window state of Qt: UTF-16 strings after their length in bytes."""
    data = bytes.fromhex(state)
    starts = [match.end() for match in re.finditer(rb'\xfb(?=\0\0\0)', data)]
    lengths = [int.from_bytes(data[start : start + 4], 'big') for start in starts]
    return {data[start + 4 : start + 4 + length].decode('utf-16-be') for start, length in zip(starts, lengths)}


def test_rviz_shows_camera_overlay_objects_and_points_in_the_colours_of_their_classes():
    assert {name: display['Topic']['Value'] for name, display in DISPLAYS.items()} == {
        'Camera': '/image',
        'Overlay': '/lseg/overlay',
        'Labelled points': '/lseg/points',
        'Objects in the map': '/lseg_map/object_markers',
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


def panels_of(node: str | dict) -> list[str]:
    """Return the panels in a part of a layout of Foxglove."""
    return [node] if isinstance(node, str) else panels_of(node['first']) + panels_of(node['second'])


def test_foxglove_shows_each_panel_once():
    assert sorted(panels_of(FOXGLOVE['layout'])) == sorted(PANELS)
    assert {name.split('!')[0] for name in PANELS} == {'Image', '3D', 'Table', 'CallService'}


def test_foxglove_shows_topics_that_the_node_or_the_script_publishes():
    (script,) = FOXGLOVE['userNodes'].values()
    made = re.search(r'output = "(.+)"', script['sourceCode'])[1]
    images = {PANELS[name]['imageMode']['imageTopic'] for name in PANELS if name.startswith('Image!')}
    assert images == {'/lseg/overlay', made}
    read = re.findall(r'"(/lseg/\w+)"', re.search(r'inputs = .+', script['sourceCode'])[0])
    assert read == ['/lseg/label_image', '/lseg/label_set']
    shown = ['/lseg/overlay', *read, *PANELS['3D!points']['topics'], PANELS['Table!legend']['topicPath'].split('.')[0]]
    for topic in shown:
        assert f'| `~/{topic.removeprefix("/lseg/")}` |' in TOPICS


def test_foxglove_calls_set_labels_with_a_request_that_is_one():
    call = PANELS['CallService!labels']
    request = json.loads(call['requestPayload'])
    assert call['serviceName'] == '/lseg/set_labels' and '`~/set_labels`' in TOPICS
    assert set(request) == {'labels', 'mode'}
    assert all(map(parse_label, request['labels']))
