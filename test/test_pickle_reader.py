# SPDX-License-Identifier: Apache-2.0
"""PyTorch's files are read without running anything that is in them."""

import contextlib
import os
import struct
import tracemalloc
import zipfile
from collections import OrderedDict

import pytest
import torch

from lseg_ros.model.pickle_reader import Opaque, PickleError, PickleFile, TensorView


class Command:
    """Runs a command when it is unpickled by Python's own means."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f'touch {self.marker}',)


class Callback(list):
    """A class that is not installed where the file is read; takes any state and items."""

    def __setitem__(self, key, value):
        self.append(value)


class WithState(Command):
    """Hides the command in the state and the items of an object of an unknown class."""

    def __reduce__(self):
        evil = Command(self.marker)
        return Callback, (), {'run': evil}, iter([evil]), iter([('key', evil)])


class Evaluated(Command):
    """Goes through a builtin in place of a module's function."""

    def __reduce__(self):
        return eval, (f"__import__('os').system('touch {self.marker}')",)


@pytest.mark.parametrize('attack', [Command, WithState, Evaluated])
def test_nothing_in_a_file_is_executed(tmp_path, attack):
    marker = tmp_path / 'executed'
    evil = attack(marker)
    content = {
        'evil': evil,
        'callbacks': {Callback: {'deep': [evil, {'er': (evil,)}]}},
        'weight': torch.arange(6.0).reshape(2, 3),
    }
    path = tmp_path / 'evil.ckpt'
    torch.save(content, path)
    file = PickleFile(path)
    assert not marker.exists()
    assert torch.equal(file.read(file.content['weight']), content['weight'])
    assert isinstance(file.content['evil'], Opaque)
    # The file is as bad as it is meant to be.
    torch.load(path, weights_only=False)
    assert marker.exists()


@pytest.mark.parametrize(
    'program',
    [
        b'cos\nsystem\n(S"touch MARKER"\ntR.',
        b'(S"touch MARKER"\nios\nsystem\n.',
        b'(cos\nsystem\nS"touch MARKER"\no.',
        b'cbuiltins\nexec\n(S"import os; os.system(\'touch MARKER\')"\ntR.',
        b'ccollections\nOrderedDict\n(tR(S"__class__"\ncos\nsystem\ndb.',
        b'ctorch._utils\n_rebuild_tensor_v2\n(cos\nsystem\nI0\n(tttR.',
    ],
)
def test_hand_written_pickles_do_nothing(tmp_path, program):
    marker = tmp_path / 'executed'
    path = tmp_path / 'evil.ckpt'
    program = program.replace(b'MARKER', str(marker).encode())
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', program)
    with contextlib.suppress(PickleError):
        PickleFile(path)
    assert not marker.exists()


def test_tensors_of_all_kinds_come_back(tmp_path):
    whole = torch.arange(24.0).reshape(2, 3, 4)
    tensors = OrderedDict(
        half=whole.half(),
        long=torch.tensor(7),
        none=torch.zeros(0),
        turned=whole.permute(2, 0, 1),
        part=whole[1, 1:],
        channels=torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        brain=whole.bfloat16(),
        parameter=torch.nn.Parameter(whole + 1),
    )
    path = tmp_path / 'file.ckpt'
    torch.save(tensors, path)
    file = PickleFile(path)
    assert list(file.content) == list(tensors)
    for key, tensor in tensors.items():
        view = file.content[key]
        assert isinstance(view, TensorView) and view.shape == tuple(tensor.shape)
        read = file.read(view)
        assert read.dtype == tensor.dtype and torch.equal(read, tensor)


def test_a_changed_number_is_noticed(tmp_path):
    path = tmp_path / 'file.ckpt'
    torch.save({'weight': torch.full((1000,), 3.0)}, path)
    content = bytearray(path.read_bytes())
    content[content.find(b'\x00\x00\x40\x40' * 100) + 40] ^= 1
    path.write_bytes(content)
    file = PickleFile(path)
    with pytest.raises(PickleError, match='storage 0.*CRC'):
        file.read(file.content['weight'])


def test_a_view_beyond_its_storage_is_refused(tmp_path):
    path = tmp_path / 'file.ckpt'
    torch.save({'weight': torch.zeros(10)}, path)
    file = PickleFile(path)
    view = file.content['weight']._replace(shape=(1000,))
    with pytest.raises(PickleError, match='storage 0.*out of bounds'):
        file.read(view)


def test_memory_is_not_allocated_for_what_the_pickle_merely_claims(tmp_path):
    path = tmp_path / 'file.ckpt'
    torch.save({'weight': torch.zeros(10)}, path)
    file = PickleFile(path)
    view = file.content['weight']
    claimed = view._replace(storage=view.storage._replace(numel=10**15))
    with pytest.raises(PickleError, match='lacks the data of storage 0'):
        file.read(claimed)


def test_memory_is_not_allocated_for_a_size_that_the_archive_merely_claims(tmp_path):
    path = tmp_path / 'file.ckpt'
    torch.save({'weight': torch.zeros(10)}, path)
    data, size = bytearray(path.read_bytes()), 0xFFFFFFF0
    struct.pack_into('<II', data, data.rindex(b'file/data/0') - 26, size, size)
    path.write_bytes(data)
    file = PickleFile(path)
    view = file.content['weight']
    with pytest.raises(PickleError, match='damaged storage 0'):
        file.read(view._replace(storage=view.storage._replace(numel=size // 4)))


# Tuples in tuples: each level doubles the length of what repr or str would write.
DOUBLED = b'K\x01' + b'2\x86' * 22
STORAGE = b'\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\n%bX\x03\x00\x00\x00cpu%btQ.'


@pytest.mark.parametrize(
    'program',
    [
        b'\x80\x02K\x01r\x00\x00\x00\x01.',  # memorised as number 2 ** 24
        STORAGE % (DOUBLED, b'K\x01'),
        STORAGE % (b'X\x01\x00\x00\x000', DOUBLED),
    ],
)
def test_a_short_pickle_does_not_fill_the_memory(tmp_path, program):
    path = tmp_path / 'evil.ckpt'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', program)
    tracemalloc.start()
    try:
        with contextlib.suppress(PickleError):
            PickleFile(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize('kept', [1, 10, 100, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, kept):
    path = tmp_path / 'file.ckpt'
    torch.save({'weight': torch.randn(1000)}, path)
    content = path.read_bytes()
    path.write_bytes(content[: kept if kept >= 1 else int(len(content) * kept)])
    with pytest.raises(PickleError, match='truncated or damaged'):
        PickleFile(path)


def test_a_file_that_lacks_a_byte_in_its_midst_is_refused(tmp_path):
    path = tmp_path / 'file.ckpt'
    torch.save({'weight': torch.zeros(100)}, path)
    content = path.read_bytes()
    path.write_bytes(content[:100] + content[101:])  # Python's zip reader seeks to before the start
    with pytest.raises(PickleError, match='truncated or damaged'):
        PickleFile(path)
