# SPDX-License-Identifier: Apache-2.0
"""Conversions between messages and arrays."""

from __future__ import annotations

import io

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from PIL import Image as Picture
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import ColorRGBA, Header

from lseg_ros.labels import LabelRegistry
from lseg_ros.nodes.conversions import array_to_image, compressed_to_rgb, image_to_rgb, reduced_to_rgb
from lseg_ros.nodes.label_messages import label_set_from_message, label_set_to_label_info, label_set_to_message

HEADER = Header(stamp=Time(sec=7, nanosec=123456789), frame_id='camera_optical')
RGB = np.random.default_rng(0).integers(0, 256, (6, 10, 3), np.uint8)
# The weights OpenCV uses for grey: ITU-R BT.601.
GREY = np.rint(RGB @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
OPAQUE = np.full((6, 10, 1), 255, np.uint8)
EIGHT_BIT = {
    'rgb8': RGB,
    'bgr8': RGB[..., ::-1],
    'rgba8': np.concatenate([RGB, OPAQUE], 2),
    'bgra8': np.concatenate([RGB[..., ::-1], OPAQUE], 2),
    'mono8': GREY,
}


def make_image(pixels, encoding, padding=0, big_endian=False, **changes):
    """Return an Image whose rows end in `padding` extra bytes, all 99."""
    height, width = pixels.shape[:2]
    data = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder('>' if big_endian else '<')).view(np.uint8)
    rows = np.pad(data.reshape(height, -1), ((0, 0), (0, padding)), constant_values=99)
    fields = {
        'header': HEADER,
        'height': height,
        'width': width,
        'encoding': encoding,
        'is_bigendian': int(big_endian),
        'step': rows.shape[1],
        'data': rows.tobytes(),
    }
    return Image(**fields | changes)


def encode(pixels, kind, **options):
    file = io.BytesIO()
    Picture.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize('padding', [0, 1, 7])
@pytest.mark.parametrize('encoding', EIGHT_BIT)
def test_eight_bit_encodings_become_rgb_whatever_the_row_padding(encoding, padding):
    rgb = image_to_rgb(make_image(EIGHT_BIT[encoding], encoding, padding))
    expected = np.repeat(GREY[..., None], 3, 2) if encoding == 'mono8' else RGB
    assert rgb.dtype == np.uint8
    assert np.array_equal(rgb, expected)


