# SPDX-License-Identifier: Apache-2.0
"""The network: shapes, LSeg's arithmetic, independence of instances, export."""

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.nn import functional as F

from lseg_ros.model import MODELS, LSegConfig, build, load


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return build(LSegConfig(width=16)).eval().requires_grad_(False)


@pytest.fixture
def pixels():
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))


def test_embeddings_are_unit_vectors_at_a_quarter_of_the_resolution(model, pixels):
    embeddings = model.encode_image(pixels)
    assert embeddings.shape == (2, 384, 16, 24)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2, 16, 24))


def test_each_pixel_of_the_image_gets_a_unit_embedding(model, pixels):
    embeddings = model.embed(pixels)
    assert embeddings.shape == (2, 384, 64, 96)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2, 64, 96))
    grid = F.interpolate(model.encode_image(pixels), scale_factor=4, mode='bilinear')
    assert F.cosine_similarity(embeddings, grid, dim=1).min() > 1 - 1e-5


def test_text_rows_are_unit_vectors_in_the_order_asked(model):
    rows = model.encode_text(['floor', 'wall', 'floor'])
    assert rows.shape == (3, 384) and rows.dtype == model.dtype
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(3))
    assert torch.equal(rows[0], rows[2]) and not torch.equal(rows[0], rows[1])


@pytest.mark.parametrize('prompts', [[], 'floor'])
def test_text_must_be_a_list_of_prompts(model, prompts):
    with pytest.raises(ValueError, match='list of at least one prompt'):
        model.encode_text(prompts)


def test_logits_are_upsampled_cosines_over_the_temperature(model, pixels):
    text = model.encode_text(['floor', 'wall', 'chair'])
    grid = model.encode_image(pixels)
    cosine = F.cosine_similarity(grid[:, None], text[None, :, :, None, None], dim=2)
    expected = F.interpolate(cosine / 0.07, scale_factor=4, mode='bilinear')
    torch.testing.assert_close(model(pixels, text), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize('labels', [1, 2, 150])
def test_number_of_labels_is_free(model, pixels, labels):
    text = model.encode_text([f'thing {number}' for number in range(labels)])
    assert model(pixels, text).shape == (2, labels, 64, 96)


def test_a_label_scores_the_same_whatever_stands_beside_it(model, pixels):
    few, many = model.encode_text(['door', 'tv']), model.encode_text(['a', 'door', 'b', 'tv'])
    torch.testing.assert_close(model(pixels, few), model(pixels, many)[:, [1, 3]], atol=1e-5, rtol=0)


@pytest.mark.parametrize('height, width', [(32, 32), (32, 320), (224, 160)])
def test_every_multiple_of_the_stride_works(model, height, width):
    assert height % model.stride == width % model.stride == 0
    text = model.encode_text(['floor', 'wall'])
    assert model(torch.randn(1, 3, height, width), text).shape == (1, 2, height, width)


def test_an_image_does_not_depend_on_its_batch(model, pixels):
    together = model.encode_image(pixels)
    alone = torch.cat([model.encode_image(image[None]) for image in pixels])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_no_state_is_kept_from_image_to_image(model, pixels):
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    first = model.encode_image(pixels)
    model.encode_image(torch.randn(1, 3, 32, 128))
    assert torch.equal(model.encode_image(pixels), first)
    after = model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_two_networks_in_two_threads_do_not_disturb_each_other(model):
    torch.manual_seed(5)
    other = build(LSegConfig(width=16)).eval().requires_grad_(False)
    text = model.encode_text(['floor', 'wall'])
    images = torch.randn(8, 1, 3, 64, 64)
    jobs = [(network, image) for image in images for network in (model, other)]
    expected = [network(image, text) for network, image in jobs]
    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(lambda job: job[0](job[1], text), jobs))
    for result, right in zip(results, expected):
        torch.testing.assert_close(result, right, atol=1e-5, rtol=0)


def test_a_copy_is_independent(model):
    duplicate = copy.deepcopy(model)
    with torch.no_grad():
        duplicate.decoder.head.bias.add_(1)
    assert not torch.equal(duplicate.decoder.head.bias, model.decoder.head.bias)
    assert torch.equal(duplicate.encode_text(['bed']), model.encode_text(['bed']))


def test_image_state_is_complete_without_the_text_encoder(model, pixels):
    state = model.image_state_dict()
    other = build(LSegConfig(width=16)).eval()
    assert not any(key.startswith('text_encoder.') for key in state)
    other.load_state_dict({**other.state_dict(), **state})
    assert torch.equal(other.encode_image(pixels), model.encode_image(pixels))


def test_only_the_image_side_is_trained():
    model = build(LSegConfig(width=16))
    loss = model(torch.randn(2, 3, 64, 64), model.encode_text(['floor', 'wall'])).square().mean()
    loss.backward()
    for name, parameter in model.named_parameters():
        trained = not name.startswith('text_encoder.')
        assert parameter.requires_grad == trained, name
        assert (parameter.grad is not None) == trained, name


@pytest.mark.slow
@pytest.mark.parametrize('network', ['tiny_model', 'tiny_transformer'])
def test_exported_program_equals_the_network_for_any_number_of_labels(network, pixels, request):
    model = request.getfixturevalue(network).eval().requires_grad_(False)
    labels = torch.export.Dim('labels', min=2, max=254)
    program = torch.export.export(
        model,
        (pixels, model.encode_text(['floor', 'wall', 'door'])),
        dynamic_shapes={'pixels': None, 'text': {0: labels}},
    ).module()
    text = model.encode_text(['chair', 'table', 'bed', 'sofa', 'other'])
    torch.testing.assert_close(program(pixels, text), model(pixels, text), atol=1e-5, rtol=0)


def test_unknown_model_names_the_models_and_the_closest():
    with pytest.raises(ValueError, match=r"did you mean 'lseg-lite'\?") as error:
        load('lseg-light')
    assert all(name in str(error.value) for name in MODELS)
    with pytest.raises(ValueError, match='unknown model') as error:
        load('deeplab')
    assert 'did you mean' not in str(error.value)


def test_unknown_image_encoder_names_those_there_are():
    with pytest.raises(ValueError, match='tf_efficientnet_lite2'):
        build(LSegConfig(encoder='resnet9000'))


def test_the_shipped_model_is_in_the_package_with_its_settings():
    model = load('lseg-lite')
    assert model.name == 'lseg-lite' and model.config.temperature == 0.07
    assert model.input_size == 256 and model.config.class_prior == 150
    logits = model(torch.zeros(1, 3, 224, 288), model.encode_text(['floor', 'ceiling']))
    assert logits.shape == (1, 2, 224, 288) and logits.isfinite().all()
