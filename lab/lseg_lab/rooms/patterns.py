# SPDX-License-Identifier: Apache-2.0
"""Generate tileable textures: wood, tiles, carpet, fabric, pictures.

Every texture function takes a NumPy generator and returns float32 [256, 256, 3] sRGB in 0..1.
"""

from __future__ import annotations

import colorsys

import numpy as np

SIZE = 256
Y, X = np.mgrid[0:SIZE, 0:SIZE] / SIZE
Rng = np.random.Generator


def random_colour(rng: Rng, low: float = 0.05, high: float = 1.0) -> np.ndarray:
    """Draw a colour of low saturation with a value from `low` to `high`.

    Half of the hues are warm, as in most rooms; strong colours of any hue are rare.
    """
    hue = rng.normal(0.08, 0.04) % 1 if rng.random() < 0.5 else rng.random()
    saturation = 0.7 * rng.random() ** 2.5
    return np.array(colorsys.hsv_to_rgb(hue, saturation, rng.uniform(low, high)))


def paint_colour(rng: Rng) -> np.ndarray:
    """Draw a wall paint: mostly off-white or beige, sometimes grey, occasionally a colour."""
    draw = rng.random()
    if draw < 0.6:
        warmth = rng.uniform(0.0, 1.0)
        return rng.uniform(0.62, 0.98) * (1 - warmth * np.array([0.0, 0.05, 0.17]))
    if draw < 0.78:
        return rng.uniform(0.4, 0.95) * (1 + rng.normal(0, 0.015, 3))
    return random_colour(rng, 0.25, 0.95)


def wood_colour(rng: Rng) -> np.ndarray:
    """Draw a wood colour, from ebony through cherry and oak to whitewashed."""
    hue, saturation = rng.uniform(0.02, 0.11), rng.uniform(0.15, 0.7)
    return np.array(colorsys.hsv_to_rgb(hue, saturation, rng.uniform(0.1, 0.9)))


def noise(rng: Rng, falloff: float = 1.5, stretch: tuple[float, float] = (1, 1)) -> np.ndarray:
    """Return tileable [256, 256] noise of zero mean and unit deviation.

    Power falls as frequency ** -falloff. A `stretch` (x, y) above 1 elongates the grain along
    that axis.
    """
    fx = np.fft.rfftfreq(SIZE)[None, :] * stretch[0]
    fy = np.fft.fftfreq(SIZE)[:, None] * stretch[1]
    frequency = np.hypot(fx, fy)
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.standard_normal((SIZE, SIZE))) * frequency**-falloff
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, s=(SIZE, SIZE))
    return field / field.std()


def crumple(rng: Rng, rows: int, columns: int, falloff: float) -> np.ndarray:
    """Return folds [rows, columns] of zero mean and unit deviation."""
    field = noise(rng, falloff)
    y, x = rng.integers(0, 100, 2)
    step = SIZE // max(rows, columns)
    folds = field[::step, ::step][:rows, :columns]
    return np.roll(folds, (y, x), (0, 1)) / max(folds.std(), 1e-6)


def shaded(colour: np.ndarray, shade: np.ndarray) -> np.ndarray:
    """Return a colour multiplied by `shade`, [256, 256] around 1."""
    return np.clip(colour * shade[..., None], 0, 1).astype(np.float32)


def wood(rng: Rng) -> np.ndarray:
    """Draw wood with its grain along x."""
    grain = noise(rng, 1.3, (rng.uniform(8, 25), 1))
    fine = noise(rng, 0.4, (12, 1))
    contrast = rng.uniform(0.03, 0.16)
    return shaded(wood_colour(rng), 1 + contrast * grain + 0.04 * fine)


