# SPDX-License-Identifier: Apache-2.0
"""A class prior answers words that were never taught, and stays out of training."""

import argparse
import dataclasses
from copy import deepcopy

import pytest
import torch
from skimage import data

from lseg_lab.commands import words as command
from lseg_lab.commands.train_runs import _load_start
from lseg_lab.training import class_words
from lseg_ros.core.single_pass import SinglePassSegmenter
from lseg_ros.labels import LabelRegistry
from lseg_ros.model import LSegConfig, build, load, save

pytestmark = pytest.mark.slow  # the texts of a thousand classes are encoded


@pytest.fixture(scope='module')
def texts(loaded):
    """Return the text vectors of the ImageNet classes, computed once."""
    return class_words.class_texts(loaded)


@pytest.fixture(autouse=True)
def known_texts(texts, monkeypatch):
    monkeypatch.setattr(class_words, 'class_texts', lambda model: texts)


@pytest.fixture(scope='module')
def loaded():
    model = load('lseg-lite')
    class_words.remove_class_prior(model)
    return model


@pytest.fixture
def model(loaded):
    """Return a network without class prior that a test may change."""
    return deepcopy(loaded)


def add_words(source, target, *arguments):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(source), str(target), *arguments]))


def share_of_cat(model):
    labels = LabelRegistry(include_other=False).replace(['cat', 'wall', 'person', 'table', 'cup'])
    segmenter = SinglePassSegmenter(model)
    return (segmenter.segment([data.chelsea()], segmenter.prepare(labels))[0].ids == 1).mean()


def test_text_of_a_class_is_closest_to_its_names(model, texts):
    names = model.encode_text(['tabby cat', 'espresso', 'upright piano', 'palace'])
    best = (names @ texts.T).argmax(1).tolist()
    assert [index in right for index, right in zip(best, ({281, 282}, {967}, {881}, {698}))] == [True] * 4


def test_network_finds_what_only_its_image_encoder_knows(model):
    before = share_of_cat(model)
    class_words.add_class_prior(model, 200)
    assert share_of_cat(model) > before + 0.1


def test_command_writes_a_file_that_computes_the_same_and_removes_it_again(model, tmp_path):
    plain, words, again = (tmp_path / f'{name}.safetensors' for name in ('plain', 'words', 'again'))
    save(model, plain)
    assert add_words(plain, words, '--strength', '150') == 0
    class_words.add_class_prior(model, 150)
    loaded = load(words)
    assert loaded.config == model.config and loaded.config.class_prior == 150
    assert words.stat().st_size < plain.stat().st_size + 3e6
    pixels = model.normalise(torch.from_numpy(data.coffee()[None, :64, :96].copy()))
    torch.testing.assert_close(loaded.encode_image(pixels), model.encode_image(pixels), atol=1e-3, rtol=0)
    assert add_words(words, again, '--strength', '0') == 0
    assert again.read_bytes() == plain.read_bytes()
    with pytest.raises(ValueError, match='already exists'):
        add_words(plain, words)


def test_training_starts_without_the_class_prior(model, tmp_path, capsys):
    class_words.add_class_prior(model, 150)
    save(model, tmp_path / 'words.safetensors')
    start = _load_start(str(tmp_path / 'words.safetensors'), None)
    assert start.config.class_prior == 0
    assert not [key for key in start.state_dict() if 'class_prior' in key]
    assert 'lseg words' in capsys.readouterr().out


def test_tuned_encoder_is_noticed(model):
    assert class_words.has_imagenet_encoder(model)
    model.image_encoder.net.conv_head.weight[0] += 0.1
    assert not class_words.has_imagenet_encoder(model)


def test_networks_without_the_classifier_are_refused(model):
    config = LSegConfig(name='tiny', encoder='resnet101', decoder='dpt', width=16)
    with pytest.raises(ValueError, match='tiny has no ImageNet classifier'):
        class_words.add_class_prior(build(config, device='meta'), 100)
    with pytest.raises(ValueError, match='class_prior 5 needs the decoder pyramid, not dpt'):
        build(dataclasses.replace(config, class_prior=5.0), device='meta')
    with pytest.raises(ValueError, match='class_prior must be within 0'):
        class_words.add_class_prior(model, -1)
