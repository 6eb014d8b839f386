# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for every message and request that the node takes, sound or not."""

from __future__ import annotations

import io
import math
from array import array

import numpy as np
from file_strategies import damaged
from geometry_msgs.msg import TransformStamped
from hypothesis import strategies as st
from PIL import Image as Picture
from rcl_interfaces.msg import Parameter, ParameterValue
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, RegionOfInterest
from std_msgs.msg import ColorRGBA, Header

from lseg_ros.msg import Embedding, LabelClass, LabelSet
from lseg_ros.nodes.segmentation.settings import PARAMETERS

MOST_BYTES = 1 << 16
BYTES_PER_PIXEL = {
    'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, 'mono8': 1, 'mono16': 2, 'rgb16': 6, 'bgr16': 6,
    'rgba16': 8, 'bgra16': 8, 'yuv422': 2, 'uyvy': 2, 'yuv422_yuy2': 2, 'yuyv': 2,
    **{f'bayer_{pattern}{bits}': bits // 8 for pattern in ('rggb', 'bggr', 'gbrg', 'grbg') for bits in (8, 16)},
}  # fmt: skip
OTHER_ENCODINGS = {'16UC1': 2, '32FC1': 4, '8UC3': 3, 'nv21': 2, 'jpeg': 1, '': 1}
FORMATS = ('jpeg', 'png', 'tiff', 'webp', 'bmp')

SIDES = st.integers(1, 40)
UINT8, UINT32 = st.integers(0, 2**8 - 1), st.integers(0, 2**32 - 1)
# What DDS can carry: a string ends at the first NUL. Characters are slow to draw: see TEXT.
NEW_TEXT = st.text(st.characters(exclude_categories=['Cs'], exclude_characters='\0'), max_size=40)
NUMBERS = st.floats(width=64) | st.sampled_from([0.0, -0.0, 1e-300, 1e300])


def mostly(usual: st.SearchStrategy, odd: st.SearchStrategy) -> st.SearchStrategy:
    """Draw from `usual` in about seven of eight cases, else from `odd`."""
    # Not 0 or 7, which hypothesis prefers, and examples shrink to the usual.
    return st.integers(0, 7).flatmap(lambda number: odd if number == 4 else usual)


TEXT = mostly(st.sampled_from(['', 'camera', 'camera_optical', '相机', ' ', 'a/b', 'x' * 300]), NEW_TEXT)


@st.composite
def headers(draw) -> Header:
    """Draw a header within a few seconds; now and then one with any stamp, possible or not."""
    header = Header(frame_id=draw(TEXT))
    header.stamp.sec = draw(mostly(st.integers(0, 3), st.integers(-(2**31), 2**31 - 1)))
    header.stamp.nanosec = draw(mostly(st.integers(0, 10**9 - 1), UINT32))
    return header


@st.composite
def image_data(draw, size: int) -> array:
    """Draw `size` bytes, a short pattern again and again."""
    pattern = draw(st.binary(min_size=1, max_size=64))
    return array('B', (pattern * (size // len(pattern) + 1))[:size])


@st.composite
def images(draw, encodings=tuple(BYTES_PER_PIXEL), sides=SIDES) -> Image:
    """Draw an image; now and then with a wrong encoding, size, step or length of the data."""
    encoding = draw(mostly(st.sampled_from(encodings), st.sampled_from(tuple(OTHER_ENCODINGS)) | TEXT))
    width, height = draw(sides), draw(sides)
    row = width * (BYTES_PER_PIXEL | OTHER_ENCODINGS).get(encoding, 1)
    step = draw(mostly(st.sampled_from([row, row, row + 1, row + 13]), UINT32))
    size = min(step * height, MOST_BYTES)
    length = draw(mostly(st.just(size), st.integers(0, size + 8)))
    return Image(
        header=draw(headers()),
        height=draw(mostly(st.just(height), UINT32)),
        width=draw(mostly(st.just(width), UINT32)),
        encoding=encoding,
        is_bigendian=draw(mostly(st.booleans().map(int), UINT8)),
        step=step,
        data=draw(image_data(length)),
    )


@st.composite
def compressed_images(draw) -> CompressedImage:
    """Draw an image file, whole, damaged or none at all, under any format."""
    kind = draw(st.sampled_from(FORMATS))
    height, width = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    mode, channels = draw(st.sampled_from([('RGB', 3), ('L', 1), ('RGBA', 4), ('I;16', 2)]))
    file = io.BytesIO()
    pixels = bytes(draw(image_data(height * width * channels)))
    try:
        Picture.frombytes(mode, (width, height), pixels).save(file, kind)
    except (OSError, ValueError):  # this format does not have this mode
        Picture.frombytes('L', (width, height), pixels[: height * width]).save(file, kind)
    form = draw(
        mostly(
            st.sampled_from([kind, f'rgb8; {kind} compressed bgr8', f'bayer_rggb8; {kind} compressed']),
            st.sampled_from(['16UC1; png compressed', '32FC1; compressedDepth', '']) | TEXT,
        )
    )
    return CompressedImage(header=draw(headers()), format=form, data=array('B', draw(damaged(file.getvalue()))))


@st.composite
def camera_infos(draw, sides=SIDES) -> CameraInfo:
    """Draw a CameraInfo: some usable, many not."""
    width, height = draw(sides), draw(sides)
    focal = draw(mostly(st.floats(1, 1e3), NUMBERS))
    matrix = [focal, 0.0, width / 2, 0.0, focal, height / 2, 0.0, 0.0, 1.0]
    nine, twelve = (st.lists(NUMBERS, min_size=count, max_size=count) for count in (9, 12))
    return CameraInfo(
        header=draw(headers()),
        width=draw(mostly(st.just(width), UINT32)),
        height=draw(mostly(st.just(height), UINT32)),
        distortion_model=draw(
            mostly(st.sampled_from(['plumb_bob', 'rational_polynomial', 'equidistant', 'fisheye', '']), TEXT)
        ),
        d=draw(st.sampled_from([0, 0, 4, 5, 8, 14, 3]).flatmap(_coefficients)),
        k=draw(mostly(st.just(matrix), nine)),
        p=draw(mostly(st.just([*matrix[:3], 0.0, *matrix[3:6], 0.0, *matrix[6:], 0.0]), twelve)),
        binning_x=draw(mostly(st.just(0), UINT32)),
        binning_y=draw(mostly(st.just(0), UINT32)),
        roi=draw(mostly(st.just(RegionOfInterest()), _regions())),
    )


def _coefficients(count: int) -> st.SearchStrategy[list[float]]:
    return st.lists(mostly(st.floats(-1, 1), NUMBERS), min_size=count, max_size=count)


@st.composite
def _regions(draw) -> RegionOfInterest:
    edges = {name: draw(UINT32) for name in ('x_offset', 'y_offset', 'height', 'width')}
    return RegionOfInterest(do_rectify=draw(st.booleans()), **edges)


def depth_images(sides=SIDES) -> st.SearchStrategy[Image]:
    """Draw a depth image, or another image in its place."""
    return mostly(images(('16UC1', '32FC1', 'mono16'), sides), images())


NAMES = st.sampled_from(['floor', 'door', 'wall', 'chair', 'person', 'fire exit', 'fire-exit', '地板', 'Other', 'café'])
LABELS = mostly(NAMES, st.builds('{}={}|{}'.format, NAMES, NAMES, TEXT) | TEXT)
MODES = mostly(st.sampled_from(['', 'replace', 'add', 'remove']), TEXT)
PROMPTS = st.lists(mostly(NAMES, TEXT), max_size=34)


GROUPS = st.lists(mostly(st.builds('{}={}|{}'.format, NAMES, NAMES, NAMES), TEXT), max_size=3)


def label_lists() -> st.SearchStrategy[list[str]]:
    """Draw labels as `SetLabels` and the parameter `labels` take them; rarely too many."""
    few = st.lists(LABELS, max_size=8)
    many = st.integers(250, 260).map(lambda count: [f'thing {number}' for number in range(count)])
    return mostly(few, mostly(few, many))


@st.composite
def parameters(draw) -> Parameter:
    """Draw a parameter of the node, or another, with a value of any type."""
    name = draw(mostly(st.sampled_from(tuple(PARAMETERS)), st.just('use_sim_time') | TEXT))
    int64 = st.integers(-(2**63), 2**63 - 1)
    kinds = {
        'bool': st.booleans(),
        'integer': mostly(st.integers(-1, 10), int64),
        'double': mostly(st.floats(0, 1), NUMBERS),
        'string': mostly(st.sampled_from(['', 'auto', 'none', 'flow', 'raw']), TEXT),
        'byte_array': st.lists(UINT8.map(lambda value: bytes([value])), max_size=4),
        'bool_array': st.lists(st.booleans(), max_size=4),
        'integer_array': st.lists(int64, max_size=4),
        'double_array': st.lists(NUMBERS, max_size=4),
        'string_array': label_lists(),
    }
    number, (kind, values) = draw(st.sampled_from(list(enumerate(kinds.items(), start=1))))
    value = ParameterValue(type=draw(mostly(st.just(number), UINT8)))
    setattr(value, f'{kind}_value', draw(values))
    return Parameter(name=name, value=value)


FLOATS = st.floats(width=32)  # of fields that are float32


@st.composite
def embeddings(draw, model: str, dimensions: int, side: int) -> Embedding:
    """Draw the embedding of a square image; some do not fit the model, the image or themselves."""
    rows, columns = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    dim = draw(mostly(st.just(dimensions), st.integers(0, 2 * dimensions)))
    vectors = np.random.default_rng(draw(st.integers(0, 1000))).normal(size=(rows * columns, dim))
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    sound = array('B', unit.astype('<f2').tobytes())
    steps = [draw(mostly(st.just(side / count), FLOATS)) for count in (columns, rows)]
    return Embedding(
        header=Header(stamp=draw(headers()).stamp, frame_id=draw(mostly(st.just('camera'), TEXT))),
        model=draw(mostly(st.just(model), TEXT)),
        image_height=draw(mostly(st.just(side), UINT32)),
        image_width=draw(mostly(st.just(side), UINT32)),
        height=draw(mostly(st.just(rows), UINT32)),
        width=draw(mostly(st.just(columns), UINT32)),
        dim=dim,
        first_x=draw(mostly(st.just(steps[0] / 2), FLOATS)),
        first_y=draw(mostly(st.just(steps[1] / 2), FLOATS)),
        step_x=steps[0],
        step_y=steps[1],
        colors=draw(mostly(image_data(3 * rows * columns), image_data(7))),
        data=draw(mostly(st.just(sound), image_data(max(len(sound), 1)) | st.binary(max_size=9))),
    )


@st.composite
def transforms(draw) -> TransformStamped:
    """Draw where the camera is in the map; some are impossible."""
    message = TransformStamped(header=Header(frame_id='map'), child_frame_id='camera')
    place, turn = message.transform.translation, message.transform.rotation
    for axis in 'xyz':
        setattr(place, axis, draw(mostly(st.floats(-5, 5), NUMBERS)))
    angle = draw(st.floats(-math.pi, math.pi))
    for name, value in (('x', 0.0), ('y', math.sin(angle / 2)), ('z', 0.0), ('w', math.cos(angle / 2))):
        setattr(turn, name, draw(mostly(st.just(value), NUMBERS)))
    return message


@st.composite
def label_sets(draw) -> LabelSet:
    """Draw a table of labels as a node announces it; some are none."""
    names = draw(st.lists(mostly(NAMES, TEXT), max_size=4))
    ids = draw(mostly(st.just(list(range(len(names)))), st.lists(UINT8, min_size=len(names), max_size=len(names))))
    shades = mostly(st.floats(0, 1, width=32), FLOATS)
    return LabelSet(
        header=draw(headers()),
        classes=[
            LabelClass(
                id=number,
                name=name,
                prompts=draw(mostly(st.just([name]), st.lists(TEXT, max_size=3))),
                color=ColorRGBA(r=draw(shades), g=draw(shades), b=draw(shades), a=1.0),
                groups=draw(st.lists(st.sampled_from(['traversable', 'obstacle']) | TEXT, max_size=1)),
            )
            for number, name in zip(ids, names)
        ],
    )
