# SPDX-License-Identifier: Apache-2.0
"""Embeddings on a topic, and texts that may be compared with them, over real messages."""

from __future__ import annotations

import numpy as np
import pytest
from harness import PICTURE, stamp_of

from lseg_ros.labels.registry import MAX_PROMPTS
from lseg_ros.msg import Embedding
from lseg_ros.srv import EncodeText

LABELS = ['floor', 'door']


def vectors_of(message):
    """Return the vectors, float16 [height, width, dim]."""
    return np.frombuffer(message.data, '<f2').reshape(message.height, message.width, message.dim)


def encode(client, prompts):
    service = client.node.create_client(EncodeText, 'lseg/encode_text')
    assert service.wait_for_service(30.0)
    return service.call(EncodeText.Request(prompts=prompts), 30.0)


@pytest.fixture
def client(active):
    """A client that also receives embeddings."""
    client = active(labels=LABELS, embedding_stride=2)
    client.listen('lseg/embedding', Embedding)
    client.wait_for_links('lseg/embedding')
    client.poll(lambda: client.segment_frame() and client.received['lseg/embedding'], 'an embedding')
    return client


def test_embedding_and_encoded_labels_give_the_ids_of_the_label_image(client):
    embedding = client.received['lseg/embedding'][-1]
    label_image = client.wait_for_header('lseg/label_image', embedding.header)
    assert (embedding.image_height, embedding.image_width) == PICTURE.shape[:2]
    assert (embedding.height, embedding.width) == (6, 8)  # a cell is 4 pixels, of which each second one
    answer = encode(client, ['other', *LABELS])
    assert answer.success, answer.message
    assert (answer.model, answer.dim) == (embedding.model, embedding.dim)
    assert answer.logit_scale > 1
    vectors = vectors_of(embedding).astype(np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=2), 1, atol=1e-2)
    winners = (vectors @ np.array(answer.rows, np.float32).reshape(3, answer.dim).T).argmax(2)
    rows = np.rint(embedding.first_y + embedding.step_y * np.arange(embedding.height)).astype(int)
    columns = np.rint(embedding.first_x + embedding.step_x * np.arange(embedding.width)).astype(int)
    ids = np.frombuffer(label_image.data, np.uint8).reshape(PICTURE.shape[:2])[rows[:, None], columns]
    assert (winners == ids).mean() > 0.9  # places between pixels may differ
    colors = np.frombuffer(embedding.colors, np.uint8).reshape(*ids.shape, 3)
    assert np.array_equal(colors, PICTURE[rows[:, None], columns])


@pytest.mark.slow
def test_stride_changes_at_once(client):
    assert client.set_parameter('embedding_stride', 4).successful
    stamp = stamp_of(client.segment_frame())
    changed = client.wait_for(
        lambda: next((each for each in client.received['lseg/embedding'] if stamp_of(each) >= stamp), None),
        'an embedding after the change',
    )
    assert (changed.height, changed.width) == (3, 4)


@pytest.mark.slow
def test_texts_that_cannot_be_encoded_are_refused_with_the_reason(start):
    client = start(labels=LABELS)
    assert 'configure the node first' in encode(client, ['cat']).message
    assert client.configure()
    for prompts, reason in (([], '0 prompts'), (['cat', ' '], "' ' is empty"), (['a'] * (MAX_PROMPTS + 1), '2049')):
        answer = encode(client, prompts)
        assert not answer.success
        assert reason in answer.message
    assert len(encode(client, ['cat', 'dog']).rows) == 2 * encode(client, ['cat']).dim
