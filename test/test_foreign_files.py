# SPDX-License-Identifier: Apache-2.0
"""What is found where weights should be is refused in one line that says what it is.

The same line comes from `load`, `lseg info` and `lseg convert`, and nothing is written.
"""

import gzip
import re
import zipfile

import pytest
import timm
import torch
from filled import published_outline
from safetensors.torch import save_file
from torch import nn

from lseg_ros import cli
from lseg_ros.model import load

pytestmark = pytest.mark.slow

NUMBER = torch.zeros(())


@pytest.fixture(scope='module')
def state():
    return published_outline('lseg-vitb32')


def refusal(path, capsys):
    """Return the one line that all ways to a file say; `path` and the command's name left out."""
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        load(path)
    line = str(error.value)
    target = path.parent / 'written' / 'out.safetensors'
    target.parent.mkdir(exist_ok=True)
    for command in (['info', path], ['convert', path, target]):
        assert cli.main(list(map(str, command))) == 2
        assert capsys.readouterr().err == f'lseg: error: {line}\n'
    assert not list(target.parent.iterdir())
    assert str(path) in line
    return line.replace(str(path), '')


@pytest.mark.parametrize(
    'content, problem',
    [
        (b'', 'is empty: download'),
        (b'\n<!DOCTYPE html><html><body>Quota exceeded</body></html>', 'is a web page.*download'),
        (b'\xef\xbb\xbf<html>', 'is a web page.*download'),
        (b'{"error": {"code": 404}}', 'a server error.*download'),
        (b'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 8\n', 'git lfs pull'),
        (gzip.compress(b'weights'), 'is a gzip archive: unpack it'),
        (b'\x80\x02}q\x00.', 'is a pickle that PyTorch did not write'),
        (b'just some text', 'neither a PyTorch nor a safetensors file.*download'),
        (bytes(5000), 'neither a PyTorch nor a safetensors file; it has 5,000 bytes'),
    ],
    ids=['empty', 'page', 'page with a mark', 'json', 'git-lfs', 'gzip', 'pickle', 'text', 'zeros'],
)
def test_a_file_that_is_no_weights(tmp_path, capsys, content, problem):
    path = tmp_path / 'demo_e200.ckpt'
    path.write_bytes(content)
    assert re.search(problem, refusal(path, capsys))


def test_a_folder(tmp_path, capsys):
    path = tmp_path / 'demo_e200.ckpt'
    path.mkdir()
    assert 'is a folder: give the path of the weights file in it' in refusal(path, capsys)


def test_nothing(tmp_path, capsys):
    assert 'no weights file at' in refusal(tmp_path / 'demo_e200.ckpt', capsys)


def test_a_checkpoint_from_before_pytorch_1_6_is_refused_with_the_way_to_save_it_again(tmp_path, capsys, state):
    path, again = tmp_path / 'old.ckpt', tmp_path / 'new.ckpt'
    torch.save(state, path, _use_new_zipfile_serialization=False)
    line = refusal(path, capsys)
    assert 'before 1.6' in line
    assert "torch.save(torch.load('OLD.ckpt'), 'NEW.ckpt')" in line
    torch.save(torch.load(path), again)
    assert cli.main(['info', str(again)]) == 0


@pytest.mark.parametrize('kept', [0.1, 0.5, 0.999])
def test_a_truncated_checkpoint(tmp_path, capsys, state, kept):
    path = tmp_path / 'demo_e200.ckpt'
    torch.save({**state, 'last': torch.zeros(10_000)}, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    assert re.search('truncated.*download', refusal(path, capsys))


def test_truncated_safetensors(tmp_path, capsys):
    path = tmp_path / 'small.safetensors'
    save_file({'weight': torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])
    assert re.search('truncated safetensors file of 2,000 bytes.*download', refusal(path, capsys))


def test_safetensors_of_another_program(tmp_path, capsys):
    path = tmp_path / 'other.safetensors'
    save_file({'weight': torch.zeros(3)}, path)
    assert 'that lseg did not write: convert the checkpoint' in refusal(path, capsys)


def test_weights_packed_in_a_zip_file(tmp_path, capsys):
    path = tmp_path / 'demo_e200.zip'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('demo_e200.ckpt', b'weights')
    assert 'zip file that PyTorch did not write: if the weights are inside, unpack it' in refusal(path, capsys)


@pytest.mark.parametrize(
    'content',
    [{}, {'state_dict': {}}, [1, 2], torch.zeros(3), nn.Linear(2, 2)],
    ids=['nothing', 'empty state dict', 'list', 'tensor', 'module'],
)
def test_a_pytorch_file_without_a_state_dict(tmp_path, capsys, content):
    path = tmp_path / 'file.pt'
    torch.save(content, path)
    assert 'has no state dict: save' in refusal(path, capsys)


def test_a_state_dict_of_another_network(tmp_path, capsys):
    path = tmp_path / 'resnet18.pth'
    torch.save(timm.create_model('resnet18').state_dict(), path)
    line = refusal(path, capsys)
    assert re.search("not one of the networks that LSeg's authors.*it has 122 tensors.*expected lseg-vitl16: ", line)


@pytest.mark.parametrize(
    'changed, problem',
    [
        (
            {'scratch.head1.bias': None},
            r'of the 403 tensors of lseg-vitb32 it lacks 1 \(first scratch.head1.bias\): download',
        ),
        (
            {'criterion.weight': NUMBER.expand(2), 'auxlayer.weight': NUMBER.expand(3)},
            r'of lseg-vitb32 it has an extra 2 \(first auxlayer.weight\): save it without them',
        ),
        (
            {'scratch.head1.bias': None, 'scratch.head2.bias': NUMBER.expand(512)},
            r'lacks 1 \(first scratch.head1.bias\) and has an extra 1 \(first scratch.head2.bias\)',
        ),
        (
            {'scratch.head1.bias': NUMBER.expand(768)},
            r'scratch.head1.bias has the shape \[768\], lseg-vitb32 needs \[512\]: .*other sizes',
        ),
        (
            {'pretrained.model.patch_embed.proj.weight': NUMBER.expand(768, 3, 16, 16)},
            r'not one of the networks.*it has \S*patch_embed.proj.weight \[768, 3, 16, 16\]',
        ),
        ({'scratch.head1.bias': 'a word'}, r'it lacks 1 \(first scratch.head1.bias\)'),
    ],
    ids=['missing', 'extra', 'renamed', 'shape', 'backbone', 'no tensor'],
)
def test_a_checkpoint_that_does_not_fit(tmp_path, capsys, state, changed, problem):
    path = tmp_path / 'file.ckpt'
    whole = {**state, **changed}
    torch.save({'state_dict': {f'net.{key}': tensor for key, tensor in whole.items() if tensor is not None}}, path)
    assert re.search(problem, refusal(path, capsys))
