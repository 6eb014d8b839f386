# SPDX-License-Identifier: Apache-2.0
"""Record a robot's drive with three cameras: colour, depth, masks, poses and calibration."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from lseg_lab.rooms.assets import Assets
from lseg_lab.rooms.catalogue import Model, load_catalogues, split_held_out
from lseg_lab.rooms.flat import WAYPOINTS, furnished_flat
from lseg_lab.rooms.generate import depth_millimetres, write_image
from lseg_lab.rooms.model_labels import CLASSES
from lseg_lab.rooms.renderer import Renderer, View
from lseg_lab.rooms.scene import Camera, Item
from lseg_lab.rooms.textures import build_textures
from lseg_ros.whole_files import write_whole

_SIZE = (424, 240)
_FRAMES = 100
_FRAME_RATE = 5.0
_CAMERA_HEIGHT = 0.4
_PITCH = 0.02
_HORIZONTAL_FOV = math.radians(70)
_DEPTH_STEP_MM = 10  # comparable to a depth camera's noise at a few metres; keeps files small
_FREE_LICENCES = ('CC0', 'CC-BY')  # pictures of these may be redistributed with attribution
# Poses use the ROS convention (x forward, y left, z up); the renderer's world has y up.
_TO_ROS = np.array([[0, 0, 1.0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])


@dataclass(frozen=True)
class _Mount:
    """Where a camera sits relative to the front camera: metres, and radians to the left."""

    forward: float
    left: float
    yaw: float
    quality: int  # JPEG quality


_MOUNTS = {
    'front': _Mount(0.0, 0.0, 0.0, 90),
    'left': _Mount(-0.1, 0.1, math.pi / 2, 75),
    'rear': _Mount(-0.2, 0.0, math.pi, 75),
}


def record_drive(folder: Path, assets: Assets, seed: int) -> int:
    """Write a recording for each camera, classes.txt and CREDITS.md; return the frames per camera.

    A recording is a folder front/, left/ or rear/ containing rgb/, depth/, mask/ and camera.json.
    Only held-out models whose licence allows redistribution and generated textures are used.
    """
    catalogue = load_catalogues(assets.catalogues)
    held_out = [model for model in split_held_out(catalogue.models)[1] if model.licence.startswith(_FREE_LICENCES)]
    textures = build_textures(catalogue.textures, (), held_out=True)
    cameras = drive_cameras()
    way = np.array([camera.position for camera in cameras['front']])[:, [0, 2]]
    scene = furnished_flat(np.random.default_rng(seed), textures, held_out, way)
    renderer = Renderer(textures.layers, *_SIZE, supersampling=2.0)
    with renderer.loaded(scene) as loaded:
        for name, on_the_way in cameras.items():
            for kind in ('rgb', 'depth', 'mask'):
                (folder / name / kind).mkdir(parents=True, exist_ok=True)
            for number, camera in enumerate(tqdm(on_the_way, name, unit='frame')):
                _write_frame(folder / name, number, renderer.render(loaded, camera), _MOUNTS[name].quality)
            write_whole(folder / name / 'camera.json', json.dumps(_camera_record(on_the_way)))
    write_whole(folder / 'classes.txt', '\n'.join(CLASSES) + '\n')
    write_whole(folder / 'CREDITS.md', _credits(scene.items, held_out, seed))
    return _FRAMES


def _write_frame(folder: Path, number: int, view: View, quality: int) -> None:
    image = cv2.cvtColor(view.image, cv2.COLOR_RGB2BGR)
    write_image(folder / f'rgb/{number:03d}.jpg', image, quality=quality)
    coarse = np.round(view.depth * 1000 / _DEPTH_STEP_MM) * _DEPTH_STEP_MM / 1000
    write_image(folder / f'depth/{number:03d}.png', depth_millimetres(coarse))
    write_image(folder / f'mask/{number:03d}.png', view.mask)


def drive_cameras() -> dict[str, list[Camera]]:
    """Return the cameras of every frame, by camera name."""
    way = _way_of_the_robot()
    return {name: [_mounted(camera, mount) for camera in way] for name, mount in _MOUNTS.items()}


def _way_of_the_robot() -> list[Camera]:
    """Return front cameras evenly spaced along the smoothed path, looking a little ahead."""
    way = _smooth_way(np.array(WAYPOINTS, float))
    travelled = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
    vertical = 2 * math.atan(math.tan(_HORIZONTAL_FOV / 2) * _SIZE[1] / _SIZE[0])
    look_ahead = 0.9
    cameras = []
    for number, done in enumerate(np.linspace(0, travelled[-1] - look_ahead, _FRAMES)):
        x, z = (np.interp(done, travelled, way[:, axis]) for axis in (0, 1))
        ahead = [np.interp(done + look_ahead, travelled, way[:, axis]) for axis in (0, 1)]
        glance = 0.35 * math.sin(2 * math.pi * number / 40)
        yaw = math.atan2(ahead[0] - x, ahead[1] - z) + glance
        cameras.append(Camera((float(x), _CAMERA_HEIGHT, float(z)), yaw, _PITCH, 0.0, vertical))
    return cameras


def _mounted(front: Camera, mount: _Mount) -> Camera:
    x, height, z = front.position
    sine, cosine = math.sin(front.yaw), math.cos(front.yaw)
    x += mount.forward * sine + mount.left * cosine
    z += mount.forward * cosine - mount.left * sine
    return replace(front, position=(x, height, z), yaw=front.yaw + mount.yaw)


def _smooth_way(waypoints: np.ndarray) -> np.ndarray:
    """Return a dense path through the waypoints with rounded corners and the same ends."""
    steps = np.linspace(0, len(waypoints) - 1, 600)
    dense = np.stack([np.interp(steps, range(len(waypoints)), waypoints[:, axis]) for axis in (0, 1)], axis=1)
    window = np.hanning(61)
    padded = np.pad(dense, ((30, 30), (0, 0)), mode='edge')
    return np.stack([np.convolve(padded[:, axis], window / window.sum(), mode='valid') for axis in (0, 1)], axis=1)


def _camera_record(cameras: Sequence[Camera]) -> dict[str, Any]:
    width, height = _SIZE
    return {
        'width': width,
        'height': height,
        'frame_rate': _FRAME_RATE,
        'camera_height': _CAMERA_HEIGHT,
        'K': cameras[0].intrinsics(width, height).round(4).tolist(),
        'pose': '4x4, optical frame (x right, y down, z forward) to world (z up), metres',
        'poses': [(_TO_ROS @ camera.optical_pose()).round(5).tolist() for camera in cameras],
    }


def _credits(items: Sequence[Item], models: Sequence[Model], seed: int) -> str:
    """Return Markdown that names the author and licence of every model in the scene."""
    seen = {id(item.mesh) for item in items}
    used = [model for model in models if id(model.mesh) in seen]
    lines = [
        '# Models in the recorded drive',
        '',
        f'Rendered by `lseg rooms OUT --drive --seed {seed}`. The colours and dimensions of the models were changed.',
        'All other furniture and all textures are generated (Apache-2.0).',
        '',
        '| model | name | author | licence |',
        '|---|---|---|---|',
    ]
    lines += [f'| {model.key} | {model.name} | {model.creator} | {model.licence} |' for model in used]
    return '\n'.join(lines) + '\n'
