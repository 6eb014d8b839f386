# SPDX-License-Identifier: Apache-2.0
"""Turns the messages of a frame into arrays for the map."""

from __future__ import annotations

import numpy as np
import torch
from sensor_msgs.msg import Image

from lseg_ros.core.cloud import PixelGrid
from lseg_ros.core.embedding import LONGEST_UNIT, SHORTEST_UNIT
from lseg_ros.core.geometry import Line
from lseg_ros.core.lens import image_camera, lens
from lseg_ros.labels import LabelSet
from lseg_ros.mapping.camera_views import CameraViews, EmbeddedImage
from lseg_ros.mapping.observation import GridView
from lseg_ros.mapping.transforms import pose_matrix
from lseg_ros.mapping.unusable import errors_of_kind
from lseg_ros.media.ros_images import image_to_depth, image_to_ids
from lseg_ros.msg import Embedding
from lseg_ros.nodes.conversions import stamp_ns
from lseg_ros.nodes.map.map_inputs import CameraFrame


class FrameViews:
    """Decodes frames."""

    def __init__(self, rectified: bool, label_step: int) -> None:
        """`rectified` images have no distortion and follow P of their CameraInfo.

        Of label images every `label_step`-th row and column is used.
        """
        self._rectified = rectified
        self._label_step = label_step
        self._views = CameraViews()

    def view(self, frame: CameraFrame) -> GridView:
        """Return the arrays of a frame; raise Unusable, by the bad part, if they do not match."""
        if isinstance(frame.image, Embedding):
            with errors_of_kind('bad embedding'):
                image = _embedded_image(frame.image)
        else:
            with errors_of_kind('bad label image'):
                image = _label_image(frame.image, frame.labels, self._label_step)
        with errors_of_kind('bad camera_info'):
            optics = lens(frame.info, image_camera(frame.info, image.size), self._rectified)
        with errors_of_kind('bad pose'):
            pose = pose_matrix(frame.transform.transform)
        with errors_of_kind('bad depth'):
            depth = image_to_depth(frame.depth)
            return self._views.view(image, depth, optics, pose, stamp_ns(frame.image.header) / 1e9)


def _embedded_image(message: Embedding) -> EmbeddedImage:
    if not message.model:
        raise ValueError('an embedding has no model: what it may be compared with is unknown')
    shape = message.height, message.width, message.dim
    vectors = np.frombuffer(message.data, '<f2')
    colors = np.frombuffer(message.colors, np.uint8)
    if vectors.size != np.prod(shape) or colors.size != 3 * np.prod(shape[:2]) or not vectors.size:
        raise ValueError(f'an embedding of {shape} has {vectors.size} numbers and {colors.size} bytes of colour')
    lines = Line(message.first_y, message.step_y), Line(message.first_x, message.step_x)
    size = message.image_height, message.image_width
    if not all(_is_within(*axis) for axis in zip(lines, shape[:2], size, strict=True)):
        raise ValueError(
            f'an embedding has places at {lines[1]} across and {lines[0]} down, not within its image of '
            f'{size[1]} x {size[0]} pixels'
        )
    pixels = PixelGrid.along(lines, shape[:2], size)
    rows = torch.from_numpy(vectors.reshape(shape))
    lengths = torch.linalg.vector_norm(rows.float(), dim=2)
    # Not within for NaN, too: one such value would stay in the map.
    odd = lengths[~((lengths >= SHORTEST_UNIT) & (lengths <= LONGEST_UNIT))]
    if len(odd):
        raise ValueError(f'an embedding has a vector of length {odd[0]:.3g}, but all must be unit vectors')
    return EmbeddedImage(rows, colors.reshape(*shape[:2], 3), pixels, size)


def _is_within(line: Line, count: int, side: int) -> bool:
    """Return whether places along a line lie in an image, or at most a step outside."""
    last = line.first + line.step * (count - 1)
    return np.isfinite(line.step) and line.step > 0 and -line.step <= line.first and last <= side - 1 + line.step


def _label_image(message: Image, labels: LabelSet | None, step: int) -> EmbeddedImage:
    """Return a label image whose vectors are the ids, and whose colours are those of the labels."""
    ids = image_to_ids(message)
    size = ids.shape[0], ids.shape[1]
    pixels = PixelGrid.between(size, size, step)
    ids = pixels.sample(ids)
    colors = labels.palette()[ids] if labels else np.zeros((*ids.shape, 3), np.uint8)
    return EmbeddedImage(torch.from_numpy(ids.copy())[:, :, None], colors, pixels, size)
