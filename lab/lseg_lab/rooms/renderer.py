# SPDX-License-Identifier: Apache-2.0
"""Render scenes with moderngl on EGL: colour, class index and depth. No display is needed."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import moderngl
import numpy as np

from lseg_lab.rooms import shaders
from lseg_lab.rooms.meshes import Mesh
from lseg_lab.rooms.model_labels import CLASS_INDEX
from lseg_lab.rooms.scene import NEAR, Camera, Item, Lighting, Scene, looking_at, orthographic, perspective
from lseg_ros.labels.ids import UNLABELLED

_SUN_MAP, _LAMP_MAP = 1024, 768
_CACHED_MESHES = 400
_LAMP_FOV = 2.5


@dataclass(frozen=True, eq=False)
class View:
    """One picture: uint8 [H, W, 3] RGB, uint8 [H, W] class index (255: nothing), metres [H, W]."""

    image: np.ndarray
    mask: np.ndarray
    depth: np.ndarray


@dataclass(frozen=True, eq=False)
class _Uploaded:
    """A mesh on the device, bound once for the scene program and once for the shadow maps."""

    buffer: moderngl.Buffer
    index: moderngl.Buffer
    lit: moderngl.VertexArray
    silhouette: moderngl.VertexArray

    def release(self) -> None:
        """Free the mesh on the device."""
        for part in (self.lit, self.silhouette, self.index, self.buffer):
            part.release()


@dataclass(frozen=True, eq=False)
class LoadedScene:
    """A scene whose meshes are on the device and whose shadow maps are rendered."""

    scene: Scene
    drawn: tuple[tuple[Item, _Uploaded, np.ndarray, float], ...]  # with bounding spheres
    sun_map: np.ndarray
    lamp_map: np.ndarray


class Renderer:
    """Renders at `supersampling` times the size and downscales. Not thread-safe.

    `textures` is uint8 [N, S, S, 4]. Raise OSError if no EGL context can be created.
    """

    def __init__(self, textures: np.ndarray, width: int, height: int, supersampling: float = 1.5) -> None:
        """Create the EGL context and upload `textures`; pictures are width x height pixels."""
        self.width, self.height = width, height
        self._size = (round(width * supersampling), round(height * supersampling))
        self._context = context = _create_context()
        self._scene_program = context.program(shaders.SCENE_VERTEX, shaders.SCENE_FRAGMENT)
        self._shadow_program = context.program(shaders.SHADOW_VERTEX, shaders.SHADOW_FRAGMENT)
        self._develop_program = context.program(shaders.SCREEN_VERTEX, shaders.DEVELOP_FRAGMENT)
        self._textures = _upload_textures(context, textures)
        self._make_targets()
        corners = context.buffer(np.array([-1, -1, 3, -1, -1, 3], 'f4').tobytes())
        self._screen = context.vertex_array(self._develop_program, [(corners, '2f', 'corner')])
        self._cache: dict[int, tuple[Mesh, _Uploaded]] = {}

    def _make_targets(self) -> None:
        context, size = self._context, self._size
        self._radiance = context.texture(size, 4, dtype='f2')
        self._radiance.repeat_x = self._radiance.repeat_y = False
        self._classes = context.texture(size, 1, dtype='u1')
        self._depth = context.depth_texture(size)
        self._depth.compare_func = ''
        self._depth.repeat_x = self._depth.repeat_y = False
        self._frame = context.framebuffer([self._radiance, self._classes], self._depth)
        self._developed = context.texture(size, 4)
        self._develop_frame = context.framebuffer([self._developed])
        self._sun_depth, self._sun_frame = _shadow_target(context, _SUN_MAP)
        self._lamp_depth, self._lamp_frame = _shadow_target(context, _LAMP_MAP)

    @contextmanager
    def loaded(self, scene: Scene) -> Iterator[LoadedScene]:
        """Upload the scene and render its shadow maps; free what it alone uses at the end."""
        own: list[_Uploaded] = []
        drawn = []
        for item in scene.items:
            uploaded = (
                self._shared(item.mesh)
                if item.shared
                else self._upload(item.mesh.vertices, np.arange(len(item.mesh.vertices), dtype=np.uint32))
            )
            if not item.shared:
                own.append(uploaded)
            drawn.append((item, uploaded, *_bounding_sphere(item)))
        loaded = LoadedScene(scene, tuple(drawn), _sun_matrix(scene), _lamp_matrix(scene.lighting))
        self._draw_shadows(loaded)
        try:
            yield loaded
        finally:
            for uploaded in own:
                uploaded.release()
            self._trim_cache()

    def render(self, loaded: LoadedScene, camera: Camera) -> View:
        """Render the scene as `camera` sees it."""
        self._draw_scene(loaded, camera)
        radiance = np.frombuffer(self._radiance.read(), np.float16)
        exposure = _metered(radiance.reshape(-1, 4)[::37, :3], loaded.scene.lighting.exposure_bias)
        self._develop(loaded.scene, camera, exposure)
        return self._read_back(loaded.scene)

    def _upload(self, vertices: np.ndarray, order: np.ndarray) -> _Uploaded:
        buffer = self._context.buffer(vertices.tobytes())
        index = self._context.buffer(order.tobytes())
        names = ('position', 'normal', 'uv', 'colour', 'layer')
        lit = self._context.vertex_array(self._scene_program, [(buffer, '3f 3f 2f 3f 1f', *names)], index)
        silhouette = self._context.vertex_array(self._shadow_program, [(buffer, '3f 36x', 'position')], index)
        return _Uploaded(buffer, index, lit, silhouette)

    def _shared(self, mesh: Mesh) -> _Uploaded:
        if id(mesh) not in self._cache:
            self._cache[id(mesh)] = (mesh, self._upload(*_indexed(mesh.vertices)))
        return self._cache[id(mesh)][1]

    def _trim_cache(self) -> None:
        while len(self._cache) > _CACHED_MESHES:
            _, uploaded = self._cache.pop(next(iter(self._cache)))
            uploaded.release()

    def _draw_shadows(self, loaded: LoadedScene) -> None:
        self._context.enable(moderngl.DEPTH_TEST)
        lighting = loaded.scene.lighting
        wanted = [(self._sun_frame, loaded.sun_map)] if lighting.sun_colour[0] > 0 else []
        wanted += [(self._lamp_frame, loaded.lamp_map)] if lighting.lamps else []
        for frame, matrix in wanted:
            frame.use()
            frame.clear(depth=1.0)
            _write(self._shadow_program, 'light', matrix)
            for item, uploaded, _, _ in loaded.drawn:
                if item.shadow:
                    _write(self._shadow_program, 'model', item.matrix)
                    uploaded.silhouette.render()

    def _draw_scene(self, loaded: LoadedScene, camera: Camera) -> None:
        context, program = self._context, self._scene_program
        context.enable(moderngl.DEPTH_TEST)
        self._frame.use()
        self._frame.clear(depth=1.0)
        self._textures.use(0)
        self._sun_depth.use(1)
        self._lamp_depth.use(2)
        program['textures'], program['sun_shadow'], program['lamp_shadow'] = 0, 1, 2
        view = camera.view_matrix()
        projection = perspective(camera.vertical_fov, self.width / self.height, NEAR, loaded.scene.far)
        _write(program, 'camera', projection @ view)
        _write(program, 'sun_map', loaded.sun_map)
        _write(program, 'lamp_map', loaded.lamp_map)
        program['eye'] = camera.position
        _write_lighting(program, loaded.scene.lighting)
        aspect = self.width / self.height
        seen = [entry for entry in loaded.drawn if _in_view(view, camera, aspect, *entry[2:])]
        # Draw near and small meshes first, so that hidden fragments are never shaded.
        for item, uploaded, _, _ in sorted(seen, key=lambda entry: _remoteness(camera, entry)):
            self._draw_item(item, uploaded)

    def _draw_item(self, item: Item, uploaded: _Uploaded) -> None:
        program, surface = self._scene_program, item.surface
        _write(program, 'model', item.matrix)
        _write(program, 'normal_matrix', np.linalg.inv(item.matrix[:3, :3]).T)
        program['tint'] = surface.tint
        program['override_texture'] = (surface.layer, surface.scale)
        program['gloss'], program['emission'] = surface.gloss, surface.emission
        program['label'] = CLASS_INDEX[item.label] + 1  # 0 marks pixels where nothing was drawn
        uploaded.lit.render()

    def _develop(self, scene: Scene, camera: Camera, exposure: float) -> None:
        program = self._develop_program
        self._develop_frame.use()
        self._radiance.use(0)
        self._depth.use(1)
        tangent = math.tan(camera.vertical_fov / 2)
        values = {
            'radiance': 0,
            'depth': 1,
            'near': NEAR,
            'far': scene.far,
            'exposure': exposure,
            'occlusion': scene.lighting.occlusion,
            'focal': (tangent * self.width / self.height, tangent),
            'up': tuple(camera.rotation() @ [0.0, 1.0, 0.0]),
        }
        for name, value in values.items():
            program[name] = value
        self._context.disable(moderngl.DEPTH_TEST)
        self._screen.render()

    def _read_back(self, scene: Scene) -> View:
        width, height = self._size
        developed = np.frombuffer(self._developed.read(), np.uint8).reshape(height, width, 4)[::-1]
        indices = np.frombuffer(self._classes.read(), np.uint8).reshape(height, width)[::-1]
        window = np.frombuffer(self._depth.read(), np.float32).reshape(height, width)[::-1]
        size = (self.width, self.height)
        shrunk = cv2.resize(developed, size, interpolation=cv2.INTER_AREA)
        classes = cv2.resize(indices, size, interpolation=cv2.INTER_NEAREST)
        raw = cv2.resize(window, size, interpolation=cv2.INTER_NEAREST)
        depth = NEAR * scene.far / (scene.far - raw * (scene.far - NEAR))
        mask = np.where(classes == 0, UNLABELLED, classes - 1).astype(np.uint8)
        return View(_with_bloom(shrunk, scene.lighting.bloom), mask, depth)


def _create_context() -> moderngl.Context:
    # Turn off the threads of Mesa's software renderer: one process per core is faster.
    os.environ.setdefault('LP_NUM_THREADS', '0')
    settings: dict[str, Any] = {'backend': 'egl'}
    try:
        return moderngl.create_context(standalone=True, **settings)
    except Exception as error:  # glcontext raises bare Exceptions
        raise OSError(f'cannot render: no EGL context ({error}); install libegl1 and libgl1-mesa-dri') from error


def _upload_textures(context: moderngl.Context, textures: np.ndarray) -> moderngl.TextureArray:
    count, height, width, channels = textures.shape
    array = context.texture_array((width, height, count), channels, textures.tobytes())
    array.build_mipmaps()
    array.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
    return array


def _indexed(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return distinct vertices and the uint32 indices that restore them all, to shade each once."""
    rows = np.ascontiguousarray(vertices, np.float32)
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, order = np.unique(keys, return_index=True, return_inverse=True)
    # Number vertices by first use, so that neighbours in the mesh are neighbours in memory.
    rank = np.empty(len(first), np.uint32)
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.uint32)
    return rows[np.sort(first)], rank[order.ravel()]


