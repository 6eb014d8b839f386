# SPDX-License-Identifier: Apache-2.0
"""Measurements within one process: backends, numbers of labels, sizes, batches, label changes.

Row names start with a letter: (a) the plain network, eager, in float32; (b) our network alone;
(c) image array to ids; (d) and (e), measured elsewhere, image message to label image; (f) image
array to ids beside another network.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
import torch
from torch import Tensor

from floor import floor_ms
from lseg_ros.backends import Backend, normalise, open_backend
from lseg_ros.backends.device import PRECISIONS
from lseg_ros.core.factory import open_segmenter
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.labels import LabelRegistry, LabelSet, read_label_file
from lseg_ros.media.sources import open_source
from lseg_ros.model import LSeg
from measure import measure_in_turn
from networks import PlainNetwork, has_random_weights, open_network
from rows import Row

VGA, HD, FULL_HD = (640, 480), (1280, 720), (1920, 1080)
LABEL_COUNTS = (2, 10, 50, 150, 1000)
BATCHES = (1, 2, 4, 8)
USUAL_LABELS = 12
MOST_CLASSES = 250  # ids are bytes, so further labels become prompts of the same classes


@dataclass(frozen=True)
class Setting:
    """What all rows of one network share."""

    model: str
    device: torch.device
    precision: str
    repeats: int

    def row(
        self, name: str, size: tuple[int, int], batch: int = 1, labels: int = USUAL_LABELS, precision: str = ''
    ) -> Row:
        """Return a row without numbers."""
        return Row(
            name,
            self.model,
            self.device.type,
            precision or self.precision,
            '{}x{}'.format(*size),
            batch,
            labels,
            note='random weights' if has_random_weights(self.model) else '',
        )


def measure(setting: Setting) -> Iterator[list[Row]]:
    """Measure the groups of rows one after another, yielding each."""
    model = open_network(setting.model, setting.device, PRECISIONS[setting.precision])
    segmenter = open_segmenter(model, threads=torch.get_num_threads())
    yield _ways(setting, segmenter)
    yield _whole(setting, segmenter, 'labels', [(VGA, 1, count) for count in LABEL_COUNTS])
    sizes = [(size, 1, USUAL_LABELS) for size in (VGA, HD, FULL_HD)]
    yield _whole(setting, segmenter, 'size', sizes)
    yield _whole(setting, segmenter, 'batch', [(VGA, batch, USUAL_LABELS) for batch in BATCHES])
    yield [row for count in (USUAL_LABELS, 150) for row in _label_change(setting, segmenter, count)]


def compare(setting: Setting) -> list[Row]:
    """Measure image array to ids in alternation with CLIPSeg: same image, same labels."""
    from clipseg import ClipSeg  # transformers takes seconds to import

    model = open_network(setting.model, setting.device, PRECISIONS[setting.precision])
    segmenter = open_segmenter(model, threads=torch.get_num_threads())
    labels, image, other = label_set(USUAL_LABELS), picture(VGA), ClipSeg(setting.device)
    prepared = segmenter.prepare(labels)
    own = setting.row('f image to ids', VGA)
    clipseg = replace(own, model='clipseg-rd64', precision='float32', note='random weights')
    calls = {
        own: lambda: segmenter.segment([image], prepared),
        replace(clipseg, name='f CLIPSeg, image encoded once'): lambda: other.ids_by_encoding_once(
            image, labels.prompts
        ),
        replace(clipseg, name='f CLIPSeg, as documented'): lambda: other.ids(image, labels.prompts),
    }
    taken = measure_in_turn(calls, setting.device, max(3, setting.repeats // 10))
    return [row.filled(taken[row]) for row in calls]


def picture(size: tuple[int, int]) -> np.ndarray:
    """Return an image of the recorded drive, resized to `size` (width, height)."""
    shots = itertools.islice(open_source('drive'), 40, None)
    return cv2.resize(next(shots).image, size)


def label_set(count: int, word: str = '') -> LabelSet:
    """Return `count` labels: ADE20K's names, then numbered copies, each prefixed by `word`."""
    names = [spec.partition('=')[0] for spec in read_label_file('ade20k').labels]
    prompts = [f'{word}{names[i % len(names)]}{i // len(names) or ""}' for i in range(count)]
    each = math.ceil(count / MOST_CLASSES)
    return LabelRegistry().replace(
        [
            f'{group[0]}={"|".join(group)}'
            for group in (prompts[start : start + each] for start in range(0, count, each))
        ]
    )


