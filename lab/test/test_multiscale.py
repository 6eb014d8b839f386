# SPDX-License-Identifier: Apache-2.0
"""The authors' test-time protocol, compared with a plain version in NumPy."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lseg_lab.evaluation.multiscale import CITYSCAPES_SCALES, SCALES, MultiScaleEvaluator
from lseg_lab.evaluation.multiscale_segmenter import MultiScaleSegmenter
from lseg_ros.labels import LabelRegistry
from lseg_ros.model import LSeg


class Network:
    """A network that depends on position, neighbours and direction, and records its calls."""

    mean, std = (0.4, 0.5, 0.6), (0.5, 0.25, 0.2)
    stride, input_size, calibration = 32, 0, 1.0
    dtype, device = torch.float32, torch.device('cpu')

    normalise = LSeg.normalise

    def __init__(self):
        self.calls = []
        self.kernel = torch.randn(3, 3, 5, 5, generator=torch.Generator().manual_seed(0))

    def encode_text(self, prompts):
        generator = torch.Generator().manual_seed(1)
        return torch.randn(len(prompts), 3, generator=generator)

    def __call__(self, pixels, text):
        self.calls.append(tuple(pixels.shape))
        ramp = torch.linspace(-1, 2, pixels.shape[-1])
        features = F.conv2d(pixels, self.kernel, padding=2) / 5 + ramp
        return torch.einsum('bdhw,kd->bkhw', features, text)


def resized(array, size):
    """Resize [C, H, W] bilinearly with aligned corners, one axis after the other."""
    for axis in (1, 2):
        old, new = array.shape[axis], size[axis - 1]
        at = np.arange(new) * ((old - 1) / (new - 1) if new > 1 else 0)
        low = np.minimum(at.astype(int), old - 1)
        high = np.minimum(low + 1, old - 1)
        weight = (at - low).reshape([-1 if a == axis else 1 for a in range(3)])
        array = np.take(array, low, axis) * (1 - weight) + np.take(array, high, axis) * weight
    return array


def size_with_long_side(long, height, width):
    if height > width:
        return long, int(width * long / height + 0.5)
    return int(height * long / width + 0.5), long


def restated(network, image, text, base=520, crop=480, scales=SCALES):
    """Return the protocol's logits, computed step by step."""
    mean, std = (np.array(v)[:, None, None] for v in (network.mean, network.std))
    normalised = (image.transpose(2, 0, 1) / 255 - mean) / std
    _, h, w = normalised.shape
    stride = int(crop * 2 / 3)

    def padded(part):
        canvas = np.tile(-mean / std, (1, max(crop, part.shape[1]), max(crop, part.shape[2])))
        canvas[:, : part.shape[1], : part.shape[2]] = part
        return canvas

    def logits(part):
        def answer(pixels):
            pixels = torch.from_numpy(pixels.astype(np.float32))[None]
            return network(pixels, text)[0].double().numpy()

        return answer(part) + answer(part[:, :, ::-1].copy())[:, :, ::-1]

    total = np.zeros((len(text), h, w))
    for scale in scales:
        long = math.ceil(base * scale)
        height, width = size_with_long_side(long, h, w)
        scaled = resized(normalised, (height, width))
        if long <= crop:
            result = logits(padded(scaled))
        else:
            canvas = padded(scaled)
            _, ph, pw = canvas.shape
            total_here, count = np.zeros((len(text), ph, pw)), np.zeros((ph, pw))
            for i in range(math.ceil((ph - crop) / stride) + 1):
                for j in range(math.ceil((pw - crop) / stride) + 1):
                    h0, w0 = i * stride, j * stride
                    h1, w1 = min(h0 + crop, ph), min(w0 + crop, pw)
                    part = logits(padded(canvas[:, h0:h1, w0:w1]))
                    total_here[:, h0:h1, w0:w1] += part[:, : h1 - h0, : w1 - w0]
                    count[h0:h1, w0:w1] += 1
            result = total_here / count
        total += resized(result[:, :height, :width], (h, w))
    return total


def photo(height, width):
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    'size, calls', [((480, 480), 46), ((480, 640), 36), ((352, 480), 32), ((300, 700), 22), ((100, 80), 36)]
)
def test_the_passes_are_as_many_as_the_authors(size, calls):
    assert 2 * len(MultiScaleEvaluator(Network()).windows(*size)) == calls