def _shadow_target(context: moderngl.Context, side: int) -> tuple[moderngl.Texture, moderngl.Framebuffer]:
    depth = context.depth_texture((side, side))
    depth.compare_func = '<='
    depth.filter = (moderngl.LINEAR, moderngl.LINEAR)
    return depth, context.framebuffer([], depth)


def _write(program: moderngl.Program, name: str, matrix: np.ndarray) -> None:
    _uniform(program, name).write(np.ascontiguousarray(matrix.T, np.float32).tobytes())


def _uniform(program: moderngl.Program, name: str) -> moderngl.Uniform:
    member = program[name]
    assert isinstance(member, moderngl.Uniform)
    return member


def _write_lighting(program: moderngl.Program, lighting: Lighting) -> None:
    _uniform(program, 'ambient').write(np.asarray(lighting.ambient, np.float32).tobytes())
    program['haze'] = lighting.haze
    program['sun_direction'], program['sun_colour'] = lighting.sun_direction, lighting.sun_colour
    lamps, windows = lighting.lamps[: shaders.MAX_LIGHTS], lighting.windows[: shaders.MAX_LIGHTS]
    program['lamps'], program['windows'] = len(lamps), len(windows)
    columns = {
        'lamp_position': [lamp.position for lamp in lamps],
        'lamp_colour': [lamp.colour for lamp in lamps],
        'window_position': [window.position for window in windows],
        'window_normal': [window.normal for window in windows],
        'window_colour': [window.colour for window in windows],
    }
    for name, rows in columns.items():
        padded = np.zeros((shaders.MAX_LIGHTS, 3), np.float32)
        padded[: len(rows)] = np.reshape(rows, (-1, 3))
        _uniform(program, name).write(padded.tobytes())


