# SPDX-License-Identifier: Apache-2.0
"""A network's image side and its product with the text, run by OpenVINO on a CPU."""

from __future__ import annotations

import warnings
from copy import deepcopy

import openvino
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import Tensor, nn

from lseg_ros.backends.folding import FoldedNetwork
from lseg_ros.model.lseg import LSeg

# Few CPUs calculate in float16, and on others OpenVINO would silently take bfloat16 for it.
_PRECISIONS = {torch.float32: 'f32', torch.bfloat16: 'bf16', torch.float16: 'f32'}
# Height and width of the image that the network is recorded with: not square, and padded.
_EXAMPLE_SIZE = (100, 150)
_KEPT_KERNELS = 300  # a size needs some tens


class OpenVinoBackend:
    """Compiles the network once, for images of every size, and any number of them and of labels.

    The first image of another size takes about three times as long as the next.
    """

    name = 'openvino'

    def __init__(self, model: LSeg, threads: int = 0) -> None:
        """Compile `model` for `threads` CPU threads, 0 for all, in the model's dtype.

        Raises ValueError for a network on another device, or one of which a recording of one run
        does not hold for images of every size.
        """
        if model.device.type != 'cpu':
            raise ValueError(f'the backend openvino runs on the CPU, not on {model.device}')
        if not getattr(model.image_encoder, 'any_size', False):
            raise ValueError(f'the backend openvino cannot run {model.name}: use torch')
        folded = FoldedNetwork(model, torch.float32)
        self.project = folded.project
        # The logits of these rows are the dimensions of the embedding.
        self._dimensions = model.temperature * folded.project(torch.eye(model.text_encoder.dim))
        self._spatial = deepcopy(model.spatial).float()
        network = _Correlation(folded, model.temperature)
        self._request = _compile(network, threads, _PRECISIONS[model.dtype]).create_infer_request()

    def correlate(self, images: Tensor, text: Tensor) -> Tensor:
        """See Backend; the logits of a pixel lie beside each other."""
        return self._spatial(self._run(images, text))

    def embed(self, images: Tensor) -> Tensor:
        """See Backend."""
        return self._run(images, self._dimensions)

    def _run(self, images: Tensor, text: Tensor) -> Tensor:
        given = images.contiguous(), text.float().contiguous()  # kept until they have been read
        self._request.infer(
            {
                index: openvino.Tensor(tensor.numpy(), shared_memory=True)
                for index, tensor in enumerate(given)
            }
        )
        return torch.from_numpy(self._request.get_output_tensor().data).movedim(-1, 1)


class _Correlation(nn.Module):
    """Images [B, H, W, 3] and text [K, E] -> logits [B, h, w, K], not yet regularised."""

    def __init__(self, network: FoldedNetwork, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, images: Tensor, text: Tensor) -> Tensor:
        return self.network(images).movedim(1, -1) @ (text / self.temperature).T


def _compile(network: _Correlation, threads: int, precision: str) -> openvino.CompiledModel:
    images = torch.zeros(1, *_EXAMPLE_SIZE, 3, dtype=torch.uint8)
    with torch.no_grad():
        width = network.network(images).shape[1]
    recorded = _record(network, images, torch.zeros(2, width))
    recorded.reshape({0: [-1, -1, -1, 3], 1: [-1, width]})
    return openvino.Core().compile_model(
        recorded,
        'CPU',
        {
            'INFERENCE_NUM_THREADS': threads,
            'INFERENCE_PRECISION_HINT': precision,
            'PERFORMANCE_HINT': 'LATENCY',
            # A thread that may not leave a core waits for whatever else runs there.
            'ENABLE_CPU_PINNING': False,
            # Kernels kept for sizes seen before; by default the cache grows to gigabytes.
            'CPU_RUNTIME_CACHE_CAPACITY': _KEPT_KERNELS,
        },
    )


def _record(network: nn.Module, *example: Tensor) -> openvino.Model:
    """Return what `network` does to inputs like those of `example`, as OpenVINO has it.

    The steps are those of openvino.convert_model, which would also report its use over the
    internet.
    """
    with warnings.catch_warnings(), torch.no_grad():
        # Deprecated in PyTorch 2.9 for torch.export, of which OpenVINO takes five times as long.
        warnings.simplefilter('ignore')
        trace = torch.jit.trace(network.eval(), example, check_trace=False)
        decoder = TorchScriptPythonDecoder(trace)  # named, as nothing else keeps it alive
        frontend = FrontEndManager().load_by_framework('pytorch')
        return frontend.convert(frontend.load(decoder))
