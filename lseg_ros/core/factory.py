# SPDX-License-Identifier: Apache-2.0
"""The one way to open a segmenter, for the node, the commands and programs of your own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

import torch

from lseg_ros.backends import SELF_PLACED, open_backend
from lseg_ros.backends.device import find_device, find_precision, limit_cpu_threads
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.core.single_pass import SinglePassSegmenter
from lseg_ros.model import LSeg, load

QUALITIES = ('fast', 'best')
ENTRY_POINTS = 'lseg_ros.segmenters'  # where the lab offers the segmenter of quality best
Progress: TypeAlias = Callable[[Sequence[Any]], Iterable[Any]]


def open_segmenter(
    model: str | Path | LSeg = 'lseg-lite',
    *,
    device: str | torch.device = 'auto',
    precision: str = 'auto',
    backend: str = 'auto',
    threads: int = 0,
    openvino_device: str = 'CPU',
    compiled: bool = False,
    input_size: int | None = None,
    quality: str = 'fast',
    text_model: str | Path | None = None,
    progress: Progress = iter,
) -> Segmenter:
    """Open a segmenter that runs a model as fast as this machine can.

    `model` is a name or the path of weights, loaded by `lseg_ros.model.load` with `text_model`, or
    a loaded LSeg, which keeps its device and dtype. `lseg_ros.backends` explains `device`,
    `precision`, `backend`, `threads`, `openvino_device` and `compiled`; precision auto is float32
    for the network as written.

    quality fast is one pass, for which images are reduced to a short side of `input_size` pixels:
    by default the model's own; 0 keeps their size. quality best is the authors' protocol of six
    scales, dozens of passes of the network as written, and needs the lab; `progress` takes the
    windows of each image and returns an iterable of them, e.g. tqdm.

    Raise ValueError for unknown, unusable or contradictory settings, and whatever `load` raises.
    """
    _check_quality(quality, backend, input_size)
    best = quality == 'best'
    limit_cpu_threads(threads)
    if not isinstance(model, LSeg):
        on_cpu = device == 'auto' and (backend in SELF_PLACED or openvino_device != 'CPU')
        model = _load(model, 'cpu' if on_cpu else device, precision, text_model, best or backend == 'eager')
    elif (device, precision, text_model) != ('auto', 'auto', None):
        raise ValueError('a loaded model keeps its device, precision and text_model: omit them')
    if best:
        return _open_best(model, progress)
    runner = open_backend(backend, model, threads, openvino_device, compiled)
    return SinglePassSegmenter(model, backend=runner, input_size=input_size)


def _check_quality(quality: str, backend: str, input_size: int | None) -> None:
    if quality not in QUALITIES:
        raise ValueError(f'unknown quality {quality!r}: use one of {", ".join(QUALITIES)}')
    if quality == 'best' and (backend not in ('auto', 'eager') or input_size is not None):
        raise ValueError("quality 'best' runs the network as written, at its own sizes: omit backend and input_size")


def _open_best(model: LSeg, progress: Progress) -> Segmenter:
    for entry in metadata.entry_points(group=ENTRY_POINTS, name='best'):
        try:
            open_best: Callable[[LSeg, Progress], Segmenter] = entry.load()
        except Exception as error:  # whatever a broken installation raises
            raise ValueError(f"quality 'best' ({entry.value}) cannot be loaded: {error}") from error
        return open_best(model, progress)
    raise ValueError("quality 'best' needs the lab: pip install ./lab in a checkout of lseg_ros")


def _load(
    model: str | Path, device: str | torch.device, precision: str, text_model: str | Path | None, as_written: bool
) -> LSeg:
    place = find_device(device)
    if as_written and precision == 'auto':  # as in the authors' figures
        precision = 'float32'
    return load(model, place, find_precision(precision, place), text_model)
