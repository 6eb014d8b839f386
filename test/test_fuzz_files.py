# SPDX-License-Identifier: Apache-2.0
"""Whatever a file holds, it is read or refused with a reason, and no half-written file remains."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from bag_files import image, pictures, write_bag
from file_strategies import damaged, documents, voxel_tensors, yaml_files
from hypothesis import example, given
from hypothesis import strategies as st
from map_scene import SIZE_M, WORDS, labels_of, seen, wall_ahead
from oracle import build_oracle
from PIL import Image
from rosbags import rosbag1
from rosbags.typesys import Stores, get_typestore
from safetensors.torch import save

from lseg_ros import cli
from lseg_ros.core import factory
from lseg_ros.labels import LabelError, LabelRegistry, read_label_file
from lseg_ros.mapping.labelling import label_voxels
from lseg_ros.mapping.language_map import LanguageMap
from lseg_ros.mapping.map_files import MapFacts
from lseg_ros.mapping.voxel_index import REACH
from lseg_ros.mapping.voxel_map import MapSettings
from lseg_ros.media.sources import open_source
from lseg_ros.model import checkpoint
from lseg_ros.model.pickle_reader import PickleError, PickleFile, TensorView

pytestmark = pytest.mark.fuzz

SHIPPED = Path(__file__).parents[1] / 'config' / 'labels' / 'indoor.yaml'
IMAGE_FILES = ('a.png', 'a.jpg', 'a.bmp', 'a.tif', 'a.webp', 'a.ppm')
VIDEOS = sorted(path.name for path in (Path(__file__).parent / 'videos').iterdir())


@pytest.fixture(scope='module')
def samples(tmp_path_factory):
    """The bytes of small sound files by name, and for those of bags also by folder."""
    folder = tmp_path_factory.mktemp('samples')
    for name in IMAGE_FILES:
        Image.fromarray(pictures(1)[0]).save(folder / name)
    messages = {'/image': [image(index, each) for index, each in enumerate(pictures(2, (8, 12)))]}
    for storage in ('sqlite3', 'mcap'):
        write_bag(folder / storage, messages, storage)
    _write_ros1_bag(folder / 'a.bag')
    files = [path for path in folder.rglob('*') if path.is_file()]
    found = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    return found | {name: (Path(__file__).parent / 'videos' / name).read_bytes() for name in VIDEOS}


def _write_ros1_bag(path):
    types = get_typestore(Stores.ROS1_NOETIC)
    kind = 'sensor_msgs/msg/Image'
    fields = {name: getattr(image(0, pictures(1)[0]), name) for name in ('height', 'width', 'encoding', 'step', 'data')}
    header = types.types['std_msgs/msg/Header'](
        seq=0, stamp=types.types['builtin_interfaces/msg/Time'](sec=1, nanosec=0), frame_id='camera'
    )
    with rosbag1.Writer(path) as writer:
        connection = writer.add_connection('/image', kind, typestore=types)
        message = types.types[kind](header=header, is_bigendian=0, **fields)
        writer.write(connection, 1, types.serialize_ros1(message, kind))


@pytest.fixture(scope='module')
def oracle():
    """Make the commands open the oracle."""
    segmenter = factory.open_segmenter(build_oracle(), backend='eager')
    with mock.patch('lseg_ros.core.factory.open_segmenter', return_value=segmenter):
        yield


@pytest.mark.slow
@given(data=st.data())
def test_command_segments_a_media_file_or_says_why_not(oracle, samples, tally, capsys, data):
    name = data.draw(st.sampled_from(sorted(samples)), 'file')
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, 'in', name)
        for other in samples:  # the other files of the same bag
            if '/' in name and other.startswith(f'{place.parent.name}/'):
                _write(Path(folder, 'in', other), samples[other])
        _write(place, data.draw(damaged(samples[name]), 'contents'))
        source = place.parent if '/' in name else place
        output = Path(folder, 'out')
        status, errors = run(capsys, 'segment', source, '--labels', 'floor, door', '--output', output)
        assert bool(status) == bool(errors)
        assert not list(output.rglob('*.part*'))
    tally.update({'files': 1, f'files {"refused" if status else "read"}: {place.suffix}': 1})


def _write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def refusal(action: Callable[[], object], error: type[Exception]) -> str | None:
    """Return why `action` raises an `error`; None if it does not."""
    try:
        action()
    except error as refused:
        return str(refused)
    return None


@given(content=yaml_files() | damaged(SHIPPED.read_bytes()))
def test_label_file_gives_labels_or_one_line(tally, tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / 'fuzzed.yaml'
    path.write_bytes(content)

    def read():
        file = read_label_file(path)
        labels = LabelRegistry().replace(file.labels, file.groups)
        assert labels.names and len(labels.groups) <= len(file.groups)

    reason = refusal(read, LabelError)
    assert reason is None or (reason and '\n' not in reason)
    tally.update({'files': 1, f'files {"read" if reason is None else "refused"}: labels': 1})


@example(facts={'width': math.inf, 'height': 4, 'K': [1] * 9})
@given(facts=documents() | st.fixed_dictionaries({'width': documents(), 'height': documents(), 'K': documents()}))
def test_recording_is_opened_or_refused(tally, tmp_path_factory, facts):
    folder = tmp_path_factory.getbasetemp() / 'recording'
    _write(folder / 'rgb' / '0.png', b'')
    (folder / 'camera.json').write_text(json.dumps(facts, default=str))
    reason = refusal(lambda: open_source(str(folder)), ValueError)
    assert reason is None or 'camera.json' in reason
    tally['files'] += 1


TENSORS = {f'layer.{number}': torch.arange(6.0).reshape(2, 3) for number in range(3)}
CONFIG = json.dumps({'name': 'tiny', 'encoder': 'tf_efficientnet_lite0', 'width': 8})


@given(content=damaged(save(TENSORS, {checkpoint.METADATA_KEY: CONFIG})))
def test_weights_file_is_read_or_refused(tally, tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / 'fuzzed.safetensors'
    path.write_bytes(content)

    def read():
        for tensor in checkpoint.read(path).tensors.values():
            assert tensor.read().shape == tensor.shape

    reason = refusal(read, checkpoint.CheckpointError)
    assert reason is None or str(path) in reason
    tally['files'] += 1


@pytest.fixture(scope='module')
def pickled(tmp_path_factory):
    path = tmp_path_factory.mktemp('pickled') / 'sound.ckpt'
    torch.save({'state_dict': TENSORS, 'epoch': 3, 'callbacks': {'x': [1, 2.5, None]}}, path)
    return path.read_bytes()


@given(data=st.data())
def test_checkpoint_is_read_or_refused(pickled, tally, tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / 'fuzzed.ckpt'
    path.write_bytes(data.draw(damaged(pickled)))

    def read():
        file = PickleFile(path)
        state = file.content.get('state_dict') if isinstance(file.content, dict) else None
        for view in state.values() if isinstance(state, dict) else ():
            if isinstance(view, TensorView):
                file.read(view)

    assert refusal(read, PickleError) != ''
    tally['files'] += 1


@st.composite
def map_files(draw):
    """Draw the bytes of a map file, sound or damaged, of possible voxels or impossible ones."""
    facts = asdict(MapFacts('tiny', SIZE_M)) | {'format': 1}
    if draw(st.integers(0, 3)) == 2:
        facts[draw(st.sampled_from([*facts]))] = draw(documents())
    whole = save(draw(voxel_tensors(len(WORDS))), {'lseg_map': json.dumps(facts, default=str)})
    return draw(st.just(whole) | damaged(whole))


@given(content=map_files())
def test_map_file_gives_a_sound_map_or_is_refused(tally, tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / 'fuzzed.map'
    path.write_bytes(content)
    known = LanguageMap(MapSettings(voxel_size=SIZE_M, max_voxels=10_000))
    reason = refusal(lambda: known.load(path), ValueError)
    assert reason is None or (reason and len(known) == 0)
    voxels = known.voxels()
    assert len(voxels) == len(known)
    assert len(np.unique(voxels.cells, axis=0)) == len(voxels) and (np.abs(voxels.cells) < REACH).all()
    assert torch.isfinite(voxels.vectors).all() and 0 <= known.stamp_s < 2**31
    assert (voxels.weights > 0).all() and np.isfinite(voxels.weights).all()
    if voxels.vectors.shape[1] == len(WORDS):
        label_voxels(voxels.vectors, labels_of('wall'))
    if known.model in ('', 'tiny') and voxels.vectors.shape[1] == len(WORDS):
        known.add('tiny', seen(wall_ahead(1.0)))
        assert len(known.voxels()) == len(known) > 0
    tally.update({'files': 1, f'files {"refused" if reason else "read"}: map': 1})


@pytest.fixture(scope='module')
def weights_header(weights):
    """The tiny model's weights, as the part that describes the tensors, and the rest."""
    content = weights.read_bytes()
    length = 8 + int.from_bytes(content[:8], 'little')
    return content[:length], content[length:]


