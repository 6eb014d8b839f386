# SPDX-License-Identifier: Apache-2.0
"""The small network that learns from a teacher."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from lseg_lab.training.initial_weights import load_imagenet
from lseg_ros.model import LSeg, LSegConfig
from lseg_ros.model.backbones import build_encoder
from lseg_ros.model.decoder import PyramidDecoder
from lseg_ros.model.word_table import WordTable


def build_student(teacher: LSeg, encoder: str, width: int, input_size: int) -> LSeg:
    """Build a network like lseg-lite whose embeddings are compared with the teacher's texts.

    It shares the teacher's text encoder and is on its device. The image encoder `encoder` has its
    ImageNet weights; the decoder, of `width` channels, has random ones. `input_size` is the short
    side in pixels that images are reduced to.
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
    )
    image_encoder = build_encoder(encoder)
    load_imagenet(image_encoder, encoder)
    decoder = PyramidDecoder(image_encoder.channels, width, teacher.text_encoder.dim)
    student = LSeg(config, image_encoder, decoder, teacher.text_encoder)
    return student.to(teacher.device).to(memory_format=torch.channels_last)


def with_words(model: LSeg, prompts: Sequence[str]) -> LSeg:
    """Return `model` with a table of the vectors of `prompts` in place of its text encoder."""
    table = WordTable.of(model.text_encoder, prompts)
    config = dataclasses.replace(model.config, text=table.name)
    return LSeg(config, model.image_encoder, model.decoder, table)
