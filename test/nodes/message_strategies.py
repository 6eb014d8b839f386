# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for every message and request that the node takes, sound or not."""

from __future__ import annotations

import io
import math
from array import array
from typing import TypeVar

import numpy as np
from file_strategies import UINT8, damage
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

# Strategies are made once: hypothesis takes longer to check one than to draw from it.
SIDES, SMALL_SIDES = st.integers(1, 40), st.integers(1, 24)
UINT32 = st.integers(0, 2**32 - 1)
EIGHTHS = st.integers(0, 7)
ODD = 4  # not 0 or 7, which hypothesis prefers, and examples shrink to the usual
T = TypeVar('T')
# What DDS can carry: a string ends at the first NUL. Characters are slow to draw: see TEXT.
NEW_TEXT = st.text(st.characters(exclude_categories=['Cs'], exclude_characters='\0'), max_size=40)
NUMBERS = st.floats(width=64) | st.sampled_from([0.0, -0.0, 1e-300, 1e300])


def mostly(usual: st.SearchStrategy, odd: st.SearchStrategy) -> st.SearchStrategy:
    """Draw from `usual` in about seven of eight cases, else from `odd`."""
    return EIGHTHS.flatmap(lambda number: odd if number == ODD else usual)


def up_to(most: int, elements: st.SearchStrategy[T]) -> st.SearchStrategy[list[T]]:
    """Draw a list of 1 to `most` elements, all lengths alike; `st.lists` rarely draws many."""
    lists = [st.lists(elements, min_size=count, max_size=count) for count in range(1, most + 1)]
    return st.integers(0, most - 1).flatmap(lists.__getitem__)


def usually(draw: st.DrawFn, usual: T, odd: st.SearchStrategy[T]) -> T:
    """Return `usual` in about seven of eight cases, else draw from `odd`."""
    return draw(odd) if draw(EIGHTHS) == ODD else usual


TEXT = mostly(st.sampled_from(['', 'camera', 'camera_optical', '相机', ' ', 'a/b', 'x' * 300]), NEW_TEXT)
SECONDS = mostly(st.integers(0, 3), st.integers(-(2**31), 2**31 - 1))
NANOSECONDS = mostly(st.integers(0, 10**9 - 1), UINT32)


@st.composite
def headers(draw) -> Header:
    """Draw a header within a few seconds; now and then one with any stamp, possible or not."""
    header = Header(frame_id=draw(TEXT))
    header.stamp.sec = draw(SECONDS)
    header.stamp.nanosec = draw(NANOSECONDS)
    return header


HEADERS = headers()
PATTERNS = st.binary(min_size=1, max_size=64)
PADDINGS = st.sampled_from([0, 0, 1, 13])
FLAGS = mostly(st.booleans().map(int), UINT8)


