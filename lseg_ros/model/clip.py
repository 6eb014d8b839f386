# SPDX-License-Identifier: Apache-2.0
"""CLIP's text tower, which the published LSeg networks were trained with.

open_clip is imported where it is used: it takes seconds, and lseg-lite does without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class ClipTextSettings:
    """The sizes of a text tower of CLIP."""

    width: int
    layers: int
    dim: int  # of the vectors that it gives
    open_clip_name: str


# The name in a model's configuration -> the tower.
CLIP_TEXT = MappingProxyType(
    {
        'clip-vit-b-32': ClipTextSettings(
            width=512, layers=12, dim=512, open_clip_name='ViT-B-32-quickgelu'
        )
    }
)


class ClipText(nn.Module):
    """The text tower of CLIP (Radford et al., 2021), by open_clip, with its quick GELU.

    A prompt is used as it is: no template. It may have 75 tokens beside those that mark its
    start and its end.
    """

    max_tokens = 77
    head_width = 64
    has_own_file = False  # the published checkpoints hold it

    def __init__(self, settings: ClipTextSettings) -> None:
        """Build the tower with random weights."""
        from open_clip.tokenizer import SimpleTokenizer
        from open_clip.transformer import QuickGELU, TextTransformer

        super().__init__()
        self.dim = settings.dim
        self.tokenizer = SimpleTokenizer()
        self.net = TextTransformer(
            width=settings.width,
            heads=settings.width // self.head_width,
            layers=settings.layers,
            output_dim=settings.dim,
            act_layer=QuickGELU,
        )
        # Not among the weights in a file: real even where the rest is built without memory.
        with torch.device('cpu'):
            self.net.attn_mask = self.net.build_causal_mask()

    def tokenize(self, prompts: Sequence[str]) -> Tensor:
        """Return token ids [N, 77], zero after the end.

        Raises ValueError, naming it, for a prompt of more than 77 tokens.
        """
        tokens = torch.zeros(len(prompts), self.max_tokens, dtype=torch.long)
        start, end = self.tokenizer.all_special_ids[:2]
        for row, prompt in zip(tokens, prompts):
            ids = [start, *self.tokenizer.encode(prompt), end]
            if len(ids) > self.max_tokens:
                raise ValueError(
                    f'the prompt {_shorten(prompt)!r} has {len(ids)} tokens, CLIP takes at '
                    f'most {self.max_tokens} with start and end: shorten it'
                )
            row[: len(ids)] = torch.tensor(ids)
        return tokens

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Tokenise and encode `prompts`; unit rows [N, dim] on the tower's device.

        Raises ValueError for a prompt that is too long.
        """
        tokens = self.tokenize(prompts).to(self.net.text_projection.device)
        # A caller's autocast must not leave coarser vectors in the cache.
        with torch.autocast(tokens.device.type, enabled=False):
            return F.normalize(self.net(tokens), dim=1)


def load_clip_text(name: str, path: str | Path | None = None) -> ClipText:
    """Load the tower `name` of CLIP_TEXT with OpenAI's weights, frozen: where training starts.

    open_clip reads them from `path`, a file of the whole CLIP such as OpenAI's ViT-B-32.pt, or
    downloads them where none is given. Raises FileNotFoundError, saying what is missing.
    """
    import open_clip

    if path and not Path(path).is_file():
        raise FileNotFoundError(
            f"text model {path} is not a file: give that of OpenAI's CLIP "
            '(ViT-B-32.pt), or none to download it'
        )
    settings = CLIP_TEXT[name]
    try:
        source = open_clip.create_model(
            settings.open_clip_name, pretrained=str(path or 'openai'), device='cpu'
        )
    except Exception as error:  # of the hub, the network, the file: open_clip lets all through
        raise FileNotFoundError(
            f'no weights for the text encoder {name}: {_first_line(error)}; give the file of '
            "OpenAI's CLIP (ViT-B-32.pt), or start from a checkpoint, which holds them"
        ) from error
    tower = ClipText(settings)
    given = source.state_dict()
    tower.net.load_state_dict({key: given[key].float() for key in tower.net.state_dict()})
    return tower.eval().requires_grad_(False)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _shorten(text: str, length: int = 60) -> str:
    return text if len(text) <= length else f'{text[:length]}...'