def _ways(setting: Setting, segmenter: Segmenter) -> list[Row]:
    """Measure (a), (b) with every backend, and (c) in alternation."""
    plain = open_network(setting.model, setting.device, torch.float32)
    baseline = PlainNetwork(plain)
    labels, image = label_set(USUAL_LABELS), picture(VGA)
    text = plain.encode_text(labels.prompts)
    prepared = segmenter.prepare(labels)
    resized = _network_size(plain, image)
    images = torch.from_numpy(cv2.resize(image, resized[::-1]))[None].to(setting.device)
    pixels = normalise(images, plain)
    calls = {
        'a network, as written': baseline.network(pixels, text),
        'a image to ids, as written': baseline.images_to_ids([image], pixels.shape[2:], text),
    }
    precisions = dict.fromkeys(calls, 'float32')
    for name, precision, call in _networks(setting, segmenter.model, images, labels):
        calls[name], precisions[name] = call, precision
    calls['c image to ids'] = lambda: segmenter.segment([image], prepared)
    taken = measure_in_turn(calls, setting.device, setting.repeats)
    rows = []
    for name in calls:
        precision = precisions.get(name, setting.precision)
        floor = floor_ms(plain, images, text, PRECISIONS[precision]) if 'network' in name else None
        title = name.removesuffix(f', {precision}')
        rows.append(setting.row(title, VGA, precision=precision).filled(taken[name], floor))
    return rows


def _networks(
    setting: Setting, own: LSeg, images: Tensor, labels: LabelSet
) -> Iterator[tuple[str, str, Callable[[], object]]]:
    """Yield name, precision and call of each way to compute logits from the uint8 `images`.

    `own` is the network in the precision of `setting`.
    """
    for title, name, precision in (
        ('eager, channels last', 'eager', setting.precision),
        ('torch', 'torch', setting.precision),
        ('openvino', 'openvino', 'float32'),
        ('openvino', 'openvino', 'bfloat16'),
    ):
        model = (
            own
            if precision == setting.precision
            else open_network(setting.model, setting.device, PRECISIONS[precision])
        )
        try:
            backend = open_backend(name, model, torch.get_num_threads())
        except ValueError:  # not on this device, or not installed
            continue
        with torch.inference_mode():
            text = backend.project(model.encode_text(labels.prompts))
        yield (f'b network, {title}, {precision}', precision, _logits_of(backend, images, text))


def _logits_of(backend: Backend, images: Tensor, text: Tensor) -> Callable[[], object]:
    @torch.inference_mode()
    def call() -> Tensor:
        return backend.correlate(images, text)

    return call


def _whole(
    setting: Setting, segmenter: Segmenter, varied: str, cases: list[tuple[tuple[int, int], int, int]]
) -> list[Row]:
    """Measure image arrays to ids for cases of (size, batch, number of labels).

    `varied` names the one of the three that differs between the cases.
    """
    calls = {}
    for size, batch, count in cases:
        images, prepared = [picture(size)] * batch, segmenter.prepare(label_set(count))
        calls[size, batch, count] = partial(segmenter.segment, images, prepared)
    taken = measure_in_turn(calls, setting.device, setting.repeats)
    name = f'c image to ids, by {varied}'
    return [setting.row(name, *case).filled(taken[case]) for case in cases]


def _label_change(setting: Setting, segmenter: Segmenter, count: int) -> list[Row]:
    """Measure the time from new labels to being ready to segment under them."""
    known = label_set(count)
    fresh = (label_set(count, f'{number} ') for number in itertools.count())
    calls = {
        'label change, cached': lambda: segmenter.prepare(known),
        'label change, new texts': lambda: segmenter.prepare(next(fresh)),
    }
    taken = measure_in_turn(calls, setting.device, max(3, setting.repeats // 10))
    return [setting.row(name, VGA, labels=count).filled(taken[name]) for name in calls]


def _network_size(model: LSeg, image: np.ndarray) -> tuple[int, int]:
    """Return (height, width) of the image scaled so that its short side is the network's input."""
    scale = model.input_size / min(image.shape[:2])
    return tuple(round(side * scale) for side in image.shape[:2])
