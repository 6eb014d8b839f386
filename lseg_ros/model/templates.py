# SPDX-License-Identifier: Apache-2.0
"""Prompts put into several templates, whose vectors are averaged (Radford et al., 2021)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

SEQUENCES = 128  # encoded together; this bounds the memory


def encode_templates(
    encode: Callable[[Sequence[str]], Tensor], prompts: Sequence[str], templates: Sequence[str]
) -> Tensor:
    """Return the mean over the templates of the vectors of each prompt, [N, D].

    A template holds {} where the prompt goes. `encode` turns texts into rows [n, D].
    """
    texts = [template.replace('{}', prompt) for prompt in prompts for template in templates]
    batches = [encode(texts[start : start + SEQUENCES]) for start in range(0, len(texts), SEQUENCES)]
    mean: Tensor = torch.cat(batches).unflatten(0, (len(prompts), len(templates))).mean(1)
    return mean


def check_templates(templates: Sequence[str]) -> None:
    """Raise ValueError unless there are templates, each of them with one {}."""
    if not templates:
        raise ValueError("no templates: give at least '{}', the prompt itself")
    for template in templates:
        if template.count('{}') != 1:
            raise ValueError(f'the template {template!r} must have one {{}}, where the prompt goes')
