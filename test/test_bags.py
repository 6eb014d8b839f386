# SPDX-License-Identifier: Apache-2.0
"""Reading the images of bags: neither another topic nor a bad image is in the way of the others."""

import io
import sqlite3
from binascii import crc32

import numpy as np
import pytest
import yaml
from bag_files import PERIOD_NS, START_NS, STORAGES, TYPES, compressed, image, pictures, rgbd_topics, write_bag
from PIL import Image
from rosbags import rosbag1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Writer
from rosbags.typesys import Stores, get_typestore

from lseg_ros.media.bags import COMPRESSED_IMAGE, IMAGE, BagError, BagReader

UNION = '=' * 80 + '\nIDL: a/msg/B\nmodule a { module msg { union B switch (long) { case 0: long x; }; }; };\n'
LATIN = 'uint8 x  # caf@\n'  # the sign becomes a byte that is not UTF-8


def read(path, topic=''):
    """Return the pictures of a bag, and why others could not be read."""
    faults = []
    with BagReader(path) as bag:
        found = [each.pixels for each in bag.images(topic or bag.image_topic(), faults)]
    return found, faults


def assert_reads_all(path, count=3):
    found, faults = read(path)
    assert not faults and np.array_equal(found, pictures(count))


def write_with_neighbour(path, storage, encoding, definition='uint8 x\n', serialization='cdr'):
    """Write the pictures, and a topic whose definition nobody here understands."""
    with Writer(path, version=8, storage_plugin=STORAGES[storage]) as writer:
        other = writer.add_connection(
            '/other', 'a/msg/B', msgdef=definition, rihs01='RIHS01_0', serialization_format=serialization
        )
        if encoding and storage == 'mcap':
            writer.storage.schemas[-1] = writer.storage.schemas[-1]._replace(encoding=encoding)
        camera = writer.add_connection('/image', IMAGE, typestore=TYPES)
        for index, each in enumerate(pictures(3)):
            writer.write(other, START_NS + index, b'\x07noise')
            writer.write(camera, START_NS + index, TYPES.serialize_cdr(image(index, each), IMAGE))
    file = next(path.glob('*.db3' if storage == 'sqlite3' else '*.mcap'))
    if storage == 'sqlite3':
        database = sqlite3.connect(file)
        if encoding:
            database.execute('UPDATE message_definitions SET encoding = ? WHERE topic_type = "a/msg/B"', (encoding,))
        text = "CAST(replace(CAST(encoded_message_definition AS BLOB), x'40', x'e9') AS TEXT)"
        database.execute(f'UPDATE message_definitions SET encoded_message_definition = {text}')
        database.commit()
        database.close()
    else:
        file.write_bytes(file.read_bytes().replace(b'caf@', b'caf\xe9'))
    return path


@pytest.mark.parametrize('storage', STORAGES)
@pytest.mark.parametrize(
    'neighbour',
    [
        {'encoding': 'protobuf', 'serialization': 'protobuf'},
        {'encoding': 'jsonschema', 'serialization': 'json'},
        {'encoding': 'ros1msg', 'serialization': 'ros1'},
        {'encoding': '', 'definition': UNION},
        {'encoding': '', 'definition': LATIN},
        {'encoding': '', 'definition': 'this is no definition'},
    ],
    ids=['protobuf', 'jsonschema', 'ros1msg', 'IDL union', 'Latin-1', 'nonsense'],
)
def test_other_topics_may_be_in_any_language(tmp_path, storage, neighbour):
    bag = write_with_neighbour(tmp_path / 'run', storage, **neighbour)
    assert_reads_all(bag)
    assert_reads_all(next(bag.glob('run.*')))


def write_ros1(path, definition='uint8 x\n'):
    types = get_typestore(Stores.ROS1_NOETIC)
    with rosbag1.Writer(path) as writer:
        other = writer.add_connection('/other', 'a/msg/B', msgdef=definition, md5sum='0')
        camera = writer.add_connection('/image', IMAGE, typestore=types)
        for index, pixels in enumerate(pictures(3)):
            message = image(index, pixels)
            header = types.types['std_msgs/msg/Header'](index, message.header.stamp, 'camera')
            message = types.types[IMAGE](**{**vars(message), 'header': header})
            writer.write(other, START_NS + index, b'\x07')
            writer.write(camera, START_NS + index, types.serialize_ros1(message, IMAGE))
    path.write_bytes(path.read_bytes().replace(b'caf@', b'caf\xe9'))
    return path


@pytest.mark.parametrize('definition', ['uint8 x\n', LATIN, 'this is no definition'])
def test_ros1_bag_is_read_whatever_other_topics_hold(tmp_path, definition):
    assert_reads_all(write_ros1(tmp_path / 'run.bag', definition))


