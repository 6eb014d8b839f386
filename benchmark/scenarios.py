# SPDX-License-Identifier: Apache-2.0
"""What is measured in one process: ways to run a network, labels, sizes, batches, label changes.

The names of rows begin with a letter: (a) the network as it is written, eager, in float32; (b)
ours, the network only; (c) image array to ids; (d), elsewhere, image message to label image.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from floor import floor_ms
from lseg_ros.backends import EagerBackend, normalise, open_backend
from lseg_ros.backends.device import PRECISIONS
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.labels import LabelRegistry, LabelSet, read_label_file
from lseg_ros.media.sources import open_source
from lseg_ros.model import LSeg
from measure import measure_in_turn
from networks import LARGE, ObviousNetwork, open_network
from rows import Row

VGA, HD, FULL_HD = (640, 480), (1280, 720), (1920, 1080)
LABEL_COUNTS = (2, 10, 50, 150, 1000)
BATCHES = (1, 2, 4, 8)
USUAL_LABELS = 12
MOST_CLASSES = 250  # ids are bytes: more labels than that are several prompts of one class


@dataclass(frozen=True)
class Setting:
    """What all rows of one network have in common."""

    model: str
    device: torch.device
    precision: str
    repeats: int

    def row(
        self,
        name: str,
        size: tuple[int, int],
        batch: int = 1,
        labels: int = USUAL_LABELS,
        precision: str = '',
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
            note='random weights' if self.model == LARGE else '',
        )


def measure(setting: Setting) -> Iterator[list[Row]]:
    """Yield the rows of each group as it is measured."""
    model = open_network(setting.model, setting.device, PRECISIONS[setting.precision])
    segmenter = Segmenter(model, backend=open_backend('auto', model, torch.get_num_threads()))
    yield _ways(setting, segmenter)
    yield _whole(setting, segmenter, [(VGA, 1, count) for count in LABEL_COUNTS])
    yield _whole(setting, segmenter, [(size, 1, USUAL_LABELS) for size in (VGA, HD, FULL_HD)])
    yield _whole(setting, segmenter, [(VGA, batch, USUAL_LABELS) for batch in BATCHES])
    yield _label_changes(setting, segmenter)


def picture(size: tuple[int, int]) -> np.ndarray:
    """Return an image of the recorded drive, enlarged to `size` (width, height)."""
    shots = itertools.islice(open_source('drive'), 40, None)
    return cv2.resize(next(shots).image, size)


def label_set(count: int, word: str = '') -> LabelSet:
    """Return ADE20K's names, as many as there are; then numbered ones; `word` goes before each."""
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
    """Measure (a), (b) and (c) beside each other, and the same network by other backends."""
    plain = open_network(setting.model, setting.device, torch.float32)
    obvious = ObviousNetwork(plain)
    labels, image = label_set(USUAL_LABELS), picture(VGA)
    text = plain.encode_text(labels.prompts)
    prepared = segmenter.prepare(labels)
    resized = _network_size(plain, image)
    images = torch.from_numpy(cv2.resize(image, resized[::-1]))[None].to(setting.device)
    pixels = normalise(images, plain)
    calls = {
        'a network, as written': obvious.network(pixels, text),
        'a image to ids, as written': obvious.images_to_ids([image], pixels.shape[2:], text),
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
    setting: Setting, own: LSeg, images: torch.Tensor, labels: LabelSet
) -> Iterator[tuple[str, str, Callable[[], object]]]:
    """Yield name, precision and call of each way to make logits of the uint8 `images`.

    `own` is the network in the precision of `setting`.
    """
    ways = [('eager, channels last', setting.precision, EagerBackend)]
    for backend, precision in (
        ('torch', setting.precision),
        ('openvino', 'float32'),
        ('openvino', 'bfloat16'),
    ):
        ways.append(
            (
                backend,
                precision,
                lambda model, name=backend: open_backend(name, model, torch.get_num_threads()),
            )
        )
    for name, precision, open_it in ways:
        model = (
            own
            if precision == setting.precision
            else open_network(setting.model, setting.device, PRECISIONS[precision])
        )
        try:
            backend = open_it(model)
        except (ValueError, ModuleNotFoundError):  # not on this device, or not installed
            continue
        with torch.inference_mode():
            text = backend.project(model.encode_text(labels.prompts))
        yield (f'b network, {name}, {precision}', precision, _logits_of(backend, images, text))


def _logits_of(backend, images, text) -> Callable[[], object]:
    @torch.inference_mode()
    def call() -> torch.Tensor:
        return backend.correlate(images, text)

    return call


def _whole(
    setting: Setting, segmenter: Segmenter, cases: list[tuple[tuple[int, int], int, int]]
) -> list[Row]:
    """Measure image arrays to ids for cases of size, batch and number of labels."""
    calls = {}
    for size, batch, count in cases:
        images, prepared = [picture(size)] * batch, segmenter.prepare(label_set(count))
        calls[size, batch, count] = lambda images=images, prepared=prepared: segmenter.segment(
            images, prepared
        )
    taken = measure_in_turn(calls, setting.device, setting.repeats)
    return [setting.row('c image to ids', *case).filled(taken[case]) for case in cases]


def _label_changes(setting: Setting, segmenter: Segmenter) -> list[Row]:
    """Measure how long new labels take until an image can be segmented under them."""
    rows = []
    for count in (USUAL_LABELS, 150):
        fresh = (label_set(count, f'{number} ') for number in itertools.count())
        known = label_set(count)
        calls = {
            'label change, cached': lambda: segmenter.prepare(known),
            'label change, new texts': lambda: segmenter.prepare(next(fresh)),
        }
        taken = measure_in_turn(calls, setting.device, max(3, setting.repeats // 10))
        rows += [setting.row(name, VGA, labels=count).filled(taken[name]) for name in calls]
    return rows


def _network_size(model, image: np.ndarray) -> tuple[int, int]:
    """Return height and width of the image where its short side is the network's."""
    scale = model.input_size / min(image.shape[:2])
    return tuple(round(side * scale) for side in image.shape[:2])
