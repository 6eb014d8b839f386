# SPDX-License-Identifier: Apache-2.0
"""The authors' networks compute the authors' numbers, whatever layout their weights are in."""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from filled import fill, published_outline, published_state

from lseg_ros import cli
from lseg_ros.model import CheckpointError, LSeg, backbones, load
from lseg_ros.model.published import NETWORKS
from lseg_ros.model.zoo import build

pytestmark = pytest.mark.slow

DATA = np.load(Path(__file__).with_name('data') / 'parity.npz')
LABELS = ['floor', 'chair', 'person', 'other']


def write(path: Path, name: str, blocks: bool = False, **extra) -> Path:
    """Write a filled Lightning checkpoint of the network `name`."""
    state = published_state(build(NETWORKS[name].config, device='meta'))
    if blocks:
        for leaf, shape in (('weight', (1, 1, 3, 3)), ('bias', (1,))):
            key = f'scratch.head_block.depthwise.depthwise.{leaf}'
            state[f'net.{key}'] = torch.from_numpy(fill(key, shape))
    torch.save({'state_dict': state, **extra}, path)
    return path


def normalised(model: LSeg) -> torch.Tensor:
    pixels = torch.from_numpy(DATA['image']).permute(2, 0, 1) / 255
    mean, std = (torch.tensor(value)[:, None, None] for value in (model.mean, model.std))
    return ((pixels - mean) / std)[None]


def error(logits: torch.Tensor, name: str) -> float:
    """Return the largest difference from the authors' logits, kept at every third pixel."""
    return float((logits[:, :, ::3, ::3] - torch.from_numpy(DATA[name])).abs().max())


def zero_shot_logits(model: LSeg) -> torch.Tensor:
    """Return [4, 2, H, W]: each label against "others", as the zero-shot networks are asked."""
    with torch.inference_mode():
        return torch.cat([model(normalised(model), model.encode_text(['others', label])) for label in LABELS])


@pytest.fixture(scope='module')
def vitl16(tmp_path_factory):
    path = write(tmp_path_factory.mktemp('vitl16') / 'demo.ckpt', 'lseg-vitl16', blocks=True)
    yield path
    path.unlink()  # pytest would keep the gigabytes of three runs


@pytest.fixture(scope='module')
def rn101(tmp_path_factory):
    path = write(tmp_path_factory.mktemp('rn101') / 'fss.ckpt', 'lseg-rn101')
    yield path
    path.unlink()


@pytest.fixture(scope='module')
def rn101_network(rn101):
    """The network of `rn101`, for tests that change nothing; loading it takes seconds."""
    return load(rn101)


def test_vitl16_equals_the_authors_network(vitl16):
    model = load(vitl16, spatial='none')
    with torch.inference_mode():
        logits = model(normalised(model), model.encode_text(LABELS))
    assert error(logits, 'vitl16') < 1e-4


@pytest.mark.parametrize('kind', ['bottleneck', 'depthwise'])
def test_spatial_regularisation_equals_the_authors(kind, vitl16):
    with pytest.raises(CheckpointError, match='spatial='):
        load(vitl16)
    model = load(vitl16, spatial=f'{kind}:2:lrelu')
    with torch.inference_mode():
        logits = model(normalised(model), model.encode_text(LABELS))
    assert error(logits, f'vitl16_{kind}') < 1e-4


def test_rn101_equals_the_authors_network(rn101_network):
    assert rn101_network.mean == (0.485, 0.456, 0.406)
    assert error(zero_shot_logits(rn101_network), 'rn101') < 1e-4