@pytest.mark.parametrize('storage', STORAGES)
@pytest.mark.parametrize('bad', [0, 3, 7])
@pytest.mark.parametrize('damage', ['short data', 'short message'])
def test_bad_image_is_counted_and_the_others_are_read(tmp_path, storage, bad, damage):
    with Writer(tmp_path / 'run', version=8, storage_plugin=STORAGES[storage]) as writer:
        camera = writer.add_connection('/image', IMAGE, typestore=TYPES)
        for index, pixels in enumerate(pictures(8)):
            message = image(index, pixels)
            if index == bad and damage == 'short data':
                message = image(index, pixels, data=message.data[:5000])
            data = bytes(TYPES.serialize_cdr(message, IMAGE))
            if index == bad and damage == 'short message':
                data = data[:5000]
            writer.write(camera, START_NS + index, data)
    found, faults = read(tmp_path / 'run')
    assert np.array_equal(found, [each for index, each in enumerate(pictures(8)) if index != bad])
    assert len(faults) == 1 and ('image data end early' in faults[0] or 'damaged message' in faults[0])


@pytest.mark.parametrize('mode', [CompressionMode.FILE, CompressionMode.MESSAGE, CompressionMode.STORAGE])
@pytest.mark.parametrize('storage', STORAGES)
def test_compressed_bag_is_read(tmp_path, storage, mode):
    if (storage, mode) == ('sqlite3', CompressionMode.STORAGE):
        pytest.skip('sqlite3 does not compress')
    writer = Writer(tmp_path / 'run', version=8, storage_plugin=STORAGES[storage])
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        camera = writer.add_connection('/image', IMAGE, typestore=TYPES)
        for index, pixels in enumerate(pictures(3)):
            writer.write(camera, START_NS + index, bytes(TYPES.serialize_cdr(image(index, pixels), IMAGE)))
    assert_reads_all(tmp_path / 'run')


ODD_METADATA = (
    '',
    'rosbag2_bagfile_information: {storage_identifier: ""}',
    'rosbag2_bagfile_information: {relative_file_paths: [1, 2]}',
    'rosbag2_bagfile_information: {relative_file_paths: 7}',
    'rosbag2_bagfile_information: 2001-99-99',
    '\0',
    1_000 * '[',
)


@pytest.mark.parametrize('storage', STORAGES)
def test_files_of_a_folder_are_read_without_its_metadata(tmp_path, storage):
    bag = write_bag(tmp_path / 'run', rgbd_topics(3), storage)
    (bag / 'metadata.yaml').unlink()
    assert_reads_all(bag)


@pytest.mark.parametrize('metadata', ODD_METADATA)
def test_files_of_a_folder_are_read_whatever_its_metadata_are(tmp_path, metadata):
    bag = write_bag(tmp_path / 'run', rgbd_topics(3))
    (bag / 'metadata.yaml').write_text(metadata)
    assert_reads_all(bag)


def test_empty_storage_identifier_does_not_matter(tmp_path):
    bag = write_bag(tmp_path / 'run', rgbd_topics(3))
    facts = yaml.safe_load((bag / 'metadata.yaml').read_text())
    facts['rosbag2_bagfile_information']['storage_identifier'] = ''
    (bag / 'metadata.yaml').write_text(yaml.safe_dump(facts))
    assert_reads_all(bag)


def test_file_that_the_metadata_list_must_be_there(tmp_path):
    bag = write_bag(tmp_path / 'run', rgbd_topics(1))
    (bag / 'run.db3').rename(bag / 'else.db3')
    with pytest.raises(BagError, match=r'metadata.yaml lists run.db3, which is missing'):
        BagReader(bag)


def test_split_bag_is_read_in_the_order_of_recording(tmp_path):
    bag = write_bag(tmp_path / 'run', {'/image': [image(i, each) for i, each in enumerate(pictures(2))]})
    later = write_bag(tmp_path / 'later', {'/image': [image(2, pictures(3)[2])]})
    database = sqlite3.connect(later / 'later.db3')
    database.execute('UPDATE messages SET timestamp = timestamp + ?', (2 * PERIOD_NS,))
    database.commit()
    database.close()
    (later / 'later.db3').rename(bag / 'a_later.db3')  # sorts first
    (bag / 'metadata.yaml').unlink()
    assert_reads_all(bag)


