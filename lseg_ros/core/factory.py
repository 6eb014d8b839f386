# SPDX-License-Identifier: Apache-2.0
"""The one way to open a segmenter, for the node, the commands and programs of your own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch

from lseg_ros.backends import open_backend
from lseg_ros.backends.device import find_device, find_precision, limit_cpu_threads
from lseg_ros.core.multiscale import MultiScaleEvaluator, Window
from lseg_ros.core.multiscale_segmenter import MultiScaleSegmenter
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.core.single_pass import SinglePassSegmenter
from lseg_ros.model import LSeg, load

QUALITIES = ('fast', 'best')


def open_segmenter(
    model: str | Path | LSeg = 'lseg-lite',
    *,
    device: str | torch.device = 'auto',
    precision: str = 'auto',
    backend: str = 'auto',
    threads: int = 0,
    input_size: int | None = None,
    quality: str = 'fast',
    text_model: str | Path | None = None,
    progress: Callable[[Sequence[Window]], Iterable[Window]] = iter,
) -> Segmenter:
    """Load a model and return a segmenter that runs it as fast as this machine can.

    `model` is the name of a model or the path of its weights, as `lseg_ros.model.load` takes it
    (`text_model` too), or a loaded LSeg, which keeps its device and dtype. `device`, `precision`
    and `threads` are explained in `lseg_ros.backends.device`, `backend` in `open_backend`; with
    the backend eager or quality best, precision auto is float32, as in the authors' figures.

    quality fast is one pass, for which images are reduced to a short side of `input_size` pixels:
    by default the model's own; 0 keeps their size. quality best is the authors' protocol of six
    scales, dozens of passes through the network as written; `progress` is given the windows of
    each image and returns an iterable of them, e.g. tqdm.

    Raise ValueError for a setting that is unknown, cannot be used here or contradicts another,
    and whatever `load` raises.
    """
    best = quality == 'best'
    if quality not in QUALITIES:
        raise ValueError(f'unknown quality {quality!r}: use one of {", ".join(QUALITIES)}')
    if best and (backend not in ('auto', 'eager') or input_size is not None):
        raise ValueError(
            "quality 'best' runs the network as written, at sizes of its own: "
            'leave out backend and input_size'
        )
    limit_cpu_threads(threads)
    if not isinstance(model, LSeg):
        place = find_device(device)
        as_written = best or backend == 'eager'
        name = 'float32' if as_written and precision == 'auto' else precision
        model = load(model, place, find_precision(name, place), text_model)
    elif (device, precision, text_model) != ('auto', 'auto', None):
        raise ValueError('a loaded model keeps its device, precision and text_model: omit them')
    if best:
        return MultiScaleSegmenter(MultiScaleEvaluator(model, progress=progress))
    runner = open_backend(backend, model, threads)
    return SinglePassSegmenter(model, backend=runner, input_size=input_size)
