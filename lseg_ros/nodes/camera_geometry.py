# SPDX-License-Identifier: Apache-2.0
"""What places a camera's label image in space: its CameraInfo."""
from __future__ import annotations

from sensor_msgs.msg import CameraInfo

from lseg_ros.nodes.camera_info import scaled_camera_info
from lseg_ros.nodes.frames import Frame
from lseg_ros.nodes.outputs import Outputs
from lseg_ros.segmenter import Segmentation


class CameraGeometry:
    """Publishes, beside each label image of one camera, the CameraInfo that belongs to it.

    A CameraInfo that does not fit is counted and told, and nothing is published in its place.
    """

    def __init__(self, outputs: Outputs) -> None:
        """Start without a CameraInfo: there is nothing to publish then."""
        self._outputs = outputs
        self._info: CameraInfo | None = None
        self._bad_infos = 0
        self._problem = ''

    def receive_camera_info(self, message: CameraInfo) -> None:
        """Use `message` for the images from now on; any thread may call this."""
        self._info = message

    def publish(self, frame: Frame, segmentation: Segmentation) -> None:
        """Send what is wanted beside the label image of `frame`."""
        if self._info is not None:
            self._outputs.send_camera_info(lambda: self._camera_info(frame, segmentation))

    def values(self) -> dict[str, str]:
        """Return counts and the last problem, as diagnostics show them."""
        return {'camera infos bad': str(self._bad_infos), 'last geometry problem': self._problem}

    def _camera_info(self, frame: Frame, segmentation: Segmentation) -> CameraInfo | None:
        try:
            return scaled_camera_info(self._info, frame.image.shape[:2], segmentation.ids.shape,
                                      frame.header)
        except ValueError as error:
            self._bad_infos += 1
            self._problem = str(error)
            return None
