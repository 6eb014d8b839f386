# SPDX-License-Identifier: Apache-2.0
"""A text encoder that is a table: the vectors of known prompts, and no network."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from lseg_ros.labels.syntax import quote
from lseg_ros.model.parts import TextEncoder
from lseg_ros.model.text import PromptCache

_NAME = re.compile(r'words:([1-9]\d{0,5})x([1-9]\d{0,4})')


class WordTable(TextEncoder):
    """Vectors of prompts that another text encoder has encoded.

    Weights files store the prompts in place of a tokenizer.
    """

    has_own_file = False
    rows: Tensor  # float32 [words, dim]

    def __init__(self, words: int, dim: int) -> None:
        """Build a table of this many rows, without their prompts."""
        super().__init__()
        self.dim = dim
        self.register_buffer('rows', torch.zeros(words, dim))
        self._index: dict[str, int] = {}

    @classmethod
    def of(cls, encoder: TextEncoder, prompts: Sequence[str]) -> WordTable:
        """Return a table of what `encoder` makes of `prompts`."""
        distinct = tuple(dict.fromkeys(prompts))
        table = cls(len(distinct), encoder.dim)
        table.rows = PromptCache(encoder.encode)(distinct)
        table.read_tokenizer(json.dumps(distinct))
        return table

    @property
    def name(self) -> str:
        """The name in a model's configuration, which says how large the table is."""
        return f'words:{self.rows.shape[0]}x{self.dim}'

    @property
    def stored_tokenizer(self) -> str:  # type: ignore[override]
        """The prompts, in the order of the rows, as JSON."""
        return json.dumps(list(self._index), ensure_ascii=False)

    def read_tokenizer(self, stored: str) -> None:
        """Use the prompts that a weights file stores; raise ValueError unless they fit."""
        try:
            prompts = json.loads(stored)
        except (RecursionError, ValueError) as error:
            raise ValueError(f'has no usable list of words: {error}') from error
        words = len(self.rows)
        if not isinstance(prompts, list) or not all(isinstance(prompt, str) for prompt in prompts):
            raise ValueError('has no usable list of words: it must be a list of texts')
        if len(prompts) != words or len(set(prompts)) != words:
            raise ValueError(f'has {len(set(prompts))} different words for a table of {words}')
        self._index = {prompt: row for row, prompt in enumerate(prompts)}

    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Return unit rows [N, D]; raise ValueError for a prompt that is not in the table."""
        if unknown := next((prompt for prompt in prompts if prompt not in self._index), None):
            raise ValueError(
                f'{quote(unknown)} is none of the {len(self._index)} words of this model, which has no text encoder: '
                'use one of its words, or make the model again with the word in a label file of lseg adapt --words'
            )
        return F.normalize(self.rows[[self._index[prompt] for prompt in prompts]], dim=1)


def parse_word_table(name: str) -> tuple[int, int] | None:
    """Return words and dimensions of the table that `name` stands for; None for another name."""
    match = _NAME.fullmatch(name)
    return (int(match[1]), int(match[2])) if match else None