def cells(rng: Rng, columns: int, rows: int, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (value per cell spread over its pixels, distance to the cell's border in cells)."""
    y = Y * rows
    row = y.astype(int)
    x = (X * columns + (row % 2) * shift) % columns
    value = rng.standard_normal((rows, columns))[row, x.astype(int)]
    border_x = np.minimum(x % 1, 1 - x % 1) / columns
    border_y = np.minimum(y % 1, 1 - y % 1) / rows
    return value, np.minimum(border_x, border_y)


def planks(rng: Rng) -> np.ndarray:
    """Draw floor boards along x, about two metres of floor."""
    rows = int(rng.choice([6, 8, 10, 12, 16]))
    value, border = cells(rng, int(rng.choice([1, 2, 3])), rows, rng.choice([0.5, 0.33]))
    grain = noise(rng, 1.3, (rng.uniform(8, 20), 1))
    shade = 1 + rng.uniform(0.02, 0.16) * value + rng.uniform(0.02, 0.1) * grain
    shade *= 1 - rng.uniform(0.1, 0.6) * (border < 0.003)
    return shaded(wood_colour(rng), shade)


def parquet(rng: Rng) -> np.ndarray:
    """Draw squares of strips with the grain turned in every other square."""
    along, across = noise(rng, 1.3, (15, 1)), noise(rng, 1.3, (1, 15))
    count = int(rng.choice([2, 4]))
    turned = ((X * count).astype(int) + (Y * count).astype(int)) % 2 == 0
    strips, other = cells(rng, count, count * 5, 0), cells(rng, count * 5, count, 0)
    value = np.where(turned, strips[0], other[0])
    border = np.where(turned, strips[1], other[1])
    shade = 1 + 0.09 * value + 0.07 * np.where(turned, along, across)
    return shaded(wood_colour(rng), shade * (1 - 0.35 * (border < 0.003)))


def tiles(rng: Rng) -> np.ndarray:
    """Draw about two metres of ceramic or stone tiles with grout, sometimes in two colours."""
    count = int(rng.choice([2, 4, 4, 6, 8, 12]))
    shift = rng.choice([0.0, 0.0, 0.5])
    value, border = cells(rng, count, count, shift)
    first = random_colour(rng, 0.35, 0.98) if rng.random() < 0.3 else _stone_colour(rng)
    colour = np.broadcast_to(first, (SIZE, SIZE, 3)).copy()
    if rng.random() < 0.25:
        odd = ((X * count).astype(int) + (Y * count).astype(int)) % 2 == 1
        colour[odd] = random_colour(rng, 0.1, 0.9)
    mottled = rng.uniform(0, 0.1) * noise(rng, rng.uniform(1.0, 2.0))
    shade = 1 + rng.uniform(0.0, 0.08) * value + mottled
    grout = border < rng.uniform(0.003, 0.009)
    colour = np.clip(colour * shade[..., None], 0, 1)
    colour[grout] = rng.uniform(0.3, 0.9)
    return colour.astype(np.float32)


def _stone_colour(rng: Rng) -> np.ndarray:
    warm = np.array([1.0, rng.uniform(0.86, 1.0), rng.uniform(0.7, 1.0)])
    return warm * rng.uniform(0.25, 0.95)


def brick(rng: Rng) -> np.ndarray:
    """Draw about one metre of bricks in running bond."""
    value, border = cells(rng, 4, 12, 0.5)
    colour = np.array([0.6, 0.3, 0.22]) if rng.random() < 0.6 else random_colour(rng, 0.5, 0.95)
    image = shaded(colour, 1 + 0.14 * value + 0.1 * noise(rng, 0.8))
    image[border < 0.008] = rng.uniform(0.4, 0.85)
    return image


def carpet(rng: Rng) -> np.ndarray:
    """Draw a pile: fine grain over slow wear, sometimes with a woven pattern."""
    shade = 1 + rng.uniform(0.03, 0.2) * noise(rng, 0.1) + rng.uniform(0, 0.06) * noise(rng, 2)
    image = shaded(random_colour(rng, 0.15, 0.85), shade)
    if rng.random() < 0.35:
        figure = noise(rng, 2.0) > rng.uniform(0.3, 1.2)
        image[figure] = np.clip(image[figure] * random_colour(rng, 0.4, 1.4), 0, 1)
    return image


def stone(rng: Rng) -> np.ndarray:
    """Draw granite grains or marble veins, for worktops and fireplaces."""
    colour = _stone_colour(rng)
    if rng.random() < 0.5:
        return shaded(colour, 1 + rng.uniform(0.1, 0.35) * noise(rng, rng.uniform(0.1, 0.6)))
    vein = np.exp(-np.abs(noise(rng, 1.8)) * rng.uniform(4, 12))
    return shaded(colour, 1 + rng.choice([-0.4, 0.4]) * vein + 0.04 * noise(rng, 1.5))


def plaster(rng: Rng) -> np.ndarray:
    """Draw a near-white wall with faint texture and stains; it is tinted where it is used."""
    shade = 0.95 + rng.uniform(0.005, 0.04) * noise(rng, rng.uniform(0, 0.8))
    return shaded(np.ones(3), shade + rng.uniform(0, 0.03) * noise(rng, 2.2))


def wallpaper(rng: Rng) -> np.ndarray:
    """Draw stripes or figures in two similar colours."""
    first = random_colour(rng, 0.35, 0.98)
    second = np.clip(first * rng.uniform(0.8, 1.1) + rng.normal(0, 0.03, 3), 0, 1)
    return _two_colours(rng, first, second)


def fabric(rng: Rng) -> np.ndarray:
    """Draw plain, striped, checked or figured cloth."""
    first = random_colour(rng, 0.1, 0.98)
    if rng.random() < 0.4:
        second = np.clip(first * rng.uniform(0.85, 1.1), 0, 1)
    else:
        second = random_colour(rng, 0.05, 0.98)
    image = _two_colours(rng, first, second)
    weave = 1 + rng.uniform(0.01, 0.08) * noise(rng, 0.1)
    return np.clip(image * weave[..., None], 0, 1).astype(np.float32)


def _two_colours(rng: Rng, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    period = int(rng.choice([2, 4, 8, 16]))
    duty = rng.uniform(0.15, 0.6)
    stripes, rows = (X * period) % 1 < duty, (Y * period) % 1 < duty
    repeats = int(rng.choice([1, 2, 4, 4]))  # how often the figure repeats across the texture
    field = np.tile(noise(rng, rng.uniform(1.2, 2.4))[::repeats, ::repeats], (repeats, repeats))
    mirrored = np.minimum(field, field[:, ::-1])
    amounts = (
        np.zeros_like(X),
        stripes,
        0.5 * stripes + 0.5 * rows,
        stripes ^ rows,
        np.clip(3 * mirrored, 0, 1),
        field > rng.uniform(0.2, 1.2),
        0.5 + 0.25 * np.clip(field, -2, 2),
    )
    amount = np.asarray(amounts[rng.integers(len(amounts))], float)[..., None]
    return (first * (1 - amount) + second * amount).astype(np.float32)


def picture(rng: Rng) -> np.ndarray:
    """Draw the content of a picture frame: a landscape, abstract shapes or figures.

    Some pictures have a white mount.
    """
    painters = (_landscape, _abstract, _figures, _landscape)
    image = painters[rng.integers(len(painters))](rng)
    if rng.random() < 0.2:
        image = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    if rng.random() < 0.5:
        margin = rng.uniform(0.05, 0.25)
        mount = np.minimum.reduce([X, 1 - X, Y, 1 - Y]) < margin
        image[mount] = rng.uniform(0.75, 1.0)
    return image


def _landscape(rng: Rng) -> np.ndarray:
    sky, zenith = random_colour(rng, 0.5, 1), random_colour(rng, 0.3, 0.9)
    image = sky + (zenith - sky) * Y[..., None] + 0.06 * noise(rng, 1.8)[..., None]
    for level in (0.6, 0.45, 0.25):
        ridge = level + 0.08 * noise(rng, 2.2)[0]
        hill = ridge[None, :] > Y
        texture = 1 + 0.25 * noise(rng, 1.0)[..., None]
        image = np.where(hill[..., None], random_colour(rng, 0.1, 0.7) * texture, image)
    return np.clip(image, 0, 1).astype(np.float32)


def _abstract(rng: Rng) -> np.ndarray:
    image = np.broadcast_to(random_colour(rng, 0.2, 1), (SIZE, SIZE, 3)).copy()
    for _ in range(rng.integers(2, 14)):
        x, y, w, h = rng.random(4)
        inside = (np.abs(X - x) < w * 0.3) & (np.abs(Y - y) < h * 0.3)
        if rng.random() < 0.5:
            inside = np.hypot((X - x) / (w + 0.05), (Y - y) / (h + 0.05)) < 0.35
        image[inside] = random_colour(rng, 0.05, 1)
    return np.clip(image + 0.05 * noise(rng, 1.0)[..., None], 0, 1).astype(np.float32)


def _figures(rng: Rng) -> np.ndarray:
    first, second, third = (random_colour(rng, 0.1, 1) for _ in range(3))
    field = noise(rng, rng.uniform(1.6, 2.6))
    image = np.where((field > 0.4)[..., None], second, first)
    image = np.where((noise(rng, 2.2) > 0.9)[..., None], third, image)
    return np.clip(image + 0.06 * noise(rng, 0.8)[..., None], 0, 1).astype(np.float32)


def outdoors(rng: Rng) -> np.ndarray:
    """Draw the view from a window: sky above houses or trees, bright and without detail."""
    horizon = rng.uniform(-0.1, 0.6) + 0.06 * noise(rng, 1.6)[0]
    sky = np.array([0.85, 0.93, 1.0]) * rng.uniform(0.8, 1.0)
    image = np.broadcast_to(sky, (SIZE, SIZE, 3)) + 0.03 * noise(rng, 2.0)[..., None]
    ground = random_colour(rng, 0.3, 0.7) if rng.random() < 0.4 else np.array([0.35, 0.45, 0.25])
    texture = ground * (1 + 0.3 * noise(rng, 1.2)[..., None])
    return np.clip(np.where((horizon > Y)[..., None], texture, image), 0, 1).astype(np.float32)


def paper(rng: Rng) -> np.ndarray:
    """Draw a printed sheet or a magazine cover."""
    image = np.full((SIZE, SIZE, 3), rng.uniform(0.85, 1.0), np.float32)
    lines = int(rng.choice([14, 20, 28]))
    row = (Y * lines).astype(int)
    text = ((Y * lines) % 1 < 0.5) & (X > 0.1) & (rng.uniform(0.5, 0.92, lines)[row] > X)
    image[text & (np.abs(Y - 0.5) < 0.42)] = rng.uniform(0.2, 0.6)
    if rng.random() < 0.5:
        block = (np.abs(X - 0.5) < 0.4) & (np.abs(Y - rng.uniform(0.3, 0.7)) < 0.2)
        image[block] = picture(rng)[block]
    return image


def screen(rng: Rng) -> np.ndarray:
    """Draw a monitor: off, or a desktop with windows."""
    if rng.random() < 0.45:
        return np.full((SIZE, SIZE, 3), rng.uniform(0.02, 0.09), np.float32)
    image = _landscape(rng) * 0.8
    for _ in range(rng.integers(1, 4)):
        x, y, w, h = rng.uniform(0.2, 0.8, 4)
        image[(np.abs(X - x) < w / 2) & (np.abs(Y - y) < h / 2)] = rng.uniform(0.1, 1.0)
        text = (np.abs(X - x) < w * 0.4) & (np.abs(Y - y) < h * 0.4) & ((Y * 40) % 1 < 0.4)
        image[text & (noise(rng, 0.3) > -0.3)] = rng.uniform(0.1, 0.8)
    return image


def metal(rng: Rng) -> np.ndarray:
    """Draw brushed steel."""
    shade = 1 + rng.uniform(0.02, 0.08) * noise(rng, 0.3, (30, 1))
    return shaded(np.array([0.75, 0.76, 0.78]) * rng.uniform(0.5, 1.2), shade)


def cardboard(rng: Rng) -> np.ndarray:
    """Draw brown corrugated board with a printed mark or tape."""
    colour = np.array([0.72, 0.55, 0.36]) * rng.uniform(0.7, 1.2)
    image = shaded(colour, 1 + 0.03 * noise(rng, 0.8))
    if rng.random() < 0.6:
        image[np.abs(X - 0.5) < 0.06] *= rng.uniform(0.75, 1.25)
    if rng.random() < 0.5:
        mark = (np.abs(X - 0.3) < 0.15) & (np.abs(Y - 0.3) < 0.1)
        image[mark] = random_colour(rng, 0.1, 1)
    return np.clip(image, 0, 1)