@pytest.mark.parametrize('storage', STORAGES)
@pytest.mark.parametrize('file', ['first', 'last'])
def test_damaged_file_of_a_split_bag_is_told_and_the_others_are_read(tmp_path, storage, file):
    bag = write_bag(tmp_path / 'run', {'/image': [image(i, each) for i, each in enumerate(pictures(3))]}, storage)
    whole = next(bag.glob('run.*'))
    name = {'first': 'a', 'last': 'z'}[file] + whole.suffix
    (bag / name).write_bytes(whole.read_bytes()[:9000])
    (bag / 'metadata.yaml').unlink()
    assert_reads_all(bag)
    with BagReader(bag) as reader:
        list(reader.images('/image', []))
        assert len(reader.damaged) == 1 and reader.damaged[0].startswith(f'{name} is damaged, or cut short: ')


def depth_png(kind):
    data = io.BytesIO()
    Image.fromarray(np.full((40, 60), 1000, np.uint16)).save(data, 'PNG')
    return compressed(0, data.getvalue(), kind)


@pytest.mark.parametrize(
    'kind', ['16UC1; png compressed', '32FC1; tiff compressed', '16UC1; compressedDepth png', '16UC1; compressedDepth']
)
def test_compressed_depth_is_never_a_picture(tmp_path, kind):
    depth = [depth_png(kind)]
    bag = write_bag(tmp_path / 'run', {'/depth': depth, '/image': [image(0, pictures(1)[0])]})
    assert_reads_all(bag, 1)
    assert read(bag, '/depth') == ([], [f'compressed image of format {kind!r} is depth'])
    assert write_bag(tmp_path / 'only', {'/depth': depth})
    with pytest.raises(BagError, match='no image topic'), BagReader(tmp_path / 'only') as alone:
        alone.image_topic()


def test_compressed_mosaic_is_read_in_colour(tmp_path):
    data = io.BytesIO()
    Image.fromarray(np.tile(np.array([[200, 120], [120, 40]], np.uint8), (8, 8))).save(data, 'PNG')
    bag = write_bag(tmp_path / 'run', {'/image': [compressed(0, data.getvalue(), 'bayer_rggb8; png compressed ')]})
    ((picture,), faults) = read(bag, '/image')
    assert not faults and tuple(picture[7, 7]) == (200, 120, 40)


def test_first_message_that_can_be_read_decides_whether_a_topic_is_depth(tmp_path):
    with Writer(tmp_path / 'run', version=8, storage_plugin=STORAGES['mcap']) as writer:
        depth = writer.add_connection('/depth', COMPRESSED_IMAGE, typestore=TYPES)
        camera = writer.add_connection('/image', IMAGE, typestore=TYPES)
        writer.write(depth, START_NS, b'\x00\x01\x00\x00cut')
        writer.write(depth, START_NS, TYPES.serialize_cdr(depth_png('16UC1; png compressed'), COMPRESSED_IMAGE))
        writer.write(camera, START_NS, TYPES.serialize_cdr(image(0, pictures(1)[0]), IMAGE))
    assert_reads_all(tmp_path / 'run', 1)


@pytest.fixture
def chunks(tmp_path):
    """Return a function that writes an MCAP file of three chunks, a picture in each.

    It returns the path, and the start and end of each chunk.
    """

    def write(checksums):
        bag = write_bag(
            tmp_path / 'run', {'/image': [image(i, each) for i, each in enumerate(pictures(3, (700, 700)))]}, 'mcap'
        )
        path, places = bag / 'run.mcap', []
        data = bytearray(path.read_bytes())
        place = 8
        while data[place] != 0x0F:
            after = place + 9 + int.from_bytes(data[place + 1 : place + 9], 'little')
            if data[place] == 0x06:
                places.append((place, after))
                if checksums:
                    head = 40 + int.from_bytes(data[place + 37 : place + 41], 'little') + 9
                    data[place + 33 : place + 37] = crc32(data[place + head : after]).to_bytes(4, 'little')
            place = after
        path.write_bytes(data)
        return path, places

    return write


@pytest.mark.parametrize('checksums', [True, False])
def test_chunk_in_which_the_zeros_of_a_power_failure_begin_is_left_out(chunks, checksums):
    path, ((_, _), (start, end), _) = chunks(checksums)
    data = path.read_bytes()
    for zeros in (start + (end - start) // 2, end - 1000):
        path.write_bytes(data[:zeros] + bytes(end - zeros + 5000))
        with BagReader(path) as bag:
            assert len(list(bag.images('/image', []))) == 1
            assert f': {start} of its ' in bag.damaged[0] or not checksums


def test_chunk_with_a_right_checksum_counts_before_zeros(chunks):
    path, (_, (_, end), _) = chunks(True)
    path.write_bytes(path.read_bytes()[:end] + bytes(5000))
    assert len(read(path)[0]) == 2
