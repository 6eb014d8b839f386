# SPDX-License-Identifier: Apache-2.0
"""Generate the textures of outdoor scenes.

Every function takes a NumPy generator and returns float32 sRGB in 0..1, [256, 256, 3], or
[256, 256, 4] with opacity as the last channel.
"""

from __future__ import annotations

import colorsys
import math

import numpy as np

from lseg_lab.rooms.patterns import SIZE, X, Y, cells, noise, random_colour, shaded

Rng = np.random.Generator


def asphalt(rng: Rng) -> np.ndarray:
    """Draw about five metres of asphalt or concrete with repairs, cracks and stains."""
    colour = rng.uniform(0.25, 0.68) * (1 + rng.normal(0, 0.025, 3))
    shade = 1 + rng.uniform(0.03, 0.14) * noise(rng, 0.15) + rng.uniform(0.01, 0.07) * noise(rng, 1.8)
    if rng.random() < 0.4:
        shade *= np.where(noise(rng, 2.6) > rng.uniform(0.8, 1.6), rng.uniform(0.65, 1.25), 1)
    if rng.random() < 0.4:
        left, top, width, height = rng.uniform(0.1, 0.6, 4)
        shade *= np.where((np.abs(X - left) < width / 2) & (np.abs(Y - top) < height / 2), rng.uniform(0.7, 1.2), 1)
    if rng.random() < 0.5:
        shade *= 1 - rng.uniform(0.15, 0.5) * (np.abs(noise(rng, 1.9)) < 0.02)
    return shaded(colour, shade)


def cobbles(rng: Rng) -> np.ndarray:
    """Draw about two metres of setts with dark joints."""
    rows = int(rng.choice([10, 14, 18, 24]))
    value, border = cells(rng, int(rows * rng.choice([0.5, 0.8, 1.0])), rows, 0.5)
    joint = np.clip(border * rows / rng.uniform(0.1, 0.3), 0, 1)
    shade = (1 + rng.uniform(0.06, 0.2) * value + 0.07 * noise(rng, 0.8)) * (
        rng.uniform(0.35, 0.7) * (1 - joint) + joint
    )
    return shaded(_mineral(rng, 0.3, 0.72), shade)


def paving(rng: Rng) -> np.ndarray:
    """Draw about three metres of slabs or bricks."""
    if rng.random() < 0.5:
        columns, rows = int(rng.choice([3, 4, 5, 6])), int(rng.choice([4, 6, 8]))
    else:
        columns, rows = int(rng.choice([8, 12, 16])), int(rng.choice([16, 24, 32]))
    value, border = cells(rng, columns, rows, float(rng.choice([0.0, 0.5, 0.33])))
    red = np.array([0.62, 0.36, 0.28]) * rng.uniform(0.7, 1.2)
    colour = red if rng.random() < 0.2 else _mineral(rng, 0.4, 0.85)
    shade = 1 + rng.uniform(0.02, 0.12) * value + 0.05 * noise(rng, 0.4) + rng.uniform(0, 0.08) * noise(rng, 1.8)
    joint = border < rng.uniform(0.002, 0.006)
    return shaded(colour, shade * np.where(joint, rng.uniform(0.5, 0.95), 1))


def _mineral(rng: Rng, low: float, high: float) -> np.ndarray:
    warm = np.array([1.0, rng.uniform(0.9, 1.0), rng.uniform(0.78, 1.04)])
    return warm * rng.uniform(low, high)


def gravel(rng: Rng) -> np.ndarray:
    """Draw gravel, sand or trodden soil."""
    colour = np.array(colorsys.hsv_to_rgb(rng.uniform(0.05, 0.13), rng.uniform(0.03, 0.4), rng.uniform(0.35, 0.8)))
    return shaded(colour, 1 + rng.uniform(0.08, 0.25) * noise(rng, 0.35) + 0.07 * noise(rng, 1.8))


