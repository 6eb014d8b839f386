# SPDX-License-Identifier: Apache-2.0
"""Converts image messages, from rclpy or from a bag, to arrays."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from lseg_ros.core.geometry import Size
from lseg_ros.media.images import eight_bit

# Bytes per pixel, and OpenCV's conversion to RGB (None: not needed).
_EIGHT_BIT = MappingProxyType(
    {
        'rgb8': (3, None),
        'bgr8': (3, cv2.COLOR_BGR2RGB),
        'rgba8': (4, cv2.COLOR_RGBA2RGB),
        'bgra8': (4, cv2.COLOR_BGRA2RGB),
        'mono8': (1, cv2.COLOR_GRAY2RGB),
    }
)
_PATTERNS = ('rggb', 'bggr', 'gbrg', 'grbg')
# Encodings in which two neighbours share their colour.
_YUV422 = ('yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv')
# Encodings that need a converter: bytes per pixel and bytes per value.
_CONVERTED = MappingProxyType(
    {
        'mono16': (2, 2),
        'rgb16': (6, 2),
        'bgr16': (6, 2),
        'rgba16': (8, 2),
        'bgra16': (8, 2),
        **{f'bayer_{pattern}8': (1, 1) for pattern in _PATTERNS},
        **{f'bayer_{pattern}16': (2, 2) for pattern in _PATTERNS},
        **dict.fromkeys(_YUV422, (2, 1)),
    }
)
# Formats that cameras use. Pillow reads more, some of them with external programs.
_COMPRESSED = ('BMP', 'JPEG', 'JPEG2000', 'PNG', 'TIFF', 'WEBP')
# A few kilobytes can claim to be any size; Pillow refuses only 179 million pixels and more.
MAX_COMPRESSED_PIXELS = 8192 * 8192
# Depth encodings and their types.
_DEPTH = MappingProxyType({'16UC1': 'u2', 'mono16': 'u2', '32FC1': 'f4'})
_IDS = ('mono8', '8UC1')
_ONLY_DEPTH = frozenset({'16UC1', '32FC1'})


class ImageMessage(Protocol):
    """The fields of sensor_msgs/Image that are used."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: bytes


class CompressedImageMessage(Protocol):
    """The fields of sensor_msgs/CompressedImage that are used."""

    format: str
    data: bytes


class TimeMessage(Protocol):
    """The fields of builtin_interfaces/Time."""

    sec: int
    nanosec: int


@dataclass(frozen=True)
class Picture:
    """A decoded image, uint8 RGB [h, w, 3], that may be smaller than its file: `size`."""

    pixels: np.ndarray
    size: Size


# Returns the size below which an image of this size must not be reduced.
LeastSize = Callable[[Size], Size]
# Converts (values [H, W] or [H, W, C] in native byte order, encoding) to RGB.
Converter = Callable[[np.ndarray, str], np.ndarray]


