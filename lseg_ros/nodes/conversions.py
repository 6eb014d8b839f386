# SPDX-License-Identifier: Apache-2.0
"""Messages to arrays and back, in one place."""
from __future__ import annotations

import array
import io
from types import MappingProxyType

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import ColorRGBA, Header
from vision_msgs.msg import LabelInfo, VisionClass

from lseg_ros.labels import LabelSet
from lseg_ros.msg import LabelClass as LabelClassMessage
from lseg_ros.msg import LabelSet as LabelSetMessage
from rclpy.time import Time

# How OpenCV turns the 8-bit encodings into RGB, by their bytes per pixel; None: it is RGB.
_EIGHT_BIT = MappingProxyType({
    'rgb8': (3, None),
    'bgr8': (3, cv2.COLOR_BGR2RGB),
    'rgba8': (4, cv2.COLOR_RGBA2RGB),
    'bgra8': (4, cv2.COLOR_BGRA2RGB),
    'mono8': (1, cv2.COLOR_GRAY2RGB),
})
# What is left to cv_bridge: bytes per pixel, and the bytes of one value.
_CV_BRIDGE = MappingProxyType({
    'mono16': (2, 2), 'rgb16': (6, 2), 'bgr16': (6, 2), 'rgba16': (8, 2), 'bgra16': (8, 2),
    **{f'bayer_{pattern}8': (1, 1) for pattern in ('rggb', 'bggr', 'gbrg', 'grbg')},
    **{f'bayer_{pattern}16': (2, 2) for pattern in ('rggb', 'bggr', 'gbrg', 'grbg')},
    **{name: (2, 1) for name in ('yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv')},
})
# Output encodings: type of a value and values per pixel.
_OUTPUT = MappingProxyType({
    'mono8': (np.dtype('u1'), 1),
    'mono16': (np.dtype('<u2'), 1),
    '16UC1': (np.dtype('<u2'), 1),
    'rgb8': (np.dtype('u1'), 3),
})


def image_to_rgb(message: Image) -> np.ndarray:
    """Return the picture as uint8 [H, W, 3], RGB; for rgb8 a view of the message's data.

    Rows may be padded (step longer than a row) and 16-bit values may have either byte order.
    Raises ValueError with the reason when the message does not hold a colour or grey picture.
    """
    if message.encoding in _EIGHT_BIT:
        channels, code = _EIGHT_BIT[message.encoding]
        pixels = _rows(message, channels).reshape(message.height, message.width, channels)
        return pixels if code is None else cv2.cvtColor(pixels, code)
    if message.encoding in _CV_BRIDGE:
        return _bridge_to_rgb(message)
    known = ', '.join((*_EIGHT_BIT, *_CV_BRIDGE))
    raise ValueError(f'unknown image encoding {message.encoding!r}: one of {known} is needed')


def compressed_to_rgb(message: CompressedImage) -> np.ndarray:
    """Decode a JPEG, PNG or other compressed picture into uint8 [H, W, 3], RGB.

    Raises ValueError with the reason when the data are cut short or are no picture.
    """
    try:
        with PillowImage.open(io.BytesIO(message.data)) as picture:
            return np.asarray(_eight_bit(picture).convert('RGB'))
    except UnidentifiedImageError:
        raise ValueError(f'compressed image of format {message.format!r} holds no picture '
                         f'({len(message.data)} bytes)') from None
    except Exception as error:  # a decoder fed with rubbish raises whatever it likes
        raise ValueError(f'compressed image of format {message.format!r}: {error}') from error


def array_to_image(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """Return an Image with this header and no row padding.

    `pixels` is [H, W] for mono8, mono16 and 16UC1, [H, W, 3] for rgb8; values that do not fit the
    encoding's type are the caller's mistake.
    """
    dtype, channels = _OUTPUT[encoding]
    height, width = pixels.shape[:2]
    message = Image(header=header, height=height, width=width, encoding=encoding,
                    is_bigendian=0, step=width * channels * dtype.itemsize)
    # The setter takes an array.array as it is; bytes and NumPy arrays it would check one by one.
    data = array.array('B')
    data.frombytes(memoryview(np.ascontiguousarray(pixels, dtype)).cast('B'))
    message.data = data
    return message


def label_set_to_message(labels: LabelSet, since_ns: int) -> LabelSetMessage:
    """Return the table as a message that holds for images stamped at or after `since_ns`."""
    return LabelSetMessage(
        header=_header(since_ns),
        classes=[LabelClassMessage(id=label.id, name=label.name, prompts=list(label.prompts),
                                   color=_color(label.color)) for label in labels.classes])


def label_set_to_label_info(labels: LabelSet, since_ns: int, threshold: float) -> LabelInfo:
    """Return id -> name as vision_msgs has it; `threshold` is a confidence in [0, 1]."""
    return LabelInfo(
        header=_header(since_ns), threshold=threshold,
        class_map=[VisionClass(class_id=label.id, class_name=label.name)
                   for label in labels.classes])


def _rows(message: Image, bytes_per_pixel: int) -> np.ndarray:
    """Return the bytes of the pixels, uint8 [H, W * bytes_per_pixel], a view without padding."""
    row = message.width * bytes_per_pixel
    if not row or not message.height:
        raise ValueError(f'empty image: {message.width} x {message.height} pixels')
    if message.step < row:
        raise ValueError(f'step {message.step} is shorter than a row: {message.width} pixels '
                         f'of {message.encoding} take {row} bytes')
    size = message.step * message.height
    if len(message.data) < size:
        raise ValueError(f'image data end early: {len(message.data)} bytes, but step * height '
                         f'is {message.step} * {message.height} = {size}')
    data = np.frombuffer(message.data, np.uint8, count=size)
    return data.reshape(message.height, message.step)[:, :row]


def _bridge_to_rgb(message: Image) -> np.ndarray:
    # Imported late: a cv_bridge built for another NumPy must not keep 8-bit cameras from working.
    from cv_bridge import CvBridge

    bytes_per_pixel, bytes_per_value = _CV_BRIDGE[message.encoding]
    values = np.ascontiguousarray(_rows(message, bytes_per_pixel)).view(f'<u{bytes_per_value}')
    if message.is_bigendian:
        values = values.byteswap()
    plain = Image(header=message.header, height=message.height, width=message.width,
                  encoding=message.encoding, step=message.width * bytes_per_pixel,
                  data=values.tobytes())
    try:
        return CvBridge().imgmsg_to_cv2(plain, 'rgb8')
    except Exception as error:  # cv_bridge lets through whatever OpenCV raises
        raise ValueError(f'image of encoding {message.encoding!r}: {error}') from error


def _eight_bit(picture: PillowImage.Image) -> PillowImage.Image:
    """Scale 16-bit grey, which Pillow would clip at 255, to 8 bits."""
    if not picture.mode.startswith('I'):
        return picture
    return PillowImage.fromarray((np.asarray(picture) >> 8).astype(np.uint8))


def _header(stamp_ns: int) -> Header:
    return Header(stamp=Time(nanoseconds=stamp_ns).to_msg())


def _color(rgb: tuple[int, int, int]) -> ColorRGBA:
    red, green, blue = (channel / 255.0 for channel in rgb)
    return ColorRGBA(r=red, g=green, b=blue, a=1.0)
