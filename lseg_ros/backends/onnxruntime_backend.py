# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime running the image side of a network: by TensorRT, by CUDA or on a CPU."""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeAlias

import onnxruntime
import torch
from torch import Tensor, nn

from lseg_ros.backends.kept_files import kept_files
from lseg_ros.backends.onnx_network import INPUTS, OPSET, ImageSize, write_onnx
from lseg_ros.model.lseg import LSeg
from lseg_ros.model.weight_digest import weight_digest

Provider: TypeAlias = tuple[str, dict[str, Any]]
TENSORRT, CUDA, CPU = 'TensorrtExecutionProvider', 'CUDAExecutionProvider', 'CPUExecutionProvider'
SIZES = 8  # image sizes whose sessions and files are kept
# Texts that an engine is built for: fewest, most likely, and as many as a set of labels can have.
_TEXTS = (1, 16, 2048)
# Raised when the exported files change for the same network.
_FORMAT = 1


class OnnxRuntimeBackend:
    """Exports the network for each image size when it first comes, and keeps the files.

    Images of a batch run one after the other, so that one engine serves any number of cameras; the
    number of labels is free. The providers are tried in the order TensorRT, CUDA, CPU.
    """

    name = 'onnxruntime'

    def __init__(self, model: LSeg, threads: int = 0) -> None:
        """Run `model`, which is on the CPU, in its dtype; a CPU uses `threads` threads, 0 for all.

        Raise ValueError for a model on another device or in bfloat16, and for a cache folder that
        cannot be made.
        """
        if model.device.type != 'cpu':
            raise ValueError('the backend onnxruntime copies images to the GPU itself: set device to cpu or auto')
        if model.dtype == torch.bfloat16:
            raise ValueError('the backend onnxruntime cannot compute in bfloat16: use float32 or float16')
        self._model = model
        self._threads = threads
        self._spatial = deepcopy(model.spatial).float()
        self._folder = kept_files('onnxruntime') / _key(model)
        self._sessions: OrderedDict[ImageSize, onnxruntime.InferenceSession] = OrderedDict()
        # The logits of these rows are the dimensions of the embedding.
        self._dimensions = model.config.temperature * torch.eye(model.text_encoder.dim)

    def project(self, text: Tensor) -> Tensor:
        """See Backend; here E is D."""
        return text

    def correlate(self, images: Tensor, text: Tensor) -> Tensor:
        """See Backend."""
        return self._spatial(self._run(images, text))

    def encode(self, images: Tensor) -> Tensor:
        """See Backend."""
        return self._run(images, self._dimensions)

    def embed(self, images: Tensor) -> Tensor:
        """See Backend."""
        return self.encode(images)

    def _run(self, images: Tensor, text: Tensor) -> Tensor:
        session = self._session((images.shape[1], images.shape[2]))
        rows = text.float().numpy()
        results = [
            session.run(None, dict(zip(INPUTS, (image[None].contiguous().numpy(), rows))))[0] for image in images
        ]
        return torch.cat([torch.from_numpy(logits) for logits in results])

    def _session(self, size: ImageSize) -> onnxruntime.InferenceSession:
        session = self._sessions.pop(size, None) or self._open(size)
        self._sessions[size] = session  # the one used last is at the end
        if len(self._sessions) > SIZES:
            self._sessions.popitem(last=False)
        return session

    def _open(self, size: ImageSize) -> onnxruntime.InferenceSession:
        height, width = size
        path, log = self._folder / f'{width}x{height}.onnx', logging.getLogger(__name__)
        if path.is_file():
            path.touch()  # the file used last is the newest
            try:
                return self._start(path)
            except Exception as error:  # ONNX Runtime's own, for a file that is damaged or not whole
                log.warning('%s cannot be used (%s), so it is exported again', path, str(error).splitlines()[0])
        log.warning('exporting %s for images of %dx%d, which takes a while', self._model.name, width, height)
        path.parent.mkdir(exist_ok=True)
        _forget_oldest(path.parent)
        write_onnx(self._model, size, path, spatial=nn.Identity())
        return self._start(path)

    def _start(self, path: Path) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        # Spinning threads would take the cores from other programs.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        wanted = choose_providers(onnxruntime.get_available_providers(), self._model, path)
        session = onnxruntime.InferenceSession(str(path), options, providers=wanted)
        if (used := session.get_providers()[0]) != wanted[0][0]:
            logging.getLogger(__name__).warning(
                'ONNX Runtime cannot use %s, so %s runs the network', wanted[0][0], used
            )
        return session


def choose_providers(available: Sequence[str], model: LSeg, path: Path) -> list[Provider]:
    """Return those of TensorRT, CUDA and CPU that are `available`, each with its options.

    TensorRT keeps its engines beside `path`, the network; it computes in the dtype of `model`, and
    one engine serves every number of labels.
    """
    least, likely, most = (f'text:{count}x{model.text_encoder.dim}' for count in _TEXTS)
    tensorrt = {
        'trt_engine_cache_enable': True,
        'trt_engine_cache_path': str(path.parent),
        'trt_engine_cache_prefix': path.stem,
        'trt_timing_cache_enable': True,
        'trt_timing_cache_path': str(path.parent),
        'trt_fp16_enable': model.dtype == torch.float16,
        'trt_profile_min_shapes': least,
        'trt_profile_opt_shapes': likely,
        'trt_profile_max_shapes': most,
    }
    options: dict[str, dict[str, Any]] = {TENSORRT: tensorrt, CUDA: {}, CPU: {}}
    return [(name, options[name]) for name in options if name in available]


def _forget_oldest(folder: Path) -> None:
    """Make room for one more exported network: delete what belongs to those unused for longest."""
    exported = sorted(folder.glob('*.onnx'), key=lambda path: path.stat().st_mtime)
    for path in exported[: len(exported) - SIZES + 1]:
        for file in folder.glob(f'{path.stem}[._]*'):
            file.unlink(missing_ok=True)


def _key(model: LSeg) -> str:
    """Return a name for what is exported from `model`: other weights or settings get another."""
    digest = hashlib.sha256(weight_digest(model.image_state_dict()).encode())
    digest.update(repr((model.config, model.dtype, OPSET, _FORMAT, torch.__version__)).encode())
    return digest.hexdigest()[:16]