def to_nanoseconds(stamp: TimeMessage) -> int:
    """Return a time in nanoseconds, whether it is a valid one or not."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def image_to_rgb(message: ImageMessage, convert: Converter) -> np.ndarray:
    """Return the image as uint8 RGB [H, W, 3]; for rgb8, a view of the message's data.

    Rows may be padded, and 16-bit values may have either byte order. `convert` converts Bayer,
    YUV and 16-bit encodings.
    Raise ValueError with the reason if the message is not a valid colour or grey image.
    """
    if message.encoding in _EIGHT_BIT:
        channels, code = _EIGHT_BIT[message.encoding]
        pixels = _rows(message, channels).reshape(message.height, message.width, channels)
        return pixels if code is None else cv2.cvtColor(pixels, code)
    if message.encoding in _CONVERTED:
        return _converted(message, convert)
    known = ', '.join((*_EIGHT_BIT, *_CONVERTED))
    raise ValueError(f'unknown image encoding {message.encoding!r}: use one of {known}')


def compressed_to_rgb(message: CompressedImageMessage, convert: Converter) -> np.ndarray:
    """Decode a JPEG, PNG or other compressed image to uint8 RGB [H, W, 3].

    A mosaic, according to its format, is converted by `convert` like an uncompressed one.
    Raise ValueError with the reason if the data are truncated, depth or not an image.
    """
    return reduced_to_rgb(message, convert, lambda size: size).pixels


def reduced_to_rgb(message: CompressedImageMessage, convert: Converter, least: LeastSize) -> Picture:
    """Decode as `compressed_to_rgb` does, but a JPEG at 1/2, 1/4 or 1/8 of its size if it may be.

    That takes a fraction of the time: the decoder transforms fewer frequencies to fewer pixels.
    """
    if is_depth(message.format):
        raise ValueError(f'compressed image of format {message.format!r} is depth')
    pattern = next((each for each in _PATTERNS if message.format.startswith(f'bayer_{each}')), None)
    try:
        with PillowImage.open(io.BytesIO(message.data), formats=_COMPRESSED) as picture:
            size = (picture.height, picture.width)
            if picture.width * picture.height > MAX_COMPRESSED_PIXELS:
                raise ValueError(f'{picture.width} x {picture.height} pixels; at most {MAX_COMPRESSED_PIXELS}')
            if pattern and len(picture.getbands()) == 1:  # otherwise the camera driver has converted it
                return Picture(_mosaic_to_rgb(np.asarray(picture), pattern, convert), size)
            height, width = least(size)
            picture.draft('RGB', (width, height))
            return Picture(np.asarray(eight_bit(picture).convert('RGB')), size)
    except UnidentifiedImageError:
        raise ValueError(
            f'compressed image of format {message.format!r}: its {len(message.data)} bytes are not an image'
        ) from None
    except Exception as error:  # a decoder can fail in any way on bad data
        raise ValueError(f'compressed image of format {message.format!r}: {error}') from error


def _mosaic_to_rgb(mosaic: np.ndarray, pattern: str, convert: Converter) -> np.ndarray:
    if mosaic.dtype == np.uint8:
        return convert(mosaic, f'bayer_{pattern}8')
    return convert(mosaic.astype(np.uint16), f'bayer_{pattern}16')


def is_depth(encoding: str) -> bool:
    """Return whether an Image of this encoding, or a CompressedImage of this format, is depth.

    A format names the encoding of the image before it was compressed, as image_transport writes
    it: `16UC1; png compressed`, `16UC1; compressedDepth`.
    """
    return encoding.partition(';')[0].strip() in _ONLY_DEPTH or 'compressedDepth' in encoding


def image_to_depth(message: ImageMessage) -> np.ndarray:
    """Return the depth, uint16 [H, W] in millimetres or float32 [H, W] in metres.

    Raise ValueError with the reason if the message is not a valid depth image.
    """
    if message.encoding not in _DEPTH:
        known = ', '.join(_DEPTH)
        raise ValueError(f'unknown depth encoding {message.encoding!r}: use one of {known}')
    kind = _DEPTH[message.encoding]
    order = '>' if message.is_bigendian else '<'
    rows = np.ascontiguousarray(_rows(message, np.dtype(kind).itemsize))
    return rows.view(f'{order}{kind}').astype(kind, copy=False)


def image_to_ids(message: ImageMessage) -> np.ndarray:
    """Return the ids of a label image, uint8 [H, W].

    Raise ValueError with the reason if the message is not a valid label image.
    """
    if message.encoding not in _IDS:
        raise ValueError(f'label image of encoding {message.encoding!r}: use one of {", ".join(_IDS)}')
    return _rows(message, 1)


def _rows(message: ImageMessage, bytes_per_pixel: int) -> np.ndarray:
    """Return a view of the pixels without padding, uint8 [H, W * bytes_per_pixel]."""
    row = message.width * bytes_per_pixel
    if not row or not message.height:
        raise ValueError(f'empty image: {message.width} x {message.height} pixels')
    if message.step < row:
        raise ValueError(
            f'step {message.step} is shorter than a row: {message.width} pixels of {message.encoding} take {row} bytes'
        )
    size = message.step * message.height
    if len(message.data) < size:
        raise ValueError(
            f'image data end early: {len(message.data)} bytes, but step * height is '
            f'{message.step} * {message.height} = {size}'
        )
    data = np.frombuffer(message.data, np.uint8, count=size)
    return data.reshape(message.height, message.step)[:, :row]


def _converted(message: ImageMessage, convert: Converter) -> np.ndarray:
    if message.width % 2 and message.encoding in _YUV422:
        raise ValueError(f'images of encoding {message.encoding!r} have an even width, not {message.width}')
    bytes_per_pixel, bytes_per_value = _CONVERTED[message.encoding]
    values = np.ascontiguousarray(_rows(message, bytes_per_pixel)).view(f'<u{bytes_per_value}')
    if message.is_bigendian:
        values = values.byteswap()
    channels = bytes_per_pixel // bytes_per_value
    shape = (message.height, message.width) + ((channels,) if channels > 1 else ())
    try:
        return convert(values.reshape(shape), message.encoding)
    except Exception as error:  # converters pass on whatever OpenCV raises
        raise ValueError(f'image of encoding {message.encoding!r}: {error}') from error