def _bounding_sphere(item: Item) -> tuple[np.ndarray, float]:
    low, high = item.mesh.bounds
    centre = item.matrix[:3, :3] @ ((low + high) / 2) + item.matrix[:3, 3]
    scale = np.linalg.norm(item.matrix[:3, :3], axis=0).max()
    return centre, float(np.linalg.norm(high - low) / 2 * scale)


def _in_view(view: np.ndarray, camera: Camera, aspect: float, centre: np.ndarray, radius: float) -> bool:
    """Return whether a bounding sphere may be visible."""
    x, y, z = view[:3, :3] @ centre + view[:3, 3]
    vertical = math.tan(camera.vertical_fov / 2)
    for offset, tangent in ((abs(x), vertical * aspect), (abs(y), vertical)):
        if offset + z * tangent > radius * math.hypot(1, tangent):
            return False
    return z < radius


def _remoteness(camera: Camera, entry: tuple[Item, _Uploaded, np.ndarray, float]) -> float:
    _, _, centre, radius = entry
    return float(np.linalg.norm(centre - camera.position)) + radius


def _sun_matrix(scene: Scene) -> np.ndarray:
    centre, direction = np.array(scene.centre), np.array(scene.lighting.sun_direction)
    view = looking_at(centre + direction * 2 * scene.radius, centre, np.array([0.3, 1.0, 0.2]))
    return orthographic(scene.radius, 0.1, 4 * scene.radius) @ view