def grass(rng: Rng) -> np.ndarray:
    """Draw lawn, meadow or dry grass, sometimes with fallen leaves."""
    green = np.array(colorsys.hsv_to_rgb(rng.uniform(0.15, 0.31), rng.uniform(0.3, 0.7), rng.uniform(0.28, 0.62)))
    dry = np.array(colorsys.hsv_to_rgb(rng.uniform(0.1, 0.16), rng.uniform(0.2, 0.5), rng.uniform(0.4, 0.7)))
    amount = np.clip(rng.uniform(-0.3, 0.5) + rng.uniform(0.05, 0.3) * noise(rng, 1.6), 0, 1)[..., None]
    shade = 1 + rng.uniform(0.1, 0.26) * noise(rng, 0.35, (1, rng.uniform(1, 4)))
    image = shaded(green, shade) * (1 - amount) + shaded(dry, shade) * amount
    if rng.random() < 0.2:
        image[noise(rng, 0.7) > 2.3] = random_colour(rng, 0.5, 1.0)
    return np.clip(image, 0, 1).astype(np.float32)


def leaves(rng: Rng) -> np.ndarray:
    """Draw dense light grey leaves, to be tinted by their users."""
    shade = 0.86 + rng.uniform(0.1, 0.22) * noise(rng, rng.uniform(0.5, 1.1))
    return shaded(1 + rng.normal(0, 0.06, 3), np.clip(shade, 0.12, 1.0))


def foliage(rng: Rng) -> np.ndarray:
    """Draw a spray of light grey leaves with gaps and an irregular border."""
    field = noise(rng, rng.uniform(0.7, 1.3))
    inside = field + 1.6 * (1.0 - np.hypot(X - 0.5, Y - 0.5) / 0.4) > rng.uniform(-0.1, 0.3)
    inside &= np.hypot(X - 0.5, Y - 0.5) < 0.49
    return np.dstack([leaves(rng), inside]).astype(np.float32)


def bark(rng: Rng) -> np.ndarray:
    """Draw brown, grey or white bark with vertical furrows."""
    colour = np.array(colorsys.hsv_to_rgb(rng.uniform(0.03, 0.11), rng.uniform(0.08, 0.5), rng.uniform(0.2, 0.65)))
    return shaded(colour, 1 + rng.uniform(0.15, 0.35) * noise(rng, 0.9, (1, 6)))


def masonry(rng: Rng) -> np.ndarray:
    """Draw about three metres of bricks, stone blocks, panels, boards or stained render."""
    draw = rng.random()
    stain = 1 + rng.uniform(0.01, 0.06) * noise(rng, 1.9)
    if draw < 0.5:
        value, border = cells(rng, int(rng.choice([12, 14])), int(rng.choice([36, 42])), 0.5)
        hue, strength = rng.uniform(0.0, 0.1), rng.uniform(0.15, 0.62)
        colour = np.array(colorsys.hsv_to_rgb(hue, strength, rng.uniform(0.35, 0.85)))
        image = shaded(colour, stain * (1 + rng.uniform(0.05, 0.16) * value))
        image[border < 0.0035] = rng.uniform(0.45, 0.85) * (1 + rng.normal(0, 0.02, 3))
        return image
    if draw < 0.72:
        value, border = cells(rng, int(rng.choice([4, 5, 6])), int(rng.choice([8, 10, 12])), rng.choice([0.5, 0.3]))
        shade = stain * (1 + 0.08 * value + 0.05 * noise(rng, 0.7))
        return shaded(_mineral(rng, 0.4, 0.9), shade * np.where(border < 0.005, rng.uniform(0.6, 0.95), 1))
    if draw < 0.84:
        _, border = cells(rng, int(rng.choice([1, 2, 3])), int(rng.choice([1, 2, 3])), 0.0)
        return shaded(_mineral(rng, 0.4, 0.85), stain * np.where(border < 0.006, 0.6, 1) * (1 + 0.02 * noise(rng, 0.3)))
    if draw < 0.92:
        rows = int(rng.choice([12, 16, 24]))
        edge = (Y * rows) % 1
        return shaded(random_colour(rng, 0.3, 0.95), stain * (0.8 + 0.2 * np.clip(edge * 5, 0, 1)))
    return shaded(random_colour(rng, 0.5, 0.98), stain * (1 + 0.02 * noise(rng, 0.3)))


def roof_tiles(rng: Rng) -> np.ndarray:
    """Draw about three metres of tiles or slates."""
    rows = int(rng.choice([10, 14, 18]))
    value, border = cells(rng, rows, rows, float(rng.choice([0.0, 0.5])))
    clay = np.array([0.62, 0.32, 0.22]) * rng.uniform(0.5, 1.2)
    colour = clay if rng.random() < 0.5 else _mineral(rng, 0.2, 0.55)
    shade = 1 + 0.1 * value + 0.06 * noise(rng, 1.2)
    return shaded(
        colour, shade * (0.65 + 0.35 * np.clip(((Y * rows) % 1) * 4, 0, 1)) * np.where(border < 0.003, 0.7, 1)
    )


