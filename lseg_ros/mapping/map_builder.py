# SPDX-License-Identifier: Apache-2.0
"""Builds a map from images on disk, as the map node does from topics."""

from __future__ import annotations

from collections import Counter

from lseg_ros.core.lens import image_camera, lens
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.error_text import one_line
from lseg_ros.labels import LabelRegistry
from lseg_ros.mapping.camera_views import CameraViews, EmbeddedImage
from lseg_ros.mapping.language_map import LanguageMap
from lseg_ros.mapping.observation import DepthLimits, observe
from lseg_ros.mapping.rgbd_bag import RgbdFrame
from lseg_ros.mapping.transforms import TransformTree


class MapBuilder:
    """Embeds frames and adds them to a map; frames that cannot be used are counted."""

    def __init__(
        self,
        segmenter: Segmenter,
        known: LanguageMap,
        transforms: TransformTree,
        limits: DepthLimits,
        *,
        rectified: bool = False,
        stride: int = 2,
    ) -> None:
        """Add to `known`, in the frame of its facts.

        Args:
            segmenter: embeds the images.
            known: the map.
            transforms: where the cameras are.
            limits: which depth is used.
            rectified: whether images follow P of their CameraInfo, without distortion.
            stride: every how many rows and columns of the network's grid are used.
        """
        self.drops: Counter[str] = Counter()  # by reason
        self.integrated = 0
        self._segmenter = segmenter
        # Segmenting needs labels, if only one.
        self._prepared = segmenter.prepare(LabelRegistry().replace(['floor']))
        self._map = known
        self._transforms = transforms
        self._limits = limits
        self._rectified = rectified
        self._stride = stride
        self._views = CameraViews()

    def add(self, frame: RgbdFrame) -> None:
        """Add a frame to the map, or count why it cannot be used."""
        try:
            self._integrate(frame)
        except ValueError as error:
            self.drops[one_line(error)] += 1
        else:
            self.integrated += 1

    def _integrate(self, frame: RgbdFrame) -> None:
        facts = self._map.facts
        pose = self._transforms.at(facts.frame, frame.frame_id, frame.stamp_ns)  # fails before the network runs
        optics = lens(frame.info, image_camera(frame.info, frame.image.shape[:2]), self._rectified)
        (result,) = self._segmenter.segment([frame.image], self._prepared, embed=True)
        if result.embedding is None:
            raise ValueError('this kind of segmenter does not embed images')
        image = EmbeddedImage.of(result.embedding, frame.image, self._stride)
        view = self._views.view(image, frame.depth, optics, pose, frame.stamp_ns / 1e9)
        self._map.add(result.embedding.id, observe(view, self._limits, facts.voxel_size))