def _lamp_matrix(lighting: Lighting) -> np.ndarray:
    if not lighting.lamps:
        return np.eye(4)
    lamp = np.array(lighting.lamps[0].position)
    view = looking_at(lamp, lamp - [0, 1, 0], np.array([0.0, 0.0, 1.0]))
    return perspective(_LAMP_FOV, 1.0, 0.15, 15.0) @ view


def _metered(radiance: np.ndarray, bias: float) -> float:
    """Return an exposure factor from sampled linear RGB that discounts windows and lamps."""
    luminance = np.nan_to_num(radiance.astype(np.float32).mean(axis=1))
    dark, bright = np.quantile(luminance, (0.5, 0.8))
    return float(2.0**bias * 0.55 / max(0.5 * dark + 0.5 * bright, 1e-3))


def _with_bloom(developed: np.ndarray, strength: float) -> np.ndarray:
    """Return RGB from RGBA whose alpha is the overexposure, adding a glow around it."""
    image = np.ascontiguousarray(developed[..., :3])
    if strength <= 0 or not developed[..., 3].any():
        return image
    small = cv2.resize(developed, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    glow = small[..., :3] * (small[..., 3:] / np.float32(255))
    sigma = developed.shape[0] / 80
    glow = cv2.GaussianBlur(glow, (0, 0), sigma) + 0.5 * cv2.GaussianBlur(glow, (0, 0), 4 * sigma)
    glow = cv2.resize(glow, image.shape[1::-1]) * strength
    return np.clip(image + glow, 0, 255).astype(np.uint8)
