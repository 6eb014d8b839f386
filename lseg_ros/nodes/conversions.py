# SPDX-License-Identifier: Apache-2.0
"""Conversion between messages and arrays."""

from __future__ import annotations

import array
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from sensor_msgs.msg import CompressedImage, Image, PointCloud2, PointField
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

from lseg_ros.core.cloud import POINT, PixelGrid
from lseg_ros.labels.syntax import quote
from lseg_ros.media import ros_images
from lseg_ros.media.ros_images import LeastSize, Picture, to_nanoseconds
from lseg_ros.msg import Embedding
from lseg_ros.nodes.bridge import bridge_to_rgb

if TYPE_CHECKING:
    from lseg_ros.core.embedding import ImageEmbedding  # needs PyTorch, which the camera node does not

# Output encodings: type of a value and values per pixel.
_OUTPUT: Mapping[str, tuple[np.dtype[Any], int]] = MappingProxyType(
    {'mono8': (np.dtype('u1'), 1), '16UC1': (np.dtype('<u2'), 1), 'rgb8': (np.dtype('u1'), 3)}
)
_POINT_TYPES = MappingProxyType({'f': PointField.FLOAT32, 'u': PointField.UINT32})
POINT_FIELDS = tuple(
    PointField(name=name, offset=offset, count=1, datatype=_POINT_TYPES[dtype.kind])
    for name, (dtype, offset, *_) in (POINT.fields or {}).items()
)


def image_to_rgb(message: Image) -> np.ndarray:
    """Return the picture as uint8 [H, W, 3], RGB; for rgb8 a view of the message's data.

    Rows may be padded (step longer than a row), and 16-bit values may have either byte order.
    Raise ValueError, with the reason, if the message does not hold a colour or grey picture.
    """
    return ros_images.image_to_rgb(message, bridge_to_rgb)


def compressed_to_rgb(message: CompressedImage) -> np.ndarray:
    """Return the picture as uint8 [H, W, 3], RGB.

    Raise ValueError, with the reason, if the message does not hold a colour or grey picture.
    """
    return ros_images.compressed_to_rgb(message, bridge_to_rgb)


def reduced_to_rgb(message: CompressedImage, least: LeastSize) -> Picture:
    """Return the picture like `compressed_to_rgb`, but a JPEG perhaps smaller, as small as allowed.

    `least` takes the size (height, width) of the picture and returns the least that will do.
    """
    return ros_images.reduced_to_rgb(message, bridge_to_rgb, least)


def array_to_image(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """Return an Image with this header and no row padding.

    `pixels` is [H, W] for mono8 and 16UC1, [H, W, 3] for rgb8; its values must fit the type of the
    encoding.
    """
    dtype, channels = _OUTPUT[encoding]
    height, width = pixels.shape[:2]
    message = Image(
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=width * channels * dtype.itemsize,
    )
    message.data = _bytes(np.asarray(pixels, dtype))
    return message


def embedding_to_message(embedding: ImageEmbedding, image: np.ndarray, stride: int, header: Header) -> Embedding:
    """Return every `stride`-th row and column of the embedding of `image`, uint8 [H, W, 3]."""
    vectors, (down, across) = embedding.thinned(stride)
    height, width, dim = vectors.shape
    pixels = PixelGrid.along((down, across), (height, width), image.shape[:2])
    return Embedding(
        header=header,
        model=embedding.id,
        image_height=image.shape[0],
        image_width=image.shape[1],
        height=height,
        width=width,
        dim=dim,
        first_x=across.first,
        first_y=down.first,
        step_x=across.step,
        step_y=down.step,
        colors=_bytes(pixels.sample(image)),
        data=_bytes(vectors.half().contiguous().cpu().numpy()),
    )


class OrganisedCloud:
    """A PointCloud2 of one size that is filled again and again.

    Allocating a new message each time would take several times longer than computing the points.
    `points`, [h, w] of `lseg_ros.core.cloud.POINT`, is the memory of the message.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        """Create a message of `size` (height, width), filled with zeros."""
        self._message = point_cloud2.create_cloud(Header(), POINT_FIELDS, np.zeros(size, POINT))
        self.points = np.frombuffer(self._message.data, POINT).reshape(size)

    def stamped(self, header: Header) -> PointCloud2:
        """Return the message, with `header`; it is valid until `points` changes."""
        self._message.header = header
        return self._message


def stamp_ns(header: Header) -> int:
    """Return the stamp of a header in nanoseconds; raise ValueError if it is not a valid time."""
    seconds, nanoseconds = header.stamp.sec, header.stamp.nanosec
    if seconds < 0 or nanoseconds >= 10**9:
        raise ValueError(f'the stamp, {seconds} s and {nanoseconds} ns, is not a valid time')
    return to_nanoseconds(header.stamp)


def frame_conflict(image: Header, **others: Header) -> str:
    """Return which headers have another frame than that of the image; empty if none has.

    A header without a frame conflicts with none.
    """
    frame = image.frame_id.lstrip('/')
    odd = [
        f'{name} is in frame {quote(other)}'
        for name, header in others.items()
        if frame and (other := header.frame_id.lstrip('/')) not in ('', frame)
    ]
    return f'{" and ".join(odd)}, but the image in {quote(frame)}: are they aligned?' if odd else ''


def _bytes(values: np.ndarray) -> array.array:
    # The setters take an array.array as it is, but check each byte of bytes or NumPy arrays.
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(values).data.cast('B'))
    return data