def test_rgb8_is_not_copied():
    message = make_image(RGB, 'rgb8', padding=4)
    rgb = image_to_rgb(message)
    assert np.shares_memory(rgb, np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize('big_endian', [False, True])
@pytest.mark.parametrize('padding', [0, 6])
def test_sixteen_bit_grey_keeps_its_high_byte_in_either_byte_order(padding, big_endian):
    wide = GREY.astype(np.uint16) * 257
    rgb = image_to_rgb(make_image(wide, 'mono16', padding, big_endian))
    assert np.abs(rgb[..., 1].astype(int) - GREY).max() <= 1
    assert rgb.shape == RGB.shape


@pytest.mark.parametrize('big_endian', [False, True])
def test_sixteen_bit_colour_in_either_byte_order(big_endian):
    wide = RGB[..., ::-1].astype(np.uint16) * 257
    rgb = image_to_rgb(make_image(wide, 'bgr16', 2, big_endian))
    assert np.abs(rgb.astype(int) - RGB).max() <= 1


def test_bayer_pattern_of_one_colour_decodes_to_that_colour():
    red, green, blue = 200, 120, 40
    mosaic = np.tile(np.array([[red, green], [green, blue]], np.uint8), (4, 4))
    rgb = image_to_rgb(make_image(mosaic, 'bayer_rggb8', padding=3))
    assert np.array_equal(rgb[3, 3], (red, green, blue))


def test_yuv422_of_a_grey_picture_is_grey():
    uyvy = np.tile(np.array([128, 120], np.uint8), (4, 8)).reshape(4, 8, 2)
    rgb = image_to_rgb(make_image(uyvy, 'yuv422', padding=2))
    assert rgb.shape == (4, 8, 3)
    assert rgb.std() < 1


@pytest.mark.parametrize('encoding', ['yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv'])
def test_yuv422_of_odd_width_is_refused_in_plain_words(encoding):
    uyvy = np.full((4, 5, 2), 128, np.uint8)
    with pytest.raises(ValueError, match=f"^images of encoding '{encoding}' have an even width, not 5$"):
        image_to_rgb(make_image(uyvy, encoding))


def mosaic(pattern):
    """Return the mosaic of a uniform red-green-blue picture, uint8 [16, 16], and its colour."""
    colour = {'r': 200, 'g': 120, 'b': 40}
    cell = np.array([colour[each] for each in pattern], np.uint8).reshape(2, 2)
    return np.tile(cell, (8, 8)), tuple(colour.values())


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
@pytest.mark.parametrize('kind', ['png', 'jpeg'])
def test_compressed_mosaic_is_converted_as_the_raw_one(pattern, kind):
    pixels, colour = mosaic(pattern)
    data = encode(pixels, kind, **({'quality': 100} if kind == 'jpeg' else {}))
    rgb = compressed_to_rgb(CompressedImage(format=f'bayer_{pattern}8; {kind} compressed ', data=data))
    raw = image_to_rgb(make_image(pixels, f'bayer_{pattern}8'))
    assert np.abs(rgb.astype(int) - raw).max() <= (4 if kind == 'jpeg' else 0)
    assert np.abs(rgb[7, 7].astype(int) - colour).max() <= 4


def test_compressed_mosaic_of_16_bits_is_converted():
    pixels, colour = mosaic('grbg')
    data = encode(pixels.astype(np.uint16) * 257, 'png')
    rgb = compressed_to_rgb(CompressedImage(format='bayer_grbg16; png compressed ', data=data))
    assert np.abs(rgb[7, 7].astype(int) - colour).max() <= 1


def test_picture_in_colour_is_left_alone_though_its_format_names_a_mosaic():
    message = CompressedImage(format='bayer_rggb8; png compressed bgr8', data=encode(RGB, 'png'))
    assert np.array_equal(compressed_to_rgb(message), RGB)


@pytest.mark.parametrize(
    'kind',
    ['16UC1; png compressed ', '32FC1; tiff compressed ', '16UC1; compressedDepth png', '32FC1; compressedDepth'],
)
def test_compressed_depth_is_refused(kind):
    millimetres = np.full((6, 10), 1500, np.uint16)
    with pytest.raises(ValueError, match='is depth'):
        compressed_to_rgb(CompressedImage(format=kind, data=encode(millimetres, 'png')))


@pytest.mark.parametrize(
    'changes, reason',
    [
        ({'height': 0, 'data': b''}, 'empty image: 10 x 0'),
        ({'width': 0, 'step': 0, 'data': b''}, 'empty image: 0 x 6'),
        ({'data': bytes(179)}, 'data end early: 179 bytes'),
        ({'data': b''}, 'data end early: 0 bytes'),
        ({'step': 29}, 'step 29 is shorter than a row'),
        ({'step': 0}, 'step 0 is shorter than a row'),
        ({'step': 2**32 - 1}, 'data end early'),
        ({'width': 2**31, 'height': 2**31}, 'step 30 is shorter'),
        ({'encoding': 'rgb9'}, "unknown image encoding 'rgb9'"),
        ({'encoding': ''}, "unknown image encoding ''"),
        ({'encoding': '32FC1'}, "unknown image encoding '32FC1'"),
        ({'encoding': 'mono16', 'step': 19}, 'step 19 is shorter'),
    ],
)
def test_unreadable_image_is_refused_with_the_reason(changes, reason):
    with pytest.raises(ValueError, match=reason):
        image_to_rgb(make_image(RGB, **{'encoding': 'rgb8'} | changes))


@pytest.mark.parametrize('kind, tolerance', [('png', 0), ('webp', 40), ('jpeg', 40)])
def test_compressed_picture_is_decoded_to_rgb(kind, tolerance):
    smooth = np.broadcast_to(np.arange(0, 240, 5, np.uint8)[:, None, None], (48, 64, 3))
    data = encode(np.ascontiguousarray(smooth), kind)
    rgb = compressed_to_rgb(CompressedImage(format=kind, data=data))
    assert rgb.shape == (48, 64, 3)
    assert np.abs(rgb.astype(int) - smooth).max() <= tolerance


@pytest.mark.parametrize(
    'kind, least, shape',
    [
        ('jpeg', (48, 64), (48, 64)),
        ('jpeg', (25, 33), (48, 64)),
        ('jpeg', (24, 32), (24, 32)),
        ('jpeg', (10, 14), (12, 16)),
        ('png', (10, 14), (48, 64)),
    ],
)
def test_jpeg_is_decoded_no_smaller_than_allowed(kind, least, shape):
    smooth = np.broadcast_to(np.arange(0, 240, 5, np.uint8)[:, None, None], (48, 64, 3))
    message = CompressedImage(format=kind, data=encode(np.ascontiguousarray(smooth), kind))
    picture = reduced_to_rgb(message, lambda size: least)
    assert picture.size == (48, 64) and picture.pixels.shape == (*shape, 3)
    rows = smooth.reshape(shape[0], -1).mean(1)
    assert np.abs(picture.pixels.mean((1, 2)) - rows).max() < 4


def test_compressed_picture_of_red_is_red():
    red = np.full((16, 16, 3), (255, 0, 0), np.uint8)
    rgb = compressed_to_rgb(CompressedImage(format='bgr8; jpeg', data=encode(red, 'jpeg')))
    assert rgb[8, 8, 0] > 240 and rgb[8, 8, 2] < 15


def test_compressed_sixteen_bit_grey_keeps_its_high_byte():
    wide = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    rgb = compressed_to_rgb(CompressedImage(format='mono16; png compressed ', data=encode(wide, 'png')))
    assert np.array_equal(rgb[..., 0], np.arange(256).reshape(16, 16))


@pytest.mark.parametrize(
    'damage',
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:20],
        lambda data: b'',
        lambda data: b'\x00' * len(data),
        lambda data: b'not a picture',
    ],
)
@pytest.mark.parametrize('kind', ['jpeg', 'png'])
def test_damaged_compressed_picture_is_refused(kind, damage):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    with pytest.raises(ValueError, match=f"format '{kind}'"):
        compressed_to_rgb(CompressedImage(format=kind, data=damage(encode(noise, kind))))


