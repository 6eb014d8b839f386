# SPDX-License-Identifier: Apache-2.0
"""Networks as ONNX files for one image size and any number of labels."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn

from lseg_ros.backends.folding import FoldedNetwork
from lseg_ros.model.lseg import LSeg
from lseg_ros.model.parts import ImageEncoder

ImageSize: TypeAlias = tuple[int, int]  # height and width

OPSET = 17  # the oldest with layer normalisation, which every runtime since 2023 reads
INPUTS = ('images', 'text')
OUTPUT = 'logits'
PACKAGES = ('onnx', 'onnxruntime')
# Larger networks keep their weights in a second file; protobuf's own limit is 2 GB.
_MOST_BYTES = 1 << 30


class FixedSizeNetwork(nn.Module):
    """Maps one uint8 RGB image [1, H, W, 3] and text rows [K, D] to logits, float32 [1, K, h, w].

    Text rows are float32, those of `LSeg.encode_text`; logits are those of `LSeg.correlate`. H and
    W are fixed, K is free.
    """

    def __init__(self, model: LSeg, size: ImageSize, dtype: torch.dtype, spatial: nn.Module) -> None:
        """Copy and fold the image side of `model`, with layers in `dtype`, for images of `size`.

        `spatial` regularises the logits: the model's own, or the identity.
        """
        super().__init__()
        self.network = FoldedNetwork(model, dtype)
        height, width = (side + -side % model.stride for side in size)
        cast(ImageEncoder, self.network.layers[0]).fix_size(height, width)
        self.spatial = spatial
        self.temperature = model.config.temperature

    def forward(self, images: Tensor, text: Tensor) -> Tensor:
        """See the class."""
        embeddings = self.network(images)
        rows = self.network.project(text) / self.temperature
        logits = (rows @ embeddings.flatten(2)).unflatten(2, embeddings.shape[2:])
        regularised: Tensor = self.spatial(logits)
        return regularised


def check_packages() -> None:
    """Raise ValueError, with what to install, unless ONNX and ONNX Runtime are installed."""
    if missing := [name for name in PACKAGES if not find_spec(name)]:
        raise ValueError(f'{" and ".join(missing)} missing: pip install {" ".join(PACKAGES)}')


def write_onnx(
    model: LSeg,
    size: ImageSize,
    path: Path,
    *,
    dtype: torch.dtype | None = None,
    spatial: nn.Module | None = None,
    metadata: Mapping[str, str] = MappingProxyType({}),
) -> list[Path]:
    """Write `model` for images of `size`; return the files.

    These are `path` and, for a network of more than a gibibyte, a second one with the weights,
    named after it. Both are complete or absent. Layers are in `dtype`, by default the model's, and
    `spatial` regularises the logits, by default as the model does. Raise OSError, with `path`, if
    they cannot be written.
    """
    network = FixedSizeNetwork(model, size, dtype or model.dtype, spatial or model.spatial).eval()
    example = (torch.zeros(1, *size, 3, dtype=torch.uint8), torch.ones(2, model.text_encoder.dim))
    try:
        with TemporaryDirectory(prefix='.onnx-', dir=path.parent) as folder:
            _trace(network, example, Path(folder) / 'traced.onnx')
            files = _store(Path(folder) / 'traced.onnx', Path(folder) / path.name, metadata)
            # The weights first: a graph without them would be of no use.
            return [file.replace(path.with_name(file.name)) for file in reversed(files)][::-1]
    except OSError as error:
        if not error.errno:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


def _trace(network: nn.Module, example: tuple[Tensor, Tensor], path: Path) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        # PyTorch 2.9 deprecates this for an exporter that takes several times as long.
        warnings.simplefilter('ignore')
        torch.onnx.export(
            network,
            example,
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            dynamic_axes={'text': {0: 'labels'}, OUTPUT: {1: 'labels'}},
        )


def _store(traced: Path, path: Path, metadata: Mapping[str, str]) -> list[Path]:
    """Write a traced network to its final files: the graph, and the weights if they are large."""
    import onnx

    graph = onnx.load(str(traced))
    onnx.helper.set_model_props(graph, dict(metadata))
    if sum(len(tensor.raw_data) for tensor in graph.graph.initializer) <= _MOST_BYTES:
        onnx.save_model(graph, str(path))
        return [path]
    weights = path.with_name(f'{path.name}.data')
    onnx.save_model(graph, str(path), save_as_external_data=True, location=weights.name)
    return [path, weights]