def casement(rng: Rng) -> np.ndarray:
    """Draw a window seen from outside: frame, glass with reflections, curtains or blinds."""
    dark = rng.uniform(0.05, 0.35) * np.array([0.85, 0.95, 1.05])
    glass = dark + rng.uniform(0, 0.5) * np.clip(Y - rng.uniform(-0.3, 0.7), 0, 1)[..., None]
    glass = glass * (1 + 0.25 * noise(rng, 1.8)[..., None])
    draw = rng.random()
    if draw < 0.35:
        drawn = np.abs(X - 0.5) > rng.uniform(0.1, 0.4)
        glass[drawn] = random_colour(rng, 0.35, 0.9) * (0.7 + 0.15 * np.sin(X * rng.uniform(60, 160))[drawn][:, None])
    elif draw < 0.5:
        lowered = rng.uniform(0.2, 0.9) < Y
        glass[lowered] = rng.uniform(0.4, 0.9) * (0.85 + 0.1 * np.sin(Y * 150)[lowered][:, None])
    border = rng.uniform(0.03, 0.08)
    bars = np.minimum.reduce([X, 1 - X, Y, 1 - Y]) < border
    for axis, most in ((X, 4), (Y, 4)):
        for position in np.linspace(0, 1, int(rng.integers(1, most)) + 1)[1:-1]:
            bars |= np.abs(axis - position) < border * 0.45
    white = rng.uniform(0.75, 1.0)
    glass[bars] = white if rng.random() < 0.6 else random_colour(rng, 0.08, 0.7)
    return np.clip(glass, 0, 1).astype(np.float32)


def shop_window(rng: Rng) -> np.ndarray:
    """Draw a shop front: panes between frames, goods behind them, a door and a plinth."""
    image = np.broadcast_to(rng.uniform(0.05, 0.3, 3), (SIZE, SIZE, 3)) * (1 + 0.3 * noise(rng, 1.6)[..., None])
    for _ in range(rng.integers(8, 40)):
        x, y, width, height = rng.random(), rng.uniform(0.1, 0.7), rng.uniform(0.01, 0.07), rng.uniform(0.03, 0.2)
        image[(np.abs(X - x) < width) & (np.abs(Y - y) < height)] = random_colour(rng, 0.1, 1.0)
    image = image * rng.uniform(0.5, 1.0) + rng.uniform(0, 0.25) * (1 + 0.5 * noise(rng, 2.0))[..., None]
    frame = random_colour(rng, 0.05, 0.9)
    edge = rng.uniform(0.01, 0.03)
    bars = np.minimum.reduce([X, 1 - X, Y, 1 - Y]) < edge
    for position in np.linspace(0, 1, int(rng.integers(2, 6)))[1:-1]:
        bars |= np.abs(X - position) < edge * 0.6
    bars |= rng.uniform(0.03, 0.25) > Y
    image[bars] = frame
    return np.clip(image, 0, 1).astype(np.float32)


def front_door(rng: Rng) -> np.ndarray:
    """Draw an entrance door with panels or panes."""
    image = np.broadcast_to(random_colour(rng, 0.1, 0.9), (SIZE, SIZE, 3)).copy()
    image *= 1 + 0.05 * noise(rng, 0.8)[..., None]
    columns, rows = int(rng.integers(1, 3)), int(rng.integers(1, 4))
    x, y = (X * columns) % 1, (Y * rows) % 1
    panel = (np.abs(x - 0.5) < 0.33) & (np.abs(y - 0.5) < 0.38)
    glazed = panel & (rng.uniform(0.0, 1.2) < Y)
    image[panel] *= rng.uniform(0.75, 1.15)
    image[glazed] = rng.uniform(0.08, 0.5, 3)
    image[np.minimum.reduce([X, 1 - X, 1 - Y]) < 0.04] = rng.uniform(0.3, 1.0)
    return np.clip(image, 0, 1).astype(np.float32)


