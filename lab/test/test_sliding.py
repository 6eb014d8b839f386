# SPDX-License-Identifier: Apache-2.0
"""Sliding windows at one scale, compared with a plain version."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from lseg_lab.evaluation.sliding import TALK2DINO, TIPS, SlidingEvaluator, resize_like_talk2dino, resize_like_tips
from lseg_lab.evaluation.windows import sliding_windows
from lseg_ros.model import LSeg, LSegConfig


class Network:
    """A network of stride 14 whose unit embeddings depend on colours and place."""

    name, mean, std, stride = 'patches', (0.4, 0.5, 0.6), (0.5, 0.25, 0.2), 14
    dtype, device = torch.float32, torch.device('cpu')
    config = LSegConfig(temperature=0.02)
    normalise, correlate = LSeg.normalise, LSeg.correlate
    spatial = torch.nn.Identity()

    def __init__(self):
        self.calls = []
        self.kernel = torch.randn(4, 3, 14, 14, generator=torch.Generator().manual_seed(0))

    def encode_image(self, pixels):
        self.calls.append(tuple(pixels.shape))
        return F.normalize(F.conv2d(pixels, self.kernel, stride=14) / 8, dim=1)


def photo(height, width):
    noise = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return np.array(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC))


def spans(side, stride):
    """Return where 448-pixel windows start, counted up until one reaches the end."""
    starts = [0]
    while starts[-1] + 448 < side:
        starts.append(min(starts[-1] + stride, side - 448))
    return starts


def restated(network, resized, size, text, stride, window_scores):
    """Return the scores [K, *size] of one window after another, from a resized image."""
    mean, std = (np.array(value) for value in (network.mean, network.std))
    pixels = torch.from_numpy(((resized / 255 - mean) / std).astype(np.float32)).permute(2, 0, 1)
    total = torch.zeros(len(text), *resized.shape[:2])
    count = torch.zeros(resized.shape[:2])
    for top in spans(resized.shape[0], stride):
        for left in spans(resized.shape[1], stride):
            part = np.s_[..., top : top + 448, left : left + 448]
            patches = network.encode_image(pixels[part][None])[0]
            cosine = (patches.flatten(1).T @ text.T).T.reshape(len(text), 32, 32)
            total[part] += window_scores(cosine)
            count[part] += 1
    return F.interpolate((total / count)[None], size, mode='bilinear', align_corners=False)[0]


@pytest.fixture
def text():
    return F.normalize(torch.randn(5, 4, generator=torch.Generator().manual_seed(1)), dim=1)


@pytest.mark.parametrize('size, windows', [((300, 400), 2), ((900, 500), 3), ((448, 448), 1), ((90, 80), 2)])
def test_tips_averages_the_softmax_of_cosines(size, windows, text):
    image, network = photo(*size), Network()
    scores = SlidingEvaluator(network, TIPS)(image, text)
    assert network.calls == [(1, 3, 448, 448)] * windows

    def window_scores(cosine):
        large = F.interpolate(cosine[None], (448, 448), mode='bilinear', align_corners=False)[0]
        return large.exp() / large.exp().sum(0)

    expected = restated(network, resize_like_tips(image, 448), size, text, 336, window_scores)
    assert scores.shape == (5, *size)
    torch.testing.assert_close(scores, expected, atol=2e-6, rtol=0)
    torch.testing.assert_close(scores.sum(0), torch.ones(size), atol=1e-5, rtol=0)


def test_talk2dino_averages_the_sigmoid_of_cosines(text):
    image, network = photo(300, 500), Network()
    scores = SlidingEvaluator(network, TALK2DINO, batch=2)(image, text)
    # 448 x 747 pixels: windows from 0, 224 and 299
    assert network.calls == [(2, 3, 448, 448), (1, 3, 448, 448)]

    def window_scores(cosine):
        small = 1 / (1 + (-cosine).exp())
        return F.interpolate(small[None], (448, 448), mode='bilinear', align_corners=True)[0]

    expected = restated(network, resize_like_talk2dino(image, 448), (300, 500), text, 224, window_scores)
    torch.testing.assert_close(scores, expected, atol=2e-6, rtol=0)


def test_a_narrow_image_is_stretched_into_its_windows(text):
    """At a long side of 2048 pixels, 40 x 400 becomes 205 x 2048."""
    network = Network()
    scores = SlidingEvaluator(network, TALK2DINO)(photo(40, 400), text)
    assert scores.shape == (5, 40, 400) and scores.isfinite().all()
    assert network.calls == [(1, 3, 448, 448)] * 9


@pytest.mark.parametrize(
    'side, stride, spans',
    [(448, 336, [(0, 448)]), (597, 336, [(0, 448), (149, 597)]), (784, 336, [(0, 448), (336, 784)]),
     (785, 336, [(0, 448), (336, 784), (337, 785)]), (672, 224, [(0, 448), (224, 672)]), (300, 224, [(0, 300)])],
)  # fmt: skip
def test_the_last_window_is_moved_back(side, stride, spans):
    across = sliding_windows(448, side, 448, stride)
    assert [(window.left, window.right) for window in across] == spans
    down = sliding_windows(side, 448, 448, stride)
    assert [(window.top, window.bottom) for window in down] == spans


@pytest.mark.parametrize(
    'size, tips, talk2dino',
    [
        ((480, 640), (448, 597), (448, 597)),
        ((640, 479), (598, 448), (599, 448)),
        ((1024, 2048), (448, 896), (448, 896)),
        ((100, 1000), (448, 4480), (205, 2048)),
    ],
)
def test_images_are_resized_to_a_short_side_of_448(size, tips, talk2dino):
    image = photo(*size)
    assert resize_like_tips(image, 448).shape == (*tips, 3)
    assert resize_like_talk2dino(image, 448).shape == (*talk2dino, 3)


def test_a_network_of_another_stride_is_refused():
    network = Network()
    network.stride = 15
    with pytest.raises(ValueError, match='windows of 448 pixels are no multiple of 15, which patches needs'):
        SlidingEvaluator(network, TIPS)