def image_data(draw: st.DrawFn, size: int) -> array:
    """Return `size` bytes, a short pattern again and again."""
    pattern = draw(PATTERNS)
    return array('B', (pattern * (size // len(pattern) + 1))[:size])


def images(encodings=tuple(BYTES_PER_PIXEL), sides=SIDES) -> st.SearchStrategy[Image]:
    """Draw an image; now and then with a wrong encoding, size, step or length of the data."""
    return _images(mostly(st.sampled_from(encodings), st.sampled_from(tuple(OTHER_ENCODINGS)) | TEXT), sides)


@st.composite
def _images(draw, encodings, sides) -> Image:
    encoding = draw(encodings)
    width, height = draw(sides), draw(sides)
    row = width * (BYTES_PER_PIXEL | OTHER_ENCODINGS).get(encoding, 1)
    step = usually(draw, row + draw(PADDINGS), UINT32)
    size = min(step * height, MOST_BYTES)
    length = usually(draw, size, st.integers(0, size + 8))
    return Image(
        header=draw(HEADERS),
        height=usually(draw, height, UINT32),
        width=usually(draw, width, UINT32),
        encoding=encoding,
        is_bigendian=draw(FLAGS),
        step=step,
        data=image_data(draw, length),
    )


KINDS, MODES_AND_CHANNELS = st.sampled_from(FORMATS), st.sampled_from([('RGB', 3), ('L', 1), ('RGBA', 4), ('I;16', 2)])
FORMS = st.sampled_from(['{0}', 'rgb8; {0} compressed bgr8', 'bayer_rggb8; {0} compressed'])
OTHER_FORMS = st.sampled_from(['16UC1; png compressed', '32FC1; compressedDepth', '']) | TEXT


@st.composite
def compressed_images(draw) -> CompressedImage:
    """Draw an image file, whole, damaged or none at all, under any format."""
    kind = draw(KINDS)
    height, width = draw(SMALL_SIDES), draw(SMALL_SIDES)
    mode, channels = draw(MODES_AND_CHANNELS)
    file = io.BytesIO()
    pixels = bytes(image_data(draw, height * width * channels))
    try:
        Picture.frombytes(mode, (width, height), pixels).save(file, kind)
    except (OSError, ValueError):  # this format does not have this mode
        Picture.frombytes('L', (width, height), pixels[: height * width]).save(file, kind)
    form = usually(draw, draw(FORMS).format(kind), OTHER_FORMS)
    return CompressedImage(header=draw(HEADERS), format=form, data=array('B', damage(draw, file.getvalue())))


FOCALS = mostly(st.floats(1, 1e3), NUMBERS)
NINE, TWELVE = (st.lists(NUMBERS, min_size=count, max_size=count) for count in (9, 12))
DISTORTION_PARAMETERS = st.one_of(
    st.lists(mostly(st.floats(-1, 1), NUMBERS), min_size=count, max_size=count) for count in (0, 3, 4, 5, 8, 14)
)
REGIONS = st.builds(
    RegionOfInterest, x_offset=UINT32, y_offset=UINT32, height=UINT32, width=UINT32, do_rectify=st.booleans()
)
DISTORTIONS = mostly(st.sampled_from(['plumb_bob', 'rational_polynomial', 'equidistant', 'fisheye', '']), TEXT)


@st.composite
def camera_infos(draw, sides=SIDES) -> CameraInfo:
    """Draw a CameraInfo: some usable, many not."""
    width, height = draw(sides), draw(sides)
    focal = draw(FOCALS)
    matrix = [focal, 0.0, width / 2, 0.0, focal, height / 2, 0.0, 0.0, 1.0]
    return CameraInfo(
        header=draw(HEADERS),
        width=usually(draw, width, UINT32),
        height=usually(draw, height, UINT32),
        distortion_model=draw(DISTORTIONS),
        d=draw(DISTORTION_PARAMETERS),
        k=usually(draw, matrix, NINE),
        p=usually(draw, [*matrix[:3], 0.0, *matrix[3:6], 0.0, *matrix[6:], 0.0], TWELVE),
        binning_x=usually(draw, 0, UINT32),
        binning_y=usually(draw, 0, UINT32),
        roi=usually(draw, RegionOfInterest(), REGIONS),
    )


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


PARAMETER_NAMES = mostly(st.sampled_from(tuple(PARAMETERS)), st.just('use_sim_time') | TEXT)
INT64 = st.integers(-(2**63), 2**63 - 1)
VALUES = {
    'bool': st.booleans(),
    'integer': mostly(st.integers(-1, 10), INT64),
    'double': mostly(st.floats(0, 1), NUMBERS),
    'string': mostly(st.sampled_from(['', 'auto', 'none', 'flow', 'raw']), TEXT),
    'byte_array': st.lists(UINT8.map(lambda value: bytes([value])), max_size=4),
    'bool_array': st.lists(st.booleans(), max_size=4),
    'integer_array': st.lists(INT64, max_size=4),
    'double_array': st.lists(NUMBERS, max_size=4),
    'string_array': label_lists(),
}
TYPES = st.sampled_from(list(enumerate(VALUES, start=1)))


@st.composite
def parameters(draw) -> Parameter:
    """Draw a parameter of the node, or another, with a value of any type."""
    name = draw(PARAMETER_NAMES)
    number, kind = draw(TYPES)
    value = ParameterValue(type=usually(draw, number, UINT8))
    setattr(value, f'{kind}_value', draw(VALUES[kind]))
    return Parameter(name=name, value=value)


FLOATS = st.floats(width=32)  # of fields that are float32
GRID_SIDES, SEEDS = st.integers(1, 6), st.integers(0, 1000)
FRAMES = mostly(st.just('camera'), TEXT)
FEW_BYTES = st.binary(max_size=9)


@st.composite
def embeddings(draw, model: str, dimensions: int, side: int) -> Embedding:
    """Draw the embedding of a square image; some do not fit the model, the image or themselves."""
    rows, columns = draw(GRID_SIDES), draw(GRID_SIDES)
    dim = usually(draw, dimensions, st.integers(0, 2 * dimensions))
    vectors = np.random.default_rng(draw(SEEDS)).normal(size=(rows * columns, dim))
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    data = array('B', unit.astype('<f2').tobytes())
    if draw(EIGHTHS) == ODD:
        data = image_data(draw, max(len(data), 1)) if draw(st.booleans()) else draw(FEW_BYTES)
    steps = [usually(draw, side / count, FLOATS) for count in (columns, rows)]
    return Embedding(
        header=Header(stamp=draw(HEADERS).stamp, frame_id=draw(FRAMES)),
        model=usually(draw, model, TEXT),
        image_height=usually(draw, side, UINT32),
        image_width=usually(draw, side, UINT32),
        height=usually(draw, rows, UINT32),
        width=usually(draw, columns, UINT32),
        dim=dim,
        first_x=usually(draw, steps[0] / 2, FLOATS),
        first_y=usually(draw, steps[1] / 2, FLOATS),
        step_x=steps[0],
        step_y=steps[1],
        colors=image_data(draw, 7 if draw(EIGHTHS) == ODD else 3 * rows * columns),
        data=data,
    )


PLACES, ANGLES = mostly(st.floats(-5, 5), NUMBERS), st.floats(-math.pi, math.pi)


@st.composite
def transforms(draw) -> TransformStamped:
    """Draw where the camera is in the map; some are impossible."""
    message = TransformStamped(header=Header(frame_id='map'), child_frame_id='camera')
    place, turn = message.transform.translation, message.transform.rotation
    for axis in 'xyz':
        setattr(place, axis, draw(PLACES))
    angle = draw(ANGLES)
    for name, value in (('x', 0.0), ('y', math.sin(angle / 2)), ('z', 0.0), ('w', math.cos(angle / 2))):
        setattr(turn, name, usually(draw, value, NUMBERS))
    return message


TABLE_NAMES = st.lists(mostly(NAMES, TEXT), max_size=4)
TEXTS = st.lists(TEXT, max_size=3)
SHADES = mostly(st.floats(0, 1, width=32), FLOATS)
CLASS_GROUPS = st.lists(st.sampled_from(['traversable', 'obstacle']) | TEXT, max_size=1)


@st.composite
def label_sets(draw) -> LabelSet:
    """Draw a table of labels as a node announces it; some are none."""
    names = draw(TABLE_NAMES)
    ids = usually(draw, list(range(len(names))), st.lists(UINT8, min_size=len(names), max_size=len(names)))
    return LabelSet(
        header=draw(HEADERS),
        classes=[
            LabelClass(
                id=number,
                name=name,
                prompts=usually(draw, [name], TEXTS),
                color=ColorRGBA(r=draw(SHADES), g=draw(SHADES), b=draw(SHADES), a=1.0),
                groups=draw(CLASS_GROUPS),
            )
            for number, name in zip(ids, names)
        ],
    )
