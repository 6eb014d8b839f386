# SPDX-License-Identifier: Apache-2.0
"""Backends: several ways to run the image side of a network."""

from __future__ import annotations

import logging
from importlib.util import find_spec

from lseg_ros.backends.base import Backend, EagerBackend, normalise
from lseg_ros.model.lseg import LSeg

BACKENDS = ('auto', 'torch', 'openvino', 'onnxruntime', 'eager')
# Backends that choose their own device: the rest of the work is done on the CPU.
SELF_PLACED = ('openvino', 'onnxruntime')

__all__ = ['BACKENDS', 'SELF_PLACED', 'Backend', 'EagerBackend', 'normalise', 'open_backend']


def open_backend(
    name: str, model: LSeg, threads: int = 0, openvino_device: str = 'CPU', compiled: bool = False
) -> Backend:
    """Return the backend called `name` for `model`, on the model's device and in its dtype.

    auto is openvino on a CPU, if it is installed and can run the network, else torch; eager runs
    the network as written. `threads` is the number of CPU threads that openvino and onnxruntime
    use, 0 for all. `openvino_device` is where openvino runs the network: CPU, GPU, NPU or AUTO.
    `compiled` lets torch compile the network, and makes it the choice of auto.
    Raise ValueError for an unknown name, a network that the backend cannot run, or a device or
    package that is not here.
    """
    if name not in BACKENDS:
        raise ValueError(f'unknown backend {name!r}: use one of {", ".join(BACKENDS)}')
    if compiled:
        if name not in ('auto', 'torch') or openvino_device != 'CPU':
            raise ValueError(f'compile needs the backend torch, not {name} on {openvino_device}')
        return _open_torch(model, compiled)
    if openvino_device != 'CPU':
        if name not in ('auto', 'openvino'):
            raise ValueError(f'openvino_device {openvino_device!r} needs the backend openvino, not {name}')
        return _open_openvino(model, threads, openvino_device)
    if name == 'auto':
        return _open_fastest(model, threads)
    if name == 'eager':
        return EagerBackend(model)
    if name == 'onnxruntime':
        return _open_onnxruntime(model, threads)
    return _open_openvino(model, threads) if name == 'openvino' else _open_torch(model)


def _open_fastest(model: LSeg, threads: int) -> Backend:
    fits = model.device.type == 'cpu' and getattr(model.image_encoder, 'any_size', False)
    if fits and find_spec('openvino'):
        try:
            return _open_openvino(model, threads)
        except Exception as error:  # an OpenVINO release that does not fit: slower, but it runs
            logging.getLogger(__name__).warning('OpenVINO cannot run %s, PyTorch does: %s', model.name, error)
    return _open_torch(model)


def _open_torch(model: LSeg, compiled: bool = False) -> Backend:
    from lseg_ros.backends.torch_backend import TorchBackend

    return TorchBackend(model, compiled)


def _open_onnxruntime(model: LSeg, threads: int) -> Backend:
    from lseg_ros.backends.onnx_network import check_packages

    check_packages()
    from lseg_ros.backends.onnxruntime_backend import OnnxRuntimeBackend

    return OnnxRuntimeBackend(model, threads)


def _open_openvino(model: LSeg, threads: int, device: str = 'CPU') -> Backend:
    if not find_spec('openvino'):
        raise ValueError('the backend openvino needs its package: pip install openvino')
    from lseg_ros.backends.openvino_backend import OpenVinoBackend

    return OpenVinoBackend(model, threads, device)
