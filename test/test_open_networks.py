# SPDX-License-Identifier: Apache-2.0
"""Open encoders: the numbers of other implementations, their files, and every way to run them."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import timm
import tiny_tips
import torch
from filled import fill, filled_open, patch_shapes, tips_shapes
from huggingface_hub import constants
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_tips import TINY
from torch.nn import functional as F

from lseg_ros.cli import main
from lseg_ros.core.factory import open_segmenter
from lseg_ros.core.query import ask, prepare_query
from lseg_ros.labels import LabelRegistry
from lseg_ros.model import CheckpointError, LSegConfig, build, checkpoint, load, open_files, outline, save, zoo
from lseg_ros.model.open_networks import open_networks, parse_network
from lseg_ros.model.patch_encoder import PatchEncoder, PatchEncoderSettings

DATA = Path(__file__).parent / 'data'
TOLERANCE = 5e-6


@pytest.fixture(autouse=True)
def known_network(monkeypatch):
    """Add a small network to those that the package describes."""
    tiny_tips.make_known(monkeypatch)


@pytest.fixture(scope='module')
def published(tmp_path_factory):
    """Return the small network's files, as its authors would publish them."""
    return tiny_tips.write_published(tmp_path_factory.mktemp('published'))


@pytest.fixture
def converted(published, tmp_path):
    """Return the small network's weights file."""
    return tiny_tips.convert(published, tmp_path / 'tiny-tips.safetensors')


@pytest.fixture
def model(converted):
    return load(converted)


@pytest.fixture(scope='module')
def numbers():
    with np.load(DATA / 'open_tiny.npz') as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