def lettering(rng: Rng) -> np.ndarray:
    """Draw a shop sign: letter-like blocks on a coloured background."""
    ground, ink = random_colour(rng, 0.05, 0.95), random_colour(rng, 0.2, 1.0)
    image = np.broadcast_to(ground, (SIZE, SIZE, 3)).copy()
    left, letter = rng.uniform(0.05, 0.35), rng.uniform(0.015, 0.035)
    strokes = noise(rng, 0.9, (1.0, 0.3)) > -0.2
    inside = (left < X) & (1 - left > X) & (np.abs(Y - 0.5) < rng.uniform(0.15, 0.3)) & ((X / letter) % 1 < 0.75)
    image[inside & strokes] = ink
    return np.clip(image, 0, 1).astype(np.float32)


_SIGN_COLOURS = (
    (0.78, 0.08, 0.1),
    (0.05, 0.25, 0.6),
    (0.95, 0.75, 0.05),
    (0.05, 0.42, 0.25),
    (0.95, 0.95, 0.95),
    (0.9, 0.45, 0.05),
)


def traffic_sign(rng: Rng) -> np.ndarray:
    """Draw a round, triangular, octagonal, square or diamond-shaped sign with a symbol."""
    x, y = X - 0.5, Y - 0.5
    reach = (
        np.hypot(x, y),
        np.maximum(-y * 0.9 + 0.02, 0.866 * np.abs(x) + 0.5 * y + 0.06) * 1.15,
        np.maximum(np.maximum(np.abs(x), np.abs(y)), (np.abs(x) + np.abs(y)) / 1.414),
        np.maximum(np.abs(x), np.abs(y)),
        (np.abs(x) + np.abs(y)) / 1.0,
    )[rng.choice(5, p=[0.34, 0.22, 0.08, 0.26, 0.1])]
    rim, face = (np.array(_SIGN_COLOURS[rng.integers(len(_SIGN_COLOURS))]) for _ in range(2))
    image = np.where((reach > rng.uniform(0.3, 0.44))[..., None], rim, face)
    symbol = (noise(rng, 2.0) > rng.uniform(0.4, 1.3)) & (reach < 0.27)
    image[symbol] = rng.choice([0.03, 0.95])
    return np.dstack([image * rng.uniform(0.75, 1.0), reach < 0.48]).astype(np.float32)


def wire_mesh(rng: Rng) -> np.ndarray:
    """Draw about a metre of wire mesh, square or diagonal, with holes."""
    count, width = int(rng.choice([8, 10, 14])), rng.uniform(0.2, 0.3)
    first, second = (X + Y, X - Y) if rng.random() < 0.6 else (X, Y)
    wire = ((first * count) % 1 < width) | ((second * count) % 1 < width)
    colour = rng.uniform(0.3, 0.8) * (1 + rng.normal(0, 0.05, 3))
    return np.dstack([shaded(colour, 1 + 0.15 * noise(rng, 0.8)), wire]).astype(np.float32)


def cover(rng: Rng) -> np.ndarray:
    """Draw a cast-iron manhole cover, round or square."""
    reach = np.hypot(X - 0.5, Y - 0.5) if rng.random() < 0.7 else np.maximum(np.abs(X - 0.5), np.abs(Y - 0.5))
    count = int(rng.choice([6, 10, 14]))
    knobs = np.sin(X * count * 2 * math.pi) * np.sin(Y * count * 2 * math.pi)
    shade = 1 + 0.25 * np.sign(knobs) * (reach < 0.38) + 0.1 * noise(rng, 0.5)
    return np.dstack([shaded(_mineral(rng, 0.2, 0.5), shade), reach < 0.48]).astype(np.float32)


DRAWN = {
    'asphalt': (asphalt, 26),
    'cobbles': (cobbles, 16),
    'paving': (paving, 30),
    'gravel': (gravel, 12),
    'grass': (grass, 22),
    'leaves': (leaves, 10),
    'foliage': (foliage, 16),
    'bark': (bark, 14),
    'masonry': (masonry, 50),
    'roof tiles': (roof_tiles, 18),
    'casement': (casement, 60),
    'shop window': (shop_window, 30),
    'front door': (front_door, 20),
    'lettering': (lettering, 24),
    'traffic sign': (traffic_sign, 50),
    'wire mesh': (wire_mesh, 18),
    'manhole cover': (cover, 8),
}
