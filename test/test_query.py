# SPDX-License-Identifier: Apache-2.0
"""Finding texts in an image, in competition with other classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lseg_ros.backends import open_backend
from lseg_ros.core.query import ask, prepare_query
from lseg_ros.core.single_pass import SinglePassSegmenter
from lseg_ros.labels import LabelError, LabelRegistry

IMAGE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


@pytest.fixture
def segmenter(tiny_model):
    return SinglePassSegmenter(tiny_model)


def labels(*names, include_other=True):
    return LabelRegistry(include_other=include_other).replace(names)


def test_relevance_is_the_softmax_against_the_labels_and_other(segmenter):
    (found,) = ask(segmenter, IMAGE, prepare_query(segmenter, ['cat'], labels('floor', 'door')))
    model = segmenter.model
    pixels = torch.from_numpy(IMAGE).permute(2, 0, 1)[None] / 255
    mean, std = (torch.tensor(value)[:, None, None] for value in (model.mean, model.std))
    pixels = torch.nn.functional.pad((pixels - mean) / std, (0, 0, 0, 16))
    logits = model(pixels, model.encode_text(['other', 'floor', 'door', 'cat']))[0]
    expected = (255 * logits.softmax(0)[3, :48]).numpy()
    assert np.abs(found.pixels - expected).max() < 8
    assert np.corrcoef(found.pixels.ravel(), expected.ravel())[0, 1] > 0.99


def test_backend_that_turns_the_embeddings_finds_the_same(segmenter, tiny_model):
    turned = SinglePassSegmenter(tiny_model, backend=open_backend('torch', tiny_model))
    found, again = (
        ask(each, IMAGE, prepare_query(each, ['cat'], labels('floor', 'door')))[0] for each in (segmenter, turned)
    )
    assert np.abs(found.pixels.astype(int) - again.pixels).max() <= 1


def test_class_that_is_asked_for_is_not_its_own_rival(segmenter):
    alone = labels('floor')
    with_itself = labels('floor', 'cat=cat|kitten')
    found, again = (
        ask(segmenter, IMAGE, prepare_query(segmenter, ['cat'], rivals))[0] for rivals in (alone, with_itself)
    )
    assert np.array_equal(found.pixels, again.pixels)


def test_other_is_a_rival_even_where_the_labels_lack_it(segmenter):
    found, again = (
        ask(segmenter, IMAGE, prepare_query(segmenter, ['cat'], rivals))[0]
        for rivals in (labels('floor'), labels('floor', include_other=False))
    )
    assert np.array_equal(found.pixels, again.pixels)


@pytest.mark.parametrize('size', [(48, 64), (1, 1), (1200, 1600)])
def test_peak_is_the_pixel_of_greatest_relevance_in_images_of_any_size(segmenter, size):
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    (found,) = ask(segmenter, image, prepare_query(segmenter, ['cat'], labels('floor')))
    assert found.pixels.shape == size
    assert found.pixels[found.peak_v, found.peak_u] == found.pixels.max()
    assert round(255 * found.peak) == found.pixels.max()


@pytest.mark.parametrize('prompts, reason', [([], 'no prompts'), (['a\x07'], 'U[+]0007')])
def test_unusable_prompts_are_refused(segmenter, prompts, reason):
    with pytest.raises(LabelError, match=reason):
        prepare_query(segmenter, prompts, labels('floor'))
