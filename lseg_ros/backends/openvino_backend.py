# SPDX-License-Identifier: Apache-2.0
"""The image side of a network run by OpenVINO on a CPU."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from lseg_ros.backends.folding import FoldedNetwork
from lseg_ros.model.lseg import LSeg

try:
    import openvino
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
except ImportError as error:
    raise ModuleNotFoundError(
        f'the backend openvino needs its package: pip install openvino ({error})') from error

# Few CPUs calculate in float16, and on others OpenVINO would silently take bfloat16 for it.
_PRECISIONS = {torch.float32: 'f32', torch.bfloat16: 'bf16', torch.float16: 'f32'}
# Height and width of the image that the network is recorded with: not square, and padded.
_EXAMPLE_SIZE = (100, 150)


class OpenVinoBackend:
    """Compiles the network once, for images of every size and any number of them."""

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
        self._request = _compile(folded, threads, _PRECISIONS[model.dtype]).create_infer_request()

    def encode(self, images: Tensor) -> Tensor:
        """See Backend."""
        given = openvino.Tensor(images.contiguous().numpy(), shared_memory=True)
        self._request.infer({0: given})
        return torch.from_numpy(self._request.get_output_tensor().data)


def _compile(network: nn.Module, threads: int, precision: str) -> openvino.CompiledModel:
    recorded = _record(network)
    recorded.reshape([-1, -1, -1, 3])
    return openvino.Core().compile_model(recorded, 'CPU', {
        'INFERENCE_NUM_THREADS': threads,
        'INFERENCE_PRECISION_HINT': precision,
        'PERFORMANCE_HINT': 'LATENCY',
        # A thread that may not leave a core waits for whatever else runs there.
        'ENABLE_CPU_PINNING': False,
    })


def _record(network: nn.Module) -> openvino.Model:
    """Return what `network` does to an image, as OpenVINO has it.

    The steps are those of openvino.convert_model, which would also report its use over the
    internet.
    """
    example = torch.zeros(1, *_EXAMPLE_SIZE, 3, dtype=torch.uint8)
    with warnings.catch_warnings(), torch.no_grad():
        # Deprecated in PyTorch 2.9 for torch.export, of which OpenVINO takes five times as long.
        warnings.simplefilter('ignore')
        trace = torch.jit.trace(network.eval(), example, check_trace=False)
        decoder = TorchScriptPythonDecoder(trace)  # named, as nothing else keeps it alive
        frontend = FrontEndManager().load_by_framework('pytorch')
        return frontend.convert(frontend.load(decoder))
