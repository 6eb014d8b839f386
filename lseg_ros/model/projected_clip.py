# SPDX-License-Identifier: Apache-2.0
"""The text encoder of Talk2DINO: CLIP's, and a projection into DINOv2's space.

Barsellotti et al., *Talking to DINO* (2025, arXiv 2411.19331).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lseg_ros.model.clip import CLIP_TEXT, ClipText
from lseg_ros.model.parts import TextEncoder
from lseg_ros.model.templates import check_templates, encode_templates


@dataclass(frozen=True)
class ProjectedClipSettings:
    """Which of CLIP's text encoders, the size of the projection, and the templates."""

    dim: int
    clip: str  # of CLIP_TEXT
    templates: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raise ValueError for unusable templates."""
        check_templates(self.templates)


class ProjectedClip(TextEncoder):
    """CLIP's text encoder, then two linear layers with a tanh between them.

    A prompt is put into each template; CLIP's vectors, not scaled, are averaged and projected.
    """

    has_own_file = False

    def __init__(self, settings: ProjectedClipSettings) -> None:
        """Build the network with random weights."""
        super().__init__()
        self.dim = settings.dim
        self.templates = settings.templates
        self.clip = ClipText(CLIP_TEXT[settings.clip])
        self.hidden = nn.Linear(self.clip.dim, self.dim)
        self.output = nn.Linear(self.dim, self.dim)

    def project(self, vectors: Tensor) -> Tensor:
        """Return unit rows [N, D] for CLIP's vectors [N, d], which are not scaled."""
        return F.normalize(self.output(self.hidden(vectors).tanh()), dim=1)

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Return unit rows [N, D] on the encoder's device; raise as `ClipText.tokenize` does."""
        # The cache must not keep vectors in the lower precision of a caller's autocast.
        with torch.autocast(self.output.weight.device.type, enabled=False):
            return self.project(encode_templates(self.clip.encode_raw, prompts, self.templates))
