# SPDX-License-Identifier: Apache-2.0
"""Open encoders, whose image and text sides their authors trained: one file a family, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

from lseg_ros.model.lseg import LSegConfig
from lseg_ros.model.parts import TextEncoder
from lseg_ros.model.patch_encoder import PatchEncoderSettings
from lseg_ros.model.projected_clip import ProjectedClip, ProjectedClipSettings
from lseg_ros.model.tips_text import TipsText, TipsTextSettings
from lseg_ros.open_encoders import descriptions

TextSettings = TipsTextSettings | ProjectedClipSettings
_TEXT_KINDS = MappingProxyType({'tips': TipsTextSettings, 'projected-clip': ProjectedClipSettings})


@dataclass(frozen=True)
class PublishedPart:
    """Where the authors publish a part of a network: in which file, under which keys."""

    file: str
    prefix: str = ''


@dataclass(frozen=True)
class OpenNetwork:
    """A network whose image encoder needs no decoder."""

    config: LSegConfig
    description: str
    image: PatchEncoderSettings
    text: TextSettings
    files: Mapping[str, PublishedPart]  # by part: image, text, projection, tokenizer
    known_ids: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # of the tokenizer


@cache
def open_networks() -> Mapping[str, OpenNetwork]:
    """Return the networks in the files of the folder `networks`, by name."""
    return MappingProxyType({name: parse_network(name, entry) for name, entry in descriptions().items()})


def parse_network(name: str, entry: Mapping[str, Any]) -> OpenNetwork:
    """Return the network that an entry of such a file describes.

    Raise KeyError, TypeError or ValueError for a missing or wrong value.
    """
    text = dict(entry['text'])
    kind = _TEXT_KINDS[text.pop('kind')]
    return OpenNetwork(
        # Image and text encoder are known by the name of their network.
        config=LSegConfig(name=name, encoder=name, decoder='none', text=name, **entry['config']),
        description=entry['description'],
        image=PatchEncoderSettings(**entry['image']),
        text=kind(**{**text, 'templates': tuple(text['templates'])}),
        files={part: PublishedPart(**where) for part, where in entry['files'].items()},
        known_ids={words: tuple(ids) for words, ids in entry.get('known_ids', {}).items()},
    )


def build_text(settings: TextSettings) -> TextEncoder:
    """Build a text encoder with random weights."""
    return TipsText(settings) if isinstance(settings, TipsTextSettings) else ProjectedClip(settings)
