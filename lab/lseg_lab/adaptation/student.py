# SPDX-License-Identifier: Apache-2.0
"""The small network that learns from a teacher."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import nn

from lseg_lab.training.initial_weights import imagenet_weights, load_imagenet
from lseg_ros.model import LSeg, LSegConfig
from lseg_ros.model.backbones import build_encoder
from lseg_ros.model.decoder import PyramidDecoder
from lseg_ros.model.word_table import WordTable

# Of the class prior, whose output it scales: that of lseg-lite.
PRIOR_STRENGTH = 150.0


def build_student(teacher: LSeg, encoder: str, width: int, input_size: int) -> LSeg:
    """Build a network like lseg-lite whose embeddings are compared with the teacher's texts.

    It shares the teacher's text encoder and is on its device. The image encoder `encoder` has its
    ImageNet weights, classifier included; the decoder, of `width` channels, has random ones. It is
    to learn what each ImageNet class adds to the embedding, which is nothing at first. `input_size`
    is the short side in pixels that images are reduced to.
    Raise ModuleNotFoundError if the ImageNet weights are not installed.
    """
    config = LSegConfig(
        name=f'{teacher.name}-adapted',
        encoder=encoder,
        decoder='pyramid',
        width=width,
        text=teacher.config.text,
        temperature=teacher.config.temperature,
        calibration=teacher.config.calibration,
        input_size=input_size,
        class_prior=PRIOR_STRENGTH,
    )
    image_encoder = build_encoder(encoder)
    load_imagenet(image_encoder, encoder)
    decoder = PyramidDecoder(image_encoder.channels, width, teacher.text_encoder.dim, dropout=0.0)
    _add_class_prior(decoder, encoder)
    student = LSeg(config, image_encoder, decoder, teacher.text_encoder)
    return student.to(teacher.device).to(memory_format=torch.channels_last)


def _add_class_prior(decoder: PyramidDecoder, encoder: str) -> None:
    """Give the decoder the encoder's ImageNet classifier, with vectors of length 0."""
    prior, weights = decoder.add_class_prior(PRIOR_STRENGTH), imagenet_weights(encoder)
    classifier = {'weight': weights['classifier.weight'][:, :, None, None], 'bias': weights['classifier.bias']}
    prior.classifier.load_state_dict(classifier)
    nn.init.zeros_(prior.vectors.weight)


def with_words(model: LSeg, prompts: Sequence[str]) -> LSeg:
    """Return `model` with a table of the vectors of `prompts` in place of its text encoder."""
    table = WordTable.of(model.text_encoder, prompts)
    config = dataclasses.replace(model.config, text=table.name)
    return LSeg(config, model.image_encoder, model.decoder, table)
