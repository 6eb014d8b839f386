# SPDX-License-Identifier: Apache-2.0
"""The node with an open encoder, which has no decoder and a tokenizer in its weights."""

from __future__ import annotations

import tiny_tips
from harness import PICTURE, ids_of
from std_msgs.msg import Header

from lseg_ros.nodes.conversions import array_to_image


def test_the_node_streams_changes_labels_and_answers(active, tmp_path, monkeypatch):
    tiny_tips.make_known(monkeypatch)
    weights = tiny_tips.convert(tiny_tips.write_published(tmp_path), tmp_path / 'tiny-tips.safetensors')
    client = active(model=str(weights), labels=['floor', 'wall'])
    answer = client.set_labels(['chair', 'table=table|desk'], mode='add')
    assert answer.success, answer.message
    client.segment_frame()
    client.assert_ids_are_in_their_tables()
    image = array_to_image(PICTURE, 'rgb8', Header())
    single = client.segment(image, ['lamp', 'door'])
    assert single.success and ids_of(single.label_image).shape == PICTURE.shape[:2]
    found = client.query(['a red chair'])
    assert found.success, found.message
