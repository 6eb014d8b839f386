# SPDX-License-Identifier: Apache-2.0
"""OpenVINO running the image side of a network and its product with the text."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import openvino
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import Tensor, nn

from lseg_ros.backends.fixed_sizes import FixedSizes
from lseg_ros.backends.folding import FoldedNetwork
from lseg_ros.model.lseg import LSeg

_PRECISIONS = {torch.float32: 'f32', torch.bfloat16: 'bf16', torch.float16: 'f16'}
# Height and width of the image that the network is recorded with: not square, needs padding.
_EXAMPLE_SIZE = (100, 150)
_KEPT_KERNELS = 300  # each image size needs a few dozen


class OpenVinoBackend:
    """Compiles the network once for any image size, batch size and number of labels.

    The first image of a new size takes about three times as long as the next. On a CPU, sizes that
    keep coming get a network of their own, which gives the same results in less time.
    """

    name = 'openvino'

    def __init__(self, model: LSeg, threads: int = 0, device: str = 'CPU') -> None:
        """Compile `model`, which is on the CPU, in its dtype for one of OpenVINO's devices.

        A CPU uses `threads` threads, 0 for all. Raise ValueError for a device that is not here, for
        a network that is not on the CPU, or one whose operations depend on the image size, so that
        it cannot be recorded for all sizes.
        """
        check_openvino_device(device)
        if model.device.type != 'cpu':
            raise ValueError(f'the backend openvino runs on the CPU, not on {model.device}')
        if not getattr(model.image_encoder, 'any_size', False):
            raise ValueError(f'the backend openvino cannot run {model.name}: use torch')
        folded = FoldedNetwork(model, torch.float32)
        self.project = folded.project
        self._restore = folded.restore
        # The logits of these rows are the dimensions of the embedding.
        width = self.project(torch.eye(model.text_encoder.dim)).shape[1]
        self._dimensions = model.config.temperature * torch.eye(width)
        self._spatial = deepcopy(model.spatial).float()
        network = _Correlation(folded, model.config.temperature)
        settings = _settings(device, threads, model.dtype)
        recorded = _record_any_size(network, width)
        self._request = openvino.Core().compile_model(recorded, device, settings).create_infer_request()

        def compile_for(shape: tuple[int, ...]) -> openvino.InferRequest:
            fixed = recorded.clone()
            fixed.reshape({0: list(shape), 1: [-1, width]})
            return openvino.Core().compile_model(fixed, device, settings).create_infer_request()

        self.fixed_sizes = FixedSizes(compile_for) if device == 'CPU' else None
        del folded.layers  # OpenVINO has a copy, and `project` does not need them

    def correlate(self, images: Tensor, text: Tensor) -> Tensor:
        """See Backend; the logits of a pixel are contiguous."""
        return self._spatial(self._run(images, text))

    def encode(self, images: Tensor) -> Tensor:
        """See Backend."""
        return self._run(images, self._dimensions)

    def embed(self, images: Tensor) -> Tensor:
        """See Backend."""
        return self._restore(self.encode(images))

    def _run(self, images: Tensor, text: Tensor) -> Tensor:
        given = (images.contiguous(), text.float().contiguous())  # kept alive until they have been read
        fixed = self.fixed_sizes and self.fixed_sizes.find(tuple(images.shape))
        request = fixed or self._request
        request.infer(
            {index: openvino.Tensor(tensor.numpy(), shared_memory=True) for index, tensor in enumerate(given)}
        )
        return torch.from_numpy(request.get_output_tensor().data).movedim(-1, 1)


class _Correlation(nn.Module):
    """Maps images [B, H, W, 3] and text [K, E] to logits [B, h, w, K], not yet regularised."""

    def __init__(self, network: FoldedNetwork, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, images: Tensor, text: Tensor) -> Tensor:
        return self.network(images).movedim(1, -1) @ (text / self.temperature).T


def check_openvino_device(name: str) -> None:
    """Raise ValueError unless OpenVINO has a device `name` here; AUTO lets it choose one."""
    present = openvino.Core().available_devices
    # Several devices of a kind are GPU.0, GPU.1 ...; GPU alone means the first.
    kinds = {device.partition('.')[0] for device in present}
    if name != 'AUTO' and name not in {*present, *kinds}:
        raise ValueError(f'openvino_device {name!r} is not here: use one of {", ".join(present)}, or AUTO')


def _record_any_size(network: _Correlation, width: int) -> openvino.Model:
    recorded = _record(network, torch.zeros(1, *_EXAMPLE_SIZE, 3, dtype=torch.uint8), torch.zeros(2, width))
    recorded.reshape({0: [-1, -1, -1, 3], 1: [-1, width]})
    return recorded


def _settings(device: str, threads: int, dtype: torch.dtype) -> Mapping[str, Any]:
    """Return what OpenVINO is told about a device: each kind refuses the settings of others."""
    common = {'PERFORMANCE_HINT': 'LATENCY'}
    if device == 'NPU':  # computes in the one precision that it has
        return common
    if device != 'CPU':
        return {**common, 'INFERENCE_PRECISION_HINT': _PRECISIONS[dtype]}
    # Few CPUs compute in float16; on the others OpenVINO would silently use bfloat16 instead.
    precision = 'f32' if dtype == torch.float16 else _PRECISIONS[dtype]
    return {
        **common,
        'INFERENCE_NUM_THREADS': threads,
        'INFERENCE_PRECISION_HINT': precision,
        # Pinned threads would wait for other programs on their core.
        'ENABLE_CPU_PINNING': False,
        # Kernels kept for sizes seen before; by default the cache grows to gigabytes.
        'CPU_RUNTIME_CACHE_CAPACITY': _KEPT_KERNELS,
    }


def _record(network: nn.Module, *example: Tensor) -> openvino.Model:
    """Convert `network`, traced on `example`, to an OpenVINO model.

    The steps are those of openvino.convert_model, which also sends usage data over the internet.
    """
    with warnings.catch_warnings(), torch.no_grad():
        # PyTorch 2.9 deprecates this for torch.export, which OpenVINO converts five times slower.
        warnings.simplefilter('ignore')
        trace = torch.jit.trace(network.eval(), example, check_trace=False)
        decoder = TorchScriptPythonDecoder(trace)  # a variable, as nothing else keeps it alive
        frontend = FrontEndManager().load_by_framework('pytorch')
        return frontend.convert(frontend.load(decoder))