@pytest.mark.parametrize('height, width', [(98, 126), (448, 448), (28, 700)])
def test_features_equal_those_of_another_implementation_at_every_size(model, numbers, height, width):
    pixels = torch.from_numpy(fill('pixels', (1, 3, height, width), lambda *_: (0.5, 0.5)))
    features = model.encode_image(pixels)[0].permute(1, 2, 0)
    assert features.shape == (height // 14, width // 14, 48)
    found = features[:: max(1, height // 100), :: max(1, width // 100)]
    torch.testing.assert_close(found, numbers[f'features_{height}x{width}'], atol=TOLERANCE, rtol=0)


def test_text_equals_that_of_another_implementation_whatever_its_length(model, numbers):
    text = model.text_encoder
    tokens, padding = numbers['tokens'].long(), numbers['padding']
    torch.testing.assert_close(F.normalize(text(tokens, padding)), numbers['text'], atol=TOLERANCE, rtol=0)
    alone = text(tokens[1:2, :3], padding[1:2, :3])
    torch.testing.assert_close(F.normalize(alone), numbers['text'][1:2], atol=TOLERANCE, rtol=0)


def test_a_vector_is_the_mean_of_the_templates_unit_vectors(model):
    rows = model.encode_text(['chair', 'fire extinguisher'])
    tokens = model.text_encoder.tokenize(['a photo of a chair.', 'art of the chair.', 'chair'])
    mean = F.normalize(model.text_encoder(*tokens)).mean(0)
    torch.testing.assert_close(rows[0], F.normalize(mean, dim=0), atol=1e-6, rtol=0)
    alone = model.encode_text(['fire extinguisher'])
    torch.testing.assert_close(rows[1:], alone)


def test_a_label_change_encodes_only_new_prompts(model, monkeypatch):
    asked, tokenize = [], model.text_encoder.tokenize
    monkeypatch.setattr(model.text_encoder, 'tokenize', lambda texts: asked.extend(texts) or tokenize(texts))
    model.encode_text(['chair', 'lamp'])
    asked.clear()
    model.encode_text(['lamp', 'bed', 'chair'])
    assert asked == ['a photo of a bed.', 'art of the bed.', 'bed']


def test_case_does_not_matter(model):
    upper, lower = model.encode_text(['A Red CHAIR', 'a red chair'])
    assert torch.equal(upper, lower)


def test_a_text_of_too_many_tokens_is_refused_with_its_length(model):
    with pytest.raises(ValueError, match=r"'a photo of a 12 12.*has \d+ tokens.*1 to 64: shorten"):
        model.encode_text([' '.join(['12'] * 60)])


def test_a_network_without_its_weights_says_that_it_has_no_tokenizer():
    with pytest.raises(ValueError, match='no tokenizer: load it'):
        build(parse_network('tiny-tips', TINY).config).encode_text(['chair'])


def test_weights_files_keep_the_tokenizer(model, tmp_path):
    save(model, tmp_path / 'again.safetensors')
    again = load(tmp_path / 'again.safetensors')
    assert again.text_encoder.tokenize(['déjà vu'])[0].tolist() == model.text_encoder.tokenize(['déjà vu'])[0].tolist()
    assert F.cosine_similarity(again.encode_text(['chair']), model.encode_text(['chair'])) > 0.999


def test_a_tokenizer_of_another_size_is_refused(converted, tmp_path):
    config = '{"name": "tiny-tips", "encoder": "tiny-tips", "decoder": "none", "text": "tiny-tips"}'
    small = '{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "version": "1.0"}'
    for tokenizer, problem in ((small, 'with 1 word pieces, not 600'), ('{', 'no usable tokenizer')):
        save_file(load_file(converted), tmp_path / 'bad.safetensors', {'lseg': config, 'tokenizer': tokenizer})
        with pytest.raises(CheckpointError, match=problem):
            load(tmp_path / 'bad.safetensors')


def test_a_file_with_a_tokenizer_that_nobody_uses_is_refused(weights, tmp_path):
    with safe_open(weights, 'pt') as file:
        metadata = {**file.metadata(), 'tokenizer': '{}'}
    save_file(load_file(weights), tmp_path / 'odd.safetensors', metadata)
    with pytest.raises(CheckpointError, match='comes with one of its own'):
        load(tmp_path / 'odd.safetensors')


@pytest.mark.parametrize(
    'change, problem',
    [
        (lambda state: state.pop('vision_encoder.norm.bias'), 'lacks 1'),
        (lambda state: state.update({'text_encoder.extra': torch.zeros(1)}), 'extra 1'),
        (lambda state: state.update({'vision_encoder.norm.bias': torch.zeros(3)}), r'has the shape \[3\]'),
        (lambda state: [state.pop(key) for key in list(state) if key.startswith('text')], r'no tensor text_encoder\.'),
    ],
)
def test_files_that_do_not_fit_are_refused(published, tmp_path, change, problem):
    state = load_file(published['model.safetensors'])
    change(state)
    save_file(state, tmp_path / 'model.safetensors')
    files = {**published, 'model.safetensors': tmp_path / 'model.safetensors'}
    with (
        pytest.raises(CheckpointError, match=problem),
        open_files.outline_published('tiny-tips', files) as (model, stored),
    ):
        checkpoint.match(model, stored)


def test_an_image_encoder_in_timms_layout_is_the_same(published, tmp_path, model):
    state, image = load_file(published['model.safetensors']), 'vision_encoder.'
    positions = state[f'{image}pos_embed']
    state[f'{image}cls_token'] += positions[:, :1]
    state[f'{image}pos_embed'] = positions[:, 1:].contiguous()
    state[f'{image}reg_token'] = state.pop(f'{image}register_tokens')
    del state[f'{image}mask_token']
    save_file(state, tmp_path / 'model.safetensors')
    files = {**published, 'model.safetensors': tmp_path / 'model.safetensors'}
    other = load(tiny_tips.convert(files, tmp_path / 'timm.safetensors'))
    pixels = torch.rand(1, 3, 56, 84, generator=torch.Generator().manual_seed(0))
    assert torch.equal(other.encode_image(pixels), model.encode_image(pixels))


def test_a_temperature_in_the_text_file_is_no_extra_tensor(published, tmp_path):
    state = {**load_file(published['model.safetensors']), 'text_encoder.temperature': torch.ones(())}
    save_file(state, tmp_path / 'model.safetensors')
    files = {**published, 'model.safetensors': tmp_path / 'model.safetensors'}
    with open_files.outline_published('tiny-tips', files) as (model, stored):
        checkpoint.match(model, stored)


def test_another_tokenizer_is_recognised_by_its_ids(published, monkeypatch):
    known = {'other': dataclasses.replace(parse_network('other', TINY), known_ids={'chair': (1, 2)})}
    monkeypatch.setattr(open_files, 'open_networks', lambda: known)
    with (
        pytest.raises(CheckpointError, match=r"not the tokenizer of other: it turns 'chair' into"),
        open_files.outline_published('other', published),
    ):
        pass


@pytest.mark.parametrize('name', ['model.safetensors', 'tokenizer.model'])
def test_missing_and_damaged_files_are_named(published, tmp_path, name):
    files = {**published, name: tmp_path / name}
    for content, error, problem in ((None, FileNotFoundError, name), (b'<html>', CheckpointError, name)):
        if content:
            files[name].write_bytes(content)
        with pytest.raises(error, match=problem), open_files.outline_published('tiny-tips', files):
            pass


def test_half_precision_on_a_cpu_gives_nearly_the_same(converted, model):
    pixels = torch.rand(1, 3, 56, 84, generator=torch.Generator().manual_seed(0))
    expected = model.encode_image(pixels)
    for dtype in (torch.float16, torch.bfloat16):
        half = load(converted, dtype=dtype)
        assert half.dtype == dtype and half.text_encoder.words.weight.dtype == torch.float32
        assert F.cosine_similarity(half.encode_image(pixels.to(dtype)), expected).min() > 0.99


@pytest.mark.parametrize('backend', ['eager', 'torch', 'openvino'])
def test_segment_query_and_embed_agree_with_the_network(converted, model, backend):
    segmenter = open_segmenter(converted, device='cpu', backend=backend)
    image = np.random.default_rng(0).integers(0, 256, (112, 154, 3), np.uint8)
    labels = LabelRegistry().replace(['chair', 'table=table|desk'])
    result = segmenter.segment([image, image], segmenter.prepare(labels))
    assert np.array_equal(result[0].ids, result[1].ids)
    pixels = model.normalise(torch.from_numpy(image)[None])
    logits = model(pixels, model.encode_text(labels.prompts))[0]
    scores = torch.stack([logits[0], logits[1], logits[2:].amax(0)])
    assert (torch.tensor(labels.ids)[scores.argmax(0)].numpy() == result[0].ids).mean() > 0.98
    torch.testing.assert_close(segmenter.embed(image).grid, model.encode_image(pixels)[0], atol=1e-5, rtol=0)
    for size in ((70, 56), (160, 300)):  # without a new recording
        other = np.zeros((*size, 3), np.uint8)
        expected = open_segmenter(model, backend='eager').embed(other).grid
        torch.testing.assert_close(segmenter.embed(other).grid, expected, atol=1e-5, rtol=0)
    (relevance,) = ask(segmenter, image, prepare_query(segmenter, ['lamp'], labels))
    assert relevance.pixels.shape == (112, 154)


@pytest.mark.gpu
def test_recordings_on_a_gpu_stay_right_whatever_other_sizes_come(converted, model):
    segmenter = open_segmenter(converted, device='cuda', precision='float32')
    rng = np.random.default_rng(0)
    usual = rng.integers(0, 256, (56, 84, 3), np.uint8)
    expected = model.encode_image(model.normalise(torch.from_numpy(usual)[None]))[0]
    for width in range(56, 84 + 14 * 12, 14):
        segmenter.embed(np.zeros((56, width, 3), np.uint8))
        torch.testing.assert_close(segmenter.embed(usual).grid.cpu(), expected, atol=1e-3, rtol=0)


def test_exported_program_equals_the_network_for_any_number_of_labels(model):
    pixels = torch.rand(1, 3, 56, 84, generator=torch.Generator().manual_seed(0))
    text = model.encode_text(['chair', 'table', 'floor'])
    shapes = {'pixels': None, 'text': {0: torch.export.Dim('labels', min=2, max=254)}}
    program = torch.export.export(model, (pixels, text), dynamic_shapes=shapes).module()
    more = model.encode_text(['wall', 'door', 'lamp', 'bed'])
    torch.testing.assert_close(program(pixels, more), model(pixels, more), atol=1e-4, rtol=0)


def test_registers_and_bicubic_positions_are_those_of_timm():
    torch.manual_seed(0)
    settings = PatchEncoderSettings(
        'vit_base_patch14_reg4_dinov2', 'bicubic', 'attention', TINY['image']['timm_arguments']
    )
    encoder = PatchEncoder(settings).eval()
    original = timm.create_model(settings.timm_name, num_classes=0, dynamic_img_size=True, **settings.timm_arguments)
    original.load_state_dict(encoder.net.state_dict())
    for size in ((98, 126), (518, 518), (28, 630)):
        pixels = torch.randn(1, 3, *size)
        with torch.no_grad():
            expected = (
                original.eval().forward_features(pixels)[:, 5:].transpose(1, 2).unflatten(2, [s // 14 for s in size])
            )
            torch.testing.assert_close(encoder(pixels)[0], expected, atol=1e-5, rtol=0)


def test_projected_text_averages_before_the_projection(tmp_path):
    torch.manual_seed(0)
    network = open_networks()['talk2dino-b14']
    with torch.device('meta'):
        text = zoo.build_text(network.text)
    shapes = {key: tuple(tensor.shape) for key, tensor in text.state_dict().items()}
    assert shapes['clip.net.token_embedding.weight'] == (49408, 512) and shapes['output.weight'] == (768, 768)
    text.hidden.to_empty(device='cpu').reset_parameters()
    text.output.to_empty(device='cpu').reset_parameters()
    asked = []
    text.clip.encode_raw = lambda texts: asked.extend(texts) or torch.arange(512.0 * len(texts)).view(-1, 512) / 1e4
    row = text.encode(['chair'])[0]
    assert asked == [template.format('chair') for template in network.text.templates] and len(asked) == 7
    mean = (torch.arange(512.0 * 7).view(7, 512) / 1e4).mean(0)
    expected = text.output(text.hidden(mean).tanh())
    torch.testing.assert_close(row, expected / expected.norm())


@pytest.mark.parametrize(
    'name, image, text',
    [
        ('tipsv2-b14', 86_316_288 - 2 * 768, 109_632_000),
        ('tipsv2-l14', 304_016_384 - 2 * 1024, 183_924_736),
        ('talk2dino-b14', 86_583_552 - 2 * 768, 63_428_096 + 984_576),
    ],
)
def test_described_networks_have_their_authors_sizes(name, image, text):
    """Apart from the mask token and the position of the class token."""
    model = build(open_networks()[name].config, device='meta')
    assert sum(p.numel() for p in model.image_encoder.parameters()) == image
    assert sum(p.numel() for p in model.text_encoder.parameters()) == text
    assert model.stride == 14 and model.name in zoo.MODELS


def test_a_copy_of_the_weights_keeps_their_origin(published, tmp_path):
    first, second = tmp_path / 'first.safetensors', tmp_path / 'second.safetensors'
    with open_files.outline_published('tiny-tips', published) as (model, stored):
        checkpoint.convert(model, stored, first, origin={'licence': 'Apache-2.0'})
    with outline(first) as (model, stored):
        checkpoint.convert(model, stored, second, half=True)
    with outline(second) as (model, stored):
        assert stored.facts['licence'] == 'Apache-2.0' and stored.tokenizer


def test_without_its_weights_a_name_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, 'HF_ASSETS_CACHE', str(tmp_path))
    with pytest.raises(FileNotFoundError, match='lseg fetch tipsv2-b14'):
        load('tipsv2-b14')


def test_info_describes_the_file(converted, capsys):
    assert main(['info', str(converted)]) == 0
    facts = capsys.readouterr().out
    assert 'padded to multiples of 14' in facts and '3 for each prompt' in facts
    assert '1 (not fitted)' in facts and 'complete' in facts


@pytest.mark.parametrize('key, value', [('positions', 'nearest'), ('last_block', 'key')])
def test_descriptions_with_unknown_choices_are_refused(key, value):
    with pytest.raises(ValueError, match=f'{key} must be one of'):
        parse_network('x', {**TINY, 'image': {**TINY['image'], key: value}})


@pytest.mark.parametrize('templates', [[], ['a photo'], ['{} {}']])
def test_templates_need_one_place_for_the_prompt(templates):
    with pytest.raises(ValueError, match='template'):
        parse_network('x', {**TINY, 'text': {**TINY['text'], 'templates': templates}})


def test_another_width_of_text_needs_a_decoder():
    config = LSegConfig(name='x', encoder='tiny-tips', decoder='none', text='all-MiniLM-L6-v2')
    with pytest.raises(ValueError, match='one map of 384 channels'):
        build(config)


@pytest.fixture(scope='module')
def authors_numbers():
    with np.load(DATA / 'open_parity.npz') as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


def _check_authors_numbers(name, model, text, numbers):
    image = model.encode_image(model.normalise(numbers['image'][None]))
    close = {'atol': TOLERANCE, 'rtol': 0}
    torch.testing.assert_close(image[0].permute(1, 2, 0)[::3, ::4], numbers[f'{name}_cells'], **close)
    torch.testing.assert_close(text, numbers[f'{name}_text'], **close)
    cosine = model.correlate(image, text) * model.config.temperature
    torch.testing.assert_close(cosine, numbers[f'{name}_cosine'], **close)


@pytest.mark.slow
def test_tips_equals_the_authors_network(tmp_path, authors_numbers):
    network = open_networks()['tipsv2-b14']
    save_file(filled_open(tips_shapes(768, 12, 12, 3072, 32000)), tmp_path / 'model.safetensors')
    model = _load_published(network, {'model.safetensors': tmp_path / 'model.safetensors'})
    tokens, padding = authors_numbers['tipsv2_b14_tokens'].long(), authors_numbers['tipsv2_b14_padding']
    text = F.normalize(model.text_encoder(tokens, padding))
    _check_authors_numbers('tipsv2_b14', model, text, authors_numbers)


@pytest.mark.slow
def test_talk2dino_equals_the_authors_network(tmp_path, authors_numbers):
    network = open_networks()['talk2dino-b14']
    clip = build(network.config, device='meta').text_encoder.clip.net.state_dict()
    state = {
        'dinov2.safetensors': patch_shapes(768, 12, registers=4, side=37),
        'clip.safetensors': {**{key: tuple(each.shape) for key, each in clip.items()}, 'logit_scale': ()},
        'projection.pth': {
            'linear_layer.weight': (768, 512),
            'linear_layer.bias': (768,),
            'hidden_layers.0.weight': (768, 768),
            'hidden_layers.0.bias': (768,),
        },
    }
    files = {name: tmp_path / name for name in state}
    for name, shapes in state.items():
        (save_file if name.endswith('.safetensors') else torch.save)(filled_open(shapes), files[name])
    model = _load_published(network, files)
    raw = model.text_encoder.clip.net(authors_numbers['talk2dino_vitb_tokens'].long())
    _check_authors_numbers('talk2dino_vitb', model, model.text_encoder.project(raw), authors_numbers)
    ensemble = model.text_encoder.project(raw.mean(0, keepdim=True))[0]
    torch.testing.assert_close(ensemble, authors_numbers['talk2dino_vitb_ensemble'], atol=TOLERANCE, rtol=0)


def _load_published(network, files):
    """Return a network with published tensors and without a tokenizer."""
    model = build(network.config, device='meta')
    tensors = open_files.published_tensors(network, files)
    model.load_state_dict({key: each.read().contiguous() for key, each in tensors.items()}, assign=True)
    return model.eval().requires_grad_(False)