def test_converted_file_computes_the_same_and_two_threads_do_not_mix(rn101, rn101_network, tmp_path):
    small = tmp_path / 'small.safetensors'
    assert cli.main(['convert', str(rn101), str(small)]) == 0
    first, second = rn101_network, load(small)
    images = torch.randn(4, 1, 3, 64, 64)
    text = first.encode_text(LABELS)
    with torch.inference_mode():
        expected = [first(image, text) for image in images]

        def run(job):
            with torch.inference_mode():
                return job[0](job[1], text)

        with ThreadPoolExecutor(2) as threads:
            jobs = [(model, image) for image in images for model in (first, second)]
            results = list(threads.map(run, jobs))
    for index, result in enumerate(results):
        torch.testing.assert_close(result, expected[index // 2], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    'wrap',
    [
        lambda state: state,
        lambda state: {f'module.net.{key}': tensor for key, tensor in state.items()},
        lambda state: {'optimizer': {'state': {}}, 'model': state},
        lambda state: {'state_dict': {f'net.{key}': tensor for key, tensor in state.items()}},
    ],
    ids=['lseg-minimal', 'data parallel', 'optimizer and model', 'lightning'],
)
def test_every_published_wrapping_is_recognised(wrap, tmp_path, capsys):
    path = tmp_path / 'file.ckpt'
    torch.save(wrap(published_outline('lseg-vitb32')), path)
    assert cli.main(['info', str(path)]) == 0
    out = capsys.readouterr().out
    assert 'lseg-vitb32' in out and 'complete' in out


def test_half_precision_takes_half_the_space_and_computes_nearly_the_same(rn101, tmp_path):
    small = tmp_path / 'small.safetensors'
    assert cli.main(['convert', str(rn101), str(small), '--half']) == 0
    assert small.stat().st_size < 0.51 * rn101.stat().st_size
    model = load(small)
    assert model.dtype == torch.float32
    assert 1e-4 < error(zero_shot_logits(model), 'rn101') < 0.02


def test_the_authors_half_precision_text_weights_are_used_in_float32(tmp_path):
    """Their files hold CLIP's matrices so; nothing but that rounding may be lost."""
    state = published_outline('lseg-vitb32')
    projection = torch.from_numpy(fill('clip_pretrained.text_projection', (512, 512))).half()
    path = tmp_path / 'file.ckpt'
    torch.save(
        {
            'state_dict': {
                f'net.{key}': tensor for key, tensor in {**state, 'clip_pretrained.text_projection': projection}.items()
            },
            'hyper_parameters': argparse.Namespace(backbone='clip_vitb32_384'),
        },
        path,
    )
    assert torch.equal(load(path).text_encoder.net.text_projection, projection.float())


def test_a_prompt_of_too_many_tokens_is_named(rn101_network):
    with pytest.raises(ValueError, match="'chair chair.*tokens"):
        rn101_network.encode_text(['chair ' * 76])


def test_a_text_model_that_is_not_there_is_named_though_the_weights_have_one(rn101):
    with pytest.raises(FileNotFoundError, match='no text model at nowhere'):
        load(rn101, text_model='nowhere')


def test_sizes_between_the_strides_are_refused(rn101_network):
    with pytest.raises(ValueError, match='100 x 64.*multiples of 32'):
        rn101_network.encode_image(torch.zeros(1, 3, 100, 64))


def test_position_embeddings_are_resized_once_a_size_and_follow_new_weights(monkeypatch):
    sizes = []
    resize = backbones.resize_with_class_token
    monkeypatch.setattr(
        backbones, 'resize_with_class_token', lambda embedding, grid: sizes.append(grid) or resize(embedding, grid)
    )
    torch.manual_seed(0)
    settings = backbones.VisionTransformerSettings((2, 5, 8, 11), (8, 16, 32, 32))
    encoder = backbones.VisionTransformer('vit_tiny_patch16_384', settings)
    encoder = encoder.eval().requires_grad_(False)
    wide, high = torch.randn(1, 3, 32, 64), torch.randn(1, 3, 64, 32)
    first, second = encoder(wide)[0], encoder(high)[0]
    with ThreadPoolExecutor(2) as threads:
        again = list(threads.map(lambda pixels: encoder(pixels)[0], [wide, high] * 4))
    assert sizes == [(2, 4), (4, 2)]
    assert all(torch.equal(*pair) for pair in zip(again, [first, second] * 4))
    state = encoder.state_dict()
    encoder.load_state_dict({**state, 'net.pos_embed': state['net.pos_embed'] + 1})
    assert not torch.allclose(encoder(wide)[0], first)
