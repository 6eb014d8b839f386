# SPDX-License-Identifier: Apache-2.0
"""Augment clean rendered views so that they resemble pictures from a robot's camera.

Images are uint8 [H, W, 3] RGB, masks uint8 [H, W] with 255 for "not labelled". Every function
draws from the given generator only, so any sample can be reproduced.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

from lseg_ros.labels.ids import UNLABELLED

BORDERS = ((cv2.BORDER_REFLECT_101, 0), (cv2.BORDER_CONSTANT, (255, 255, 255)), (cv2.BORDER_CONSTANT, (0, 0, 0)))

Photometric = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def photometric(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Apply light, lens, sensor and transmission effects in the order a picture meets them."""
    for probability, change in PHOTOMETRIC:
        if rng.random() < probability:
            image = change(image, rng)
    return image


def geometric(
    image: np.ndarray, mask: np.ndarray, size: tuple[int, int], zoom: tuple[float, float], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Crop to `size` (height, width) with random zoom, flip, small rotation and perspective.

    A zoom of 1 keeps the scale. Outside the picture the mask is UNLABELLED and the image is
    mirrored, white or black, like the borders of rectified photographs.
    """
    border = BORDERS[rng.integers(len(BORDERS))]
    height, width = size
    matrix = crop_matrix(image.shape[:2], size, zoom, rng)
    image = cv2.warpPerspective(image, matrix, (width, height), borderMode=border[0], borderValue=border[1])
    mask = cv2.warpPerspective(mask, matrix, (width, height), flags=cv2.INTER_NEAREST, borderValue=UNLABELLED)
    return image, mask


def crop_matrix(
    source: tuple[int, int], target: tuple[int, int], zoom: tuple[float, float], rng: np.random.Generator
) -> np.ndarray:
    """Return the homography [3, 3] from source pixels to the pixels of a random crop."""
    scale = np.exp(rng.uniform(*np.log(zoom)))
    aspect = np.exp(rng.normal(0.0, 0.06))
    angle = np.deg2rad(rng.normal(0.0, 4.0))
    size = np.array(source[::-1], float)
    # keep the window's centre where the source fills as much of the crop as the zoom allows
    slack = np.maximum(size - np.array(target[::-1]) / scale, 0.0) / 2.0
    centre = size / 2.0 + rng.uniform(-1.0, 1.0, 2) * slack
    flip = rng.choice([-1.0, 1.0])
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cos * aspect, -sin], [sin, cos / aspect]]) @ np.diag([flip, 1.0])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = np.array(target[::-1]) / 2.0 - linear @ centre
    tilt = np.eye(3)
    tilt[2, :2] = rng.normal(0.0, 0.06, 2) / np.array(target[::-1])
    middle = np.eye(3)
    middle[:2, 2] = -np.array(target[::-1]) / 2.0
    return np.linalg.inv(middle) @ tilt @ middle @ matrix


def recolour_regions(image: np.ndarray, mask: np.ndarray, rng: np.random.Generator, share: float = 0.5) -> np.ndarray:
    """Give a random share of the mask's regions another colour and a random pattern.

    Shading and fine texture are kept. This breaks the correlation of colour and class in
    rendered data.
    """
    gains = np.ones((256, 3), np.float32)
    strength = np.zeros(256, np.float32)
    for value in np.unique(mask):
        if value != UNLABELLED and rng.random() < share:
            gains[value] = np.exp(rng.normal(0.0, 0.3) + rng.normal(0.0, 0.12, 3))
            strength[value] = abs(rng.normal(0.0, 0.25))
    # anything from soft clouds to the hard blotches of a printed fabric, coarse or fine
    texture = _noise(mask.shape, int(np.exp(rng.uniform(*np.log((4, 90))))), rng)
    texture = np.tanh(texture * rng.uniform(0.5, 6.0))
    gain = gains[mask] * (1.0 + strength[mask] * texture)[..., None]
    return np.clip(image * gain, 0, 255).astype(np.uint8)


def _noise(shape: tuple[int, int], cells: int, rng: np.random.Generator) -> np.ndarray:
    """Return smooth float32 noise [H, W] of unit variance with about `cells` cells across."""
    height, width = shape
    rows = max(2, cells * height // width)
    coarse = rng.standard_normal((rows, cells), dtype=np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def tone(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change exposure, gamma, contrast and white balance with one look-up table per channel."""
    level = np.linspace(0.0, 1.0, 256)[:, None]
    cast = rng.choice([0.06, 0.18], p=[0.8, 0.2])  # sometimes the camera leaves the lamps' colour uncorrected
    level = level * np.exp(rng.normal(0.0, 0.35)) * np.exp(rng.normal(0.0, cast, 3))
    level = np.clip(level, 0.0, 1.0) ** np.exp(rng.normal(0.0, 0.3))
    level = 0.5 + (level - 0.5) * np.exp(rng.normal(0.0, 0.2)) + rng.normal(0.0, 0.05)
    table = np.clip(level * 255.0, 0, 255).astype(np.uint8)
    return cv2.LUT(image, np.ascontiguousarray(table[:, None, :]))


def saturation(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Reduce, increase or occasionally remove colour."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    amount = 0.0 if rng.random() < 0.12 else rng.uniform(0.3, 1.7)
    return cv2.addWeighted(image, amount, grey, 1.0 - amount, 0.0)


def hue(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rotate all hues slightly."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    hsv[..., 0] += np.uint8(int(rng.normal(0.0, 8.0)) % 256)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)


def random_filter(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blend in random convolutions across channels: new texture, same shapes.

    Source: Xu et al., "Robust and Generalizable Visual Representation Learning via Random
    Convolutions", ICLR 2021.
    """
    size = int(rng.choice([1, 3, 5]))
    kernels = rng.normal(0.0, 1.0, (3, 3, size, size))  # [to, from, size, size]
    pixels = image.astype(np.float32)
    filtered = np.stack(
        [sum(cv2.filter2D(pixels[..., i], -1, kernel) for i, kernel in enumerate(row)) for row in kernels], axis=2
    )
    filtered = (filtered - filtered.mean()) / (filtered.std() + 1e-3)
    filtered = filtered * pixels.std() + pixels.mean()
    return np.clip(pixels + rng.uniform(0.1, 0.7) * (filtered - pixels), 0, 255).astype(np.uint8)


def shading(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add soft light and shadow, as from lamps outside the picture, and vignetting."""
    height, width = image.shape[:2]
    light = 1.0 + rng.uniform(0.05, 0.3) * _noise((height, width), int(rng.integers(2, 5)), rng)
    y, x = np.ogrid[-1.0 : 1.0 : height * 1j, -1.0 : 1.0 : width * 1j]
    light -= rng.uniform(0.0, 0.25) * (x**2 + y**2)
    return np.clip(image * np.maximum(light, 0.1)[..., None], 0, 255).astype(np.uint8)


def shadow(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add a hard-edged shadow or patch of sunlight: a random quadrilateral."""
    height, width = image.shape[:2]
    corners = rng.uniform(-0.2, 1.2, (4, 2)) * (width, height)
    patch = np.zeros((height, width), np.float32)
    cv2.fillConvexPoly(patch, cv2.convexHull(corners.astype(np.int32)), 1.0)
    edge = int(rng.integers(1, 16))
    soft = cv2.blur(patch, (edge, edge))
    gain = np.exp(rng.normal(-0.1, 0.5))
    return np.clip(image * (1.0 + (gain - 1.0) * soft)[..., None], 0, 255).astype(np.uint8)


def bloom(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Overexpose: clip bright areas and let them glow into their surroundings."""
    height, width = image.shape[:2]
    bright = cv2.subtract(image, np.full(4, rng.uniform(150.0, 235.0)))
    small = cv2.resize(bright, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    glow = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.5, 3.5))
    glow = cv2.resize(glow, (width, height), interpolation=cv2.INTER_LINEAR)
    lit = cv2.addWeighted(image, 1.0, bright, 2.0, 0.0)
    return cv2.addWeighted(lit, 1.0, glow, rng.uniform(0.5, 3.0), 0.0)


def chromatic_shift(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Scale red and blue slightly relative to green: lateral chromatic aberration."""
    height, width = image.shape[:2]
    shifted = image.copy()
    for channel in (0, 2):
        scale = 1.0 + rng.normal(0.0, 0.004)
        matrix = cv2.getRotationMatrix2D((width / 2.0, height / 2.0), 0.0, scale)
        shifted[..., channel] = cv2.warpAffine(
            image[..., channel], matrix, (width, height), borderMode=cv2.BORDER_REPLICATE
        )
    return shifted


def blur(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur by defocus (Gaussian) or by motion (a straight streak of up to nine pixels)."""
    if rng.random() < 0.6:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.8))
    length = int(rng.integers(3, 10))
    angle = rng.uniform(0.0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * (length - 1) / 2.0
    middle = (length - 1) / 2.0
    kernel = np.zeros((length, length), np.float32)
    start, end = np.rint(middle - reach).astype(int), np.rint(middle + reach).astype(int)
    cv2.line(kernel, start.tolist(), end.tolist(), 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def lower_resolution(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Scale down and up again, as a cheap or digitally zoomed camera does."""
    height, width = image.shape[:2]
    scale = rng.uniform(0.35, 0.9)
    small = cv2.resize(image, (int(width * scale), int(height * scale)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def sharpen(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Apply an unsharp mask, as cameras do internally."""
    amount = rng.uniform(0.3, 1.5)
    soft = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.7, 2.0))
    return cv2.addWeighted(image, 1.0 + amount, soft, -amount, 0.0)


def sensor_noise(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add shot noise (grows with light), read noise and blotches of colour noise."""
    read, shot = rng.uniform(0.0, 6.0), rng.uniform(0.0, 0.6)
    grain = _grain(image.shape, rng)
    if rng.random() < 0.4:
        grain = cv2.resize(grain[::2, ::2], image.shape[1::-1]) * 1.5
    deviation = np.sqrt(read**2 + shot * np.arange(256, dtype=np.float32))
    return np.clip(image + cv2.LUT(image, deviation) * grain, 0, 255).astype(np.uint8)


def _grain(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return white noise float32 [H, W, 3]: a random part of a fixed field, as drawing is slow."""
    height, width = shape[:2]
    field = _grain_field(height + 256, width + 256)
    top, left = rng.integers(256, size=2)
    return field[top : top + height, left : left + width]


@lru_cache(maxsize=2)
def _grain_field(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((height, width, 3), dtype=np.float32)


def compress(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Compress as JPEG with quality 20 to 90."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 91))]
    decoded = cv2.imdecode(cv2.imencode('.jpg', image, quality)[1], cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded


def posterise(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Reduce to three to six bits per channel."""
    return image & np.uint8(256 - (1 << int(rng.integers(2, 6))))


PHOTOMETRIC: tuple[tuple[float, Photometric], ...] = (
    (0.15, random_filter),
    (0.35, shading),
    (0.25, shadow),
    (0.20, bloom),
    (0.20, chromatic_shift),
    (0.35, blur),
    (0.25, lower_resolution),
    (0.90, tone),
    (0.60, saturation),
    (0.25, hue),
    (0.55, sensor_noise),
    (0.20, sharpen),
    (0.40, compress),
    (0.05, posterise),
)