def test_compressed_data_that_need_an_external_program_are_refused():
    script = b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n'
    with pytest.raises(ValueError, match='not an image'):
        compressed_to_rgb(CompressedImage(format='jpeg', data=script))


@pytest.mark.parametrize(
    'encoding, pixels, step', [('mono8', GREY, 10), ('16UC1', GREY.astype(np.uint16) * 200, 20), ('rgb8', RGB, 30)]
)
def test_array_becomes_an_image_without_padding_under_the_given_header(encoding, pixels, step):
    message = array_to_image(pixels, encoding, HEADER)
    assert message.header == HEADER
    assert (message.height, message.width, message.step) == (6, 10, step)
    assert (message.encoding, message.is_bigendian) == (encoding, 0)
    dtype = '<u2' if encoding == '16UC1' else 'u1'
    assert np.array_equal(np.frombuffer(message.data, dtype).reshape(pixels.shape), pixels)


def test_non_contiguous_array_is_sent_in_its_own_order():
    message = array_to_image(RGB[:, ::-1], 'rgb8', HEADER)
    assert np.array_equal(image_to_rgb(message), RGB[:, ::-1])


def test_tables_carry_ids_names_prompts_colours_and_the_stamp():
    registry = LabelRegistry()
    registry.replace(['floor', 'rug', 'door'])
    labels = registry.replace(['floor=floor|ground', 'door'])
    table = label_set_to_message(labels, 7_000_000_001)
    info = label_set_to_label_info(labels, 7_000_000_001, 0.25)
    assert [(entry.id, entry.name, list(entry.prompts)) for entry in table.classes] == [
        (0, 'other', ['other']),
        (1, 'floor', ['floor', 'ground']),
        (3, 'door', ['door']),
    ]
    for entry, label in zip(table.classes, labels.classes):
        channels = (entry.color.r, entry.color.g, entry.color.b, entry.color.a)
        assert np.allclose(channels, [*(c / 255 for c in label.color), 1.0])
    # Only the LabelInfo still names the id that is not in use.
    meanings = {entry.class_id: entry.class_name for entry in info.class_map}
    assert meanings == {0: 'other', 1: 'floor', 2: 'rug', 3: 'door'}
    assert info.threshold == pytest.approx(0.25)
    assert table.header == info.header == Header(stamp=Time(sec=7, nanosec=1))


@pytest.mark.parametrize(
    ('change', 'fault'),
    [
        ({'id': 255}, 'the id 255, which means unlabelled'),
        ({'prompts': []}, 'no prompts'),
        ({'color': ColorRGBA(r=float('inf'))}, 'the colour'),
        ({'color': ColorRGBA(g=float('nan'))}, 'the colour'),
    ],
)
def test_table_that_is_none_is_refused_with_the_label_at_fault(change, fault):
    table = label_set_to_message(LabelRegistry().replace(['floor', 'door']), 0)
    for name, value in change.items():
        setattr(table.classes[-1], name, value)
    with pytest.raises(ValueError, match=f"label 'door' has {fault}"):
        label_set_from_message(table)
