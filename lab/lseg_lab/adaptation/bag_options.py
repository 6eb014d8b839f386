# SPDX-License-Identifier: Apache-2.0
"""How bags are read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BagOptions:
    """Which topics and transforms of bags are used.

    Attributes:
        topics: image topics; by default the only one that is not depth.
        depths: depth topic of each; by default the one aligned to the images.
        infos: camera_info topic of each; by default the one beside the images.
        map_frame: frame of tf whose z points up.
        rectified: whether images follow P of their CameraInfo, without distortion.
    """

    topics: tuple[str, ...] = ()
    depths: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()
    map_frame: str = 'map'
    rectified: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError unless depth and camera_info are given for all cameras or none."""
        cameras = len(self.topics) or 1
        for option, given in (('--depth', self.depths), ('--camera-info', self.infos)):
            if len(given) not in (0, cameras):
                raise ValueError(f'{option} is given {len(given)} times for {cameras} cameras: give it once for each')
