# SPDX-License-Identifier: Apache-2.0
"""The sky of a scene and the light that comes from it."""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import numpy as np

from lseg_lab.rooms.meshes import COLOUR, NORMAL, grid, triple
from lseg_lab.rooms.patterns import SIZE, noise
from lseg_lab.rooms.scene import Item, Lighting, Surface

RADIUS = 240.0  # metres: radius of the sky
_KINDS = ('clear', 'fair', 'cloudy', 'overcast', 'evening')
_SHARES = (0.2, 0.28, 0.18, 0.22, 0.12)


@dataclass(frozen=True, eq=False)
class Weather:
    """Colours of the sky (sRGB), its clouds and the sun."""

    kind: str
    zenith: np.ndarray
    horizon: np.ndarray
    cloud: np.ndarray
    cover: float  # from 0, cloudless, to 1, overcast
    sun_direction: np.ndarray
    sunshine: float
    brightness: float  # of the sky in pictures


def random_weather(rng: np.random.Generator) -> Weather:
    """Draw a clear, fair, cloudy, overcast or evening sky."""
    kind = str(rng.choice(_KINDS, p=_SHARES))
    swing = rng.uniform(0, 2 * math.pi)
    height = rng.uniform(0.08, 0.3) if kind == 'evening' else rng.uniform(0.3, 1.25)
    sun = np.array([math.sin(swing) * math.cos(height), math.sin(height), math.cos(swing) * math.cos(height)])
    blue = np.array(colorsys.hsv_to_rgb(rng.uniform(0.54, 0.63), rng.uniform(0.3, 0.7), rng.uniform(0.55, 0.95)))
    grey = rng.uniform(0.6, 0.97) * (1 + rng.normal(0, 0.025, 3))
    pale = np.clip(blue * 0.35 + 0.62 * (1 + rng.normal(0, 0.03, 3)), 0, 1)
    cloud = np.clip(rng.uniform(0.75, 1.05) * (1 + rng.normal(0, 0.02, 3)), 0, 1)
    cover, sunshine = {
        'clear': (0.0, rng.uniform(1.5, 5.0)),
        'fair': (rng.uniform(0.15, 0.55), rng.uniform(1.0, 4.0)),
        'cloudy': (rng.uniform(0.6, 0.9), rng.choice([0.0, rng.uniform(0.3, 1.5)])),
        'overcast': (1.0, 0.0),
        'evening': (rng.uniform(0.0, 0.7), rng.uniform(0.3, 2.0)),
    }[kind]
    if kind == 'overcast':
        blue, pale = grey * rng.uniform(0.75, 1.0), grey
    if kind == 'evening':
        pale = np.array(colorsys.hsv_to_rgb(rng.uniform(0.02, 0.13), rng.uniform(0.1, 0.6), rng.uniform(0.6, 0.95)))
        blue, cloud = blue * rng.uniform(0.4, 0.9), cloud * np.array([0.9, 0.75, 0.75])
    return Weather(kind, blue, pale, cloud, cover, sun, float(sunshine), float(rng.uniform(0.9, 2.1)))


def sky(rng: np.random.Generator, weather: Weather) -> Item:
    """Build the dome of the sky around the origin, down to slightly below the horizon."""
    height = np.concatenate([[-0.08], np.linspace(0, 1, 60) ** 1.5 * math.pi / 2])
    azimuth = np.linspace(0, 2 * math.pi, 201)
    up, turn = np.meshgrid(height, azimuth, indexing='ij')
    direction = np.stack([np.cos(up) * np.sin(turn), np.sin(up), np.cos(up) * np.cos(turn)], axis=2)
    colour = _colours(rng, weather, direction)
    mesh = grid(direction * RADIUS)
    corners = (colour[:-1, :-1], colour[:-1, 1:], colour[1:, 1:], colour[1:, :-1])
    mesh.vertices[:, COLOUR] = np.stack([corners[i] for i in (0, 1, 2, 0, 2, 3)], axis=2).reshape(-1, 3)
    mesh.vertices[:, NORMAL] = 0, -1, 0  # away from the sun, so that it does not shade the sky
    return Item(mesh, 'sky', Surface(emission=weather.brightness), shadow=False)


def _colours(rng: np.random.Generator, weather: Weather, direction: np.ndarray) -> np.ndarray:
    """Return the sky's sRGB colour in each direction [..., 3]."""
    rise = np.clip(direction[..., 1:2], 0, 1)
    colour = weather.horizon + (weather.zenith - weather.horizon) * rise ** rng.uniform(0.35, 0.9)
    if weather.sunshine > 0:
        near = np.clip(direction @ weather.sun_direction, 0, 1)[..., None]
        colour = colour + rng.uniform(0.1, 0.5) * near ** rng.uniform(6, 60)
    if weather.cover > 0:
        flat = direction[..., [0, 2]] / (rise + rng.uniform(0.08, 0.2)) * rng.uniform(6, 18)
        x, z = np.moveaxis(np.round(flat).astype(int) % SIZE, -1, 0)
        shapes, shade = noise(rng, rng.uniform(1.2, 1.9))[x, z], noise(rng, 1.7)[x, z]
        amount = np.clip((shapes + 3.2 * weather.cover - 1.6) * rng.uniform(0.5, 1.6), 0, 1)[..., None]
        amount = amount * np.clip(rise * 6 + 0.4, 0, 1)
        white = weather.cloud * (1 + rng.uniform(0.01, 0.09) * shade)[..., None]
        colour = colour * (1 - amount) + white * amount
    return np.clip(colour, 0, 1)


def lighting(rng: np.random.Generator, weather: Weather) -> Lighting:
    """Return the light and haze that match the weather."""
    tone = (weather.zenith + weather.horizon + weather.cloud * weather.cover) / (2 + weather.cover)
    tone = tone**2 / max(float((tone**2).mean()), 1e-3)
    tone = 1 + (tone - 1) * rng.uniform(0.2, 0.7)
    sides = rng.uniform(0.45, 0.75, 6)
    sides[2], sides[3] = 1.0, rng.uniform(0.15, 0.35)
    warm = rng.uniform(0.55, 0.8) if weather.kind == 'evening' else rng.uniform(0.85, 1.0)
    sun = weather.sunshine * np.array([1.0, 0.5 + 0.5 * warm, warm**2])
    veil = rng.choice([rng.uniform(0.0, 0.002), rng.uniform(0.002, 0.008)], p=[0.75, 0.25])
    haze = weather.horizon**2 * weather.brightness * rng.uniform(0.5, 0.9)
    return Lighting(
        np.clip(sides[:, None] * tone, 0.02, None),
        (),
        (),
        triple(weather.sun_direction),
        triple(sun),
        float(rng.normal(0.3, 0.45)),
        float(rng.uniform(0.3, 0.8)),
        float(rng.choice([0.0, 0.2, 0.5])),
        (*triple(haze), float(veil)),
    )