@pytest.mark.parametrize('size, labels, calls', [((100, 80), 3, 36), ((300, 700), 1, 22)])
def test_logits_are_those_of_the_protocol(size, labels, calls):
    network, image = Network(), photo(*size)
    text = network.encode_text(['label'] * labels)
    logits = MultiScaleEvaluator(network)(image, text)
    assert network.calls == [(1, 3, 480, 480)] * calls
    assert logits.shape == (labels, *size) and logits.dtype == torch.float32
    expected = restated(network, image, text)
    assert np.abs(logits.numpy() - expected).max() < 2e-3 < expected.std() / 1000


@pytest.mark.parametrize('size', [(70, 131), (40, 30)])
def test_other_settings_as_for_cityscapes(size):
    network, image = Network(), photo(*size)
    settings = {'base': 128, 'crop': 96, 'scales': CITYSCAPES_SCALES}
    text = network.encode_text(['road', 'car'])
    logits = MultiScaleEvaluator(network, **settings)(image, text).numpy()
    assert np.allclose(logits, restated(network, image, text, **settings), atol=2e-3)


def test_batches_and_normalised_pixels_change_nothing():
    network, image = Network(), photo(60, 150)
    settings = {'base': 128, 'crop': 64}
    text = network.encode_text(['floor', 'wall'])
    expected = MultiScaleEvaluator(network, **settings)(image, text)
    mean, std = (torch.tensor(v)[:, None, None] for v in (network.mean, network.std))
    pixels = (torch.from_numpy(image).permute(2, 0, 1) / 255 - mean) / std
    assert torch.allclose(MultiScaleEvaluator(network, **settings)(pixels, text), expected)
    network.calls.clear()
    batched = MultiScaleEvaluator(network, **settings, batch=6)
    assert torch.allclose(batched(image, text), expected, atol=1e-4)
    assert max(shape[0] for shape in network.calls) == 6


def test_progress_sees_every_window():
    seen = []

    def progress(windows):
        for window in windows:
            yield window
            seen.append(window)

    evaluator = MultiScaleEvaluator(Network(), base=64, crop=32, scales=(1, 2), progress=progress)
    evaluator(photo(20, 30), torch.ones(1, 3))
    assert seen == evaluator.windows(20, 30)


def test_a_real_network_runs(tiny_model):
    text = tiny_model.encode_text(['floor', 'wall', 'other'])
    evaluator = MultiScaleEvaluator(tiny_model, base=64, crop=64, scales=(1, 1.5))
    logits = evaluator(photo(40, 50), text)
    assert logits.shape == (3, 40, 50) and logits.isfinite().all()


@pytest.mark.parametrize(
    'settings, message',
    [
        ({'crop': 470}, '32 .* 470.*448 or 480'),
        ({'crop': 20}, 'use 32'),
        ({'scales': ()}, 'scales'),
        ({'scales': (1, 0)}, 'scales'),
        ({'base': 0}, 'base'),
        ({'batch': 0}, 'batch'),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        MultiScaleEvaluator(Network(), **settings)


@pytest.mark.parametrize(
    'image',
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), torch.zeros(1, 3, 4, 4), torch.zeros(3, 4, 4, dtype=torch.uint8)],
)
def test_images_of_another_kind_are_refused(image):
    with pytest.raises(ValueError, match='must be'):
        MultiScaleEvaluator(Network())(image, torch.ones(1, 3))


def test_the_segmenter_decides_on_the_mean_of_the_logits():
    """The best prompt of a class counts, and confidence is calibrated as in a single pass."""
    network = Network()
    multiscale = MultiScaleEvaluator(network, base=64, crop=64, scales=(0.5, 1.5))
    network.calibration = 2.0
    segmenter = MultiScaleSegmenter(multiscale)
    prepared = segmenter.prepare(LabelRegistry(include_other=False).replace(['floor=floor|rug', 'wall']))
    image = photo(40, 50)
    (result,) = segmenter.segment([image], prepared, threshold=0.6)
    logits = multiscale(image, prepared.text) / 4
    scores = torch.stack([logits[:2].amax(0), logits[2]])
    confidence, index = torch.softmax(scores / 2, 0).max(0)
    ids = torch.where(confidence < 0.6, 255, index + 1)
    assert (result.ids == ids.numpy()).all() and {1, 2, 255} == set(np.unique(result.ids))
    assert np.abs(result.confidence - 255 * confidence.numpy()).max() <= 0.51
