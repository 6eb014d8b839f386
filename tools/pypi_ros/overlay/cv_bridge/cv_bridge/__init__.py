# SPDX-License-Identifier: Apache-2.0
"""Stand-in for cv_bridge's Python half where ROS 2 comes from PyPI, which has no cv_bridge."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from rosbags.image.image import ImageError, convert_color, image_to_cvimage, to_cvtype
from sensor_msgs.msg import Image
from std_msgs.msg import Header


class CvBridgeError(TypeError):
    """A conversion is impossible."""


class CvBridge:
    """Conversions between sensor_msgs/Image and NumPy arrays, as cv_bridge offers them."""

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = 'passthrough') -> np.ndarray:
        """Return the pixels [H,W] or [H,W,C] of `img_msg` in `desired_encoding`.

        Raise CvBridgeError when the message or the conversion makes no sense.
        """
        try:
            image = image_to_cvimage(_without_row_padding(img_msg))
            if desired_encoding == 'passthrough':
                return image
            return convert_color(image, img_msg.encoding, desired_encoding)
        except (ImageError, ValueError, TypeError) as error:
            raise CvBridgeError(str(error)) from error

    def cv2_to_imgmsg(self, cvim: np.ndarray, encoding: str = 'passthrough', header: Header | None = None) -> Image:
        """Return a message with the pixels of `cvim` [H,W] or [H,W,C], which are in `encoding`."""
        channels = 1 if cvim.ndim == 2 else cvim.shape[2]
        message = Image(height=cvim.shape[0], width=cvim.shape[1])
        message.encoding = encoding
        if encoding == 'passthrough':
            message.encoding = _generic_encoding(cvim.dtype, channels)
        message.is_bigendian = int(cvim.dtype.byteorder == '>')
        message.step = cvim.shape[1] * channels * cvim.itemsize
        message.data.frombytes(np.ascontiguousarray(cvim).tobytes())
        if header is not None:
            message.header = header
        return message


def _without_row_padding(message: Image) -> SimpleNamespace:
    """Return what rosbags-image reads of a message, its rows cut to the width it assumes."""
    _, _, dtype, channels = to_cvtype(message.encoding)
    row_bytes = message.width * channels * np.dtype(dtype).itemsize
    if message.step < row_bytes:
        raise ValueError(f'step {message.step} is less than the {row_bytes} bytes of a row')
    pixels = np.frombuffer(message.data, np.uint8, count=message.height * message.step)
    rows = pixels.reshape(message.height, message.step)[:, :row_bytes]
    return SimpleNamespace(
        height=message.height,
        width=message.width,
        encoding=message.encoding,
        is_bigendian=bool(message.is_bigendian),
        data=np.ascontiguousarray(rows),
    )


def _generic_encoding(dtype: np.dtype, channels: int) -> str:
    """Return the OpenCV name of an array's type, for example 16UC1."""
    return f'{dtype.itemsize * 8}{dtype.kind.upper().replace("I", "S")}C{channels}'
