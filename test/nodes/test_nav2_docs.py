# SPDX-License-Identifier: Apache-2.0
"""The parameters in docs/nav2.md load, and its topics, service and labels are the node's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from harness import output

from lseg_ros.labels import LabelRegistry
from lseg_ros.labels.syntax import parse_label
from lseg_ros.nodes.segmentation.settings import PARAMETERS

PAGE = (Path(__file__).parents[2] / 'docs' / 'nav2.md').read_text(encoding='utf-8')
LAYER = 'semantic_segmentation_layer::SemanticSegmentationLayer'
SOURCE_TOPICS = {
    'segmentation_topic': 'sensor_msgs/msg/Image',
    'confidence_topic': 'sensor_msgs/msg/Image',
    'labels_topic': 'vision_msgs/msg/LabelInfo',
    'pointcloud_topic': 'sensor_msgs/msg/PointCloud2',
}
CLASS_TYPE = {'classes', 'base_cost', 'max_cost', 'mark_confidence', 'samples_to_max_cost', 'dominant_priority'}


def blocks(language: str) -> list[str]:
    found = re.findall(rf'^```{language}\n(.*?)^```$', PAGE, re.MULTILINE | re.DOTALL)
    assert found
    return found


PARAMETER_FILES = [yaml.safe_load(block) for block in blocks('yaml')]
NODES = [content['/**']['ros__parameters'] for content in PARAMETER_FILES if '/**' in content]
COSTMAPS = [
    content['local_costmap']['local_costmap']['ros__parameters']
    for content in PARAMETER_FILES
    if 'local_costmap' in content
]
PAIRS = list(zip(NODES, COSTMAPS, strict=True))


def layers(costmap: dict) -> list[dict]:
    found = [costmap[name] for name in costmap['plugins'] if costmap[name]['plugin'] == LAYER]
    assert found
    return found


def sources(costmap: dict) -> Iterator[dict]:
    for layer in layers(costmap):
        for name in layer['observation_sources'].split():
            yield layer[name]


@pytest.mark.parametrize('costmap', COSTMAPS, ids=['one camera', 'two cameras'])
def test_every_plugin_and_source_is_fully_configured(costmap):
    assert all('plugin' in costmap[name] for name in costmap['plugins'])
    for source in sources(costmap):
        assert SOURCE_TOPICS.keys() <= source.keys()
        for name in source['class_types']:
            kind = source[name]
            assert kind.keys() == CLASS_TYPE and kind['classes']
            assert 1 <= kind['base_cost'] <= kind['max_cost'] <= 254
            assert 0 <= kind['mark_confidence'] <= 255


@pytest.mark.parametrize('node, costmap', PAIRS, ids=['one camera', 'two cameras'])
def test_every_label_has_a_cost_and_every_cost_a_label(node, costmap):
    asked = [parse_label(label)[0] for label in node['labels']]
    for source in sources(costmap):
        costs = [name for kind in source['class_types'] for name in source[kind]['classes']]
        assert sorted(costs) == sorted(asked)


def test_no_block_has_a_yaml_alias_which_ros_refuses():
    for block in blocks('yaml'):
        assert not any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(block))


@pytest.mark.parametrize('node', NODES, ids=['one camera', 'two cameras'])
def test_parameters_of_the_node_exist(node):
    assert node.keys() <= PARAMETERS.keys()


@pytest.mark.slow
@pytest.mark.parametrize('node, costmap', PAIRS, ids=['one camera', 'two cameras'])
def test_node_publishes_the_topics_with_the_types_that_the_layer_reads(start, node, costmap):
    client = start(**node)
    assert client.configure() and client.activate()
    namespace = client.namespace
    published = dict(client.node.get_publisher_names_and_types_by_node('lseg', namespace))
    for source in sources(costmap):
        for parameter, kind in SOURCE_TOPICS.items():
            assert published[namespace + source[parameter]] == [kind]
    assert len(list(sources(costmap))) == len(node.get('cameras', ['']))


def test_label_service_exists_before_the_node_is_configured(start):
    client = start(labels=['floor'])
    assert client.set_labels(['chair']).success
    assert client.state() == 'unconfigured'


def test_behaviour_tree_calls_the_service_with_valid_labels(start):
    root = ElementTree.fromstring(blocks('xml')[0])
    (call,) = root.iter('SetLabels')
    assert call.get('service_name') == '/' + output('set_labels')
    client = start(labels=['floor'])
    assert client.configure()
    labels = call.get('labels').split(';')
    answer = client.set_labels(labels, call.get('mode'))
    assert answer.success, answer.message
    names = set(LabelRegistry().replace(labels).names)
    assert {entry.name for entry in answer.label_set.classes} == names
    costs = {
        name for source in sources(COSTMAPS[0]) for kind in source['class_types'] for name in source[kind]['classes']
    }
    assert names - {'other'} <= costs