@pytest.mark.slow
@given(data=st.data())
def test_commands_read_a_weights_file_or_say_why_not(weights_header, pickled, tally, capsys, data):
    header, rest = weights_header
    content = data.draw(damaged(header).map(lambda start: start + rest) | damaged(pickled), 'contents')
    command = data.draw(st.sampled_from(['info', 'convert']), 'command')
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, 'in.safetensors'), Path(folder, 'out.safetensors')
        source.write_bytes(content)
        status, errors = run(capsys, command, source, *([target] if command == 'convert' else []))
        assert status == 0 or len(errors) == 1, errors
        assert target.exists() == (command == 'convert' and not status)
        assert not list(Path(folder).glob('*.part*'))
    tally.update({'files': 1, f'files {"refused" if status else "read"}: {command}': 1})


@given(data=st.data())
def test_command_embeds_an_image_or_says_why_not(oracle, samples, tally, capsys, data):
    name = data.draw(st.sampled_from(IMAGE_FILES), 'file')
    options = data.draw(st.sampled_from([[], ['--resolution', 'grid']]), 'options')
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder, name), Path(folder, 'out')
        source.write_bytes(data.draw(damaged(samples[name]), 'contents'))
        status, errors = run(capsys, 'embed', source, '--output', output, *options)
        assert status == 0 or len(errors) == 1, errors
        assert not list(output.rglob('*.part*'))
        arrays = [np.load(path) for path in output.rglob('*.npy')]
        assert len(arrays) == (not status) and all(np.isfinite(array).all() for array in arrays)
    tally.update({'files': 1, f'files {"refused" if status else "read"}: embed': 1})


def run(capsys, *arguments: object) -> tuple[int, list[str]]:
    """Run a command; return its status and what it says went wrong."""
    capsys.readouterr()
    status = cli.main([str(argument) for argument in arguments])
    assert status in (0, 1, 2)
    return status, [line for line in capsys.readouterr().err.splitlines() if line.startswith('lseg: ')]
