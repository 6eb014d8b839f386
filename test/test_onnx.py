# SPDX-License-Identifier: Apache-2.0
"""`lseg export` and the backend onnxruntime compute what the network does, for any labels."""

import io
from contextlib import redirect_stdout
from copy import deepcopy

import numpy as np
import pytest
import tiny_tips
import torch

from lseg_ros import cli
from lseg_ros.backends import EagerBackend, open_backend
from lseg_ros.backends.onnx_network import write_onnx
from lseg_ros.core.factory import open_segmenter
from lseg_ros.labels import LabelRegistry
from lseg_ros.model import LSegConfig, build, load, save
from lseg_ros.model.spatial import SpatialRegularisation, SpatialSettings

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')
backend_module = pytest.importorskip('lseg_ros.backends.onnxruntime_backend')

LABELS = ('floor', 'wall', 'ceiling', 'door', 'window', 'table', 'chair', 'person')


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    """Return the folder in which the backend keeps exported networks."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'lseg_ros' / 'onnxruntime'


@pytest.fixture(scope='module')
def model(weights):
    """Return the network in `weights`, for tests that change nothing."""
    return load(weights)


@pytest.fixture(scope='module')
def exported(weights, tmp_path_factory):
    """Return a file that the command has written for 90 x 60 pixels, and what it said."""
    path, said = tmp_path_factory.mktemp('onnx') / 'tiny.onnx', io.StringIO()
    with redirect_stdout(said):
        assert export(weights, '--size', '90x60', path) == 0
    return path, said.getvalue()


def export(*arguments):
    return cli.main(['export', *map(str, arguments)])


def run(path, images, text):
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    return torch.from_numpy(session.run(None, {'images': images.numpy(), 'text': text.numpy()})[0])


def random_images(*size):
    return torch.randint(0, 256, (*size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_exported_network_gives_the_logits_of_pytorch_for_any_number_of_labels(exported, model):
    path, said = exported
    assert 'opset 17' in said and 'checked by ONNX Runtime on the CPU' in said
    images = random_images(1, 60, 90)
    for count in (1, 3, len(LABELS)):
        text = model.encode_text(LABELS[:count])
        with torch.inference_mode():
            expected = EagerBackend(model).correlate(images, text)
        torch.testing.assert_close(run(path, images, text), expected, atol=1e-3, rtol=0)


def test_exported_file_states_its_types_sizes_and_model(exported, model):
    network = onnx.load(exported[0])
    onnx.checker.check_model(network)
    assert [(opset.domain, opset.version) for opset in network.opset_import] == [('', 17)]
    shapes = {
        value.name: [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*network.graph.input, *network.graph.output)
    }
    assert shapes == {'images': [1, 60, 90, 3], 'text': ['labels', 384], 'logits': [1, 'labels', 16, 24]}
    assert network.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    stated = {entry.key: entry.value for entry in network.metadata_props}
    assert stated['lseg.model'] == model.name and stated['lseg.weights'] == model.digest()
    assert float(stated['lseg.calibration']) == pytest.approx(model.calibration)


def test_half_precision_gives_nearly_the_same_ids(weights, tmp_path, capsys):
    path = tmp_path / 'half.onnx'
    assert export(weights, '--size', '96x64', '--half', path) == 0
    kinds = {tensor.data_type for tensor in onnx.load(path).graph.initializer if len(tensor.dims) == 4}
    assert kinds == {onnx.TensorProto.FLOAT16}
    assert 'classes in' in capsys.readouterr().out


@pytest.mark.slow
def test_shipped_model_is_exported_in_both_precisions(tmp_path, capsys):
    assert export('lseg-lite', '--size', '341x256', tmp_path / 'lite.onnx') == 0
    assert export('lseg-lite', '--size', '320x240', '--half', tmp_path / 'half.onnx') == 0
    assert 'short side of 256' in capsys.readouterr().out


@pytest.mark.slow
def test_published_architectures_are_exported(tmp_path):
    """Of those with a transformer, smaller ones are exported below."""
    torch.manual_seed(0)
    model = build(LSegConfig(name='published', encoder='resnet101', decoder='dpt', width=32)).eval()
    path = tmp_path / 'weights.safetensors'
    save(model, path)
    assert export(path, '--size', '96x64', tmp_path / 'network.onnx') == 0


def test_spatial_regularisation_is_part_of_the_file(tiny_transformer, tmp_path):
    path, images = tmp_path / 'network.onnx', random_images(1, 64, 96)
    model = tiny_transformer.eval().requires_grad_(False)
    assert write_onnx(model, (64, 96), path) == [path]
    text = model.encode_text(LABELS)
    with torch.inference_mode():
        expected = EagerBackend(model).correlate(images, text)
    torch.testing.assert_close(run(path, images, text), expected, atol=1e-3, rtol=0)


def test_large_weights_go_into_a_second_file(weights, model, tmp_path, monkeypatch):
    monkeypatch.setattr('lseg_ros.backends.onnx_network._MOST_BYTES', 1000)
    path = tmp_path / 'tiny.onnx'
    assert export(weights, '--size', '64x64', path) == 0
    data = tmp_path / 'tiny.onnx.data'
    assert {file.name for file in tmp_path.iterdir()} == {'tiny.onnx', 'tiny.onnx.data'}
    assert path.stat().st_size < data.stat().st_size
    text = model.encode_text(LABELS)
    assert run(path, random_images(1, 64, 64), text).shape == (1, len(LABELS), 16, 16)


def test_file_that_computes_something_else_is_not_kept(weights, tmp_path, capsys, monkeypatch):
    real = torch.onnx.export

    def export_spoilt(network, *arguments, **options):
        network.temperature *= 1.01
        real(network, *arguments, **options)

    monkeypatch.setattr('torch.onnx.export', export_spoilt)
    assert export(weights, '--size', '64x64', tmp_path / 'tiny.onnx') == 2
    assert 'was not kept: logits differ' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('half', [(), ('--half',)])
def test_file_with_a_logit_that_is_no_number_is_not_kept(weights, tmp_path, capsys, monkeypatch, half):
    real = torch.onnx.export

    def export_spoilt(network, *arguments, **options):
        network.temperature *= float('nan')
        real(network, *arguments, **options)

    monkeypatch.setattr('torch.onnx.export', export_spoilt)
    assert export(weights, '--size', '64x64', *half, tmp_path / 'tiny.onnx') == 2
    assert 'was not kept: logits differ from those of PyTorch by at most inf' in capsys.readouterr().err


@pytest.mark.parametrize('size', ['640', '640x0', '0x0', '-1x2', '10000x1', 'axb', '640 x 480'])
def test_bad_size_is_refused_by_name(size, weights, tmp_path, capsys):
    assert export(weights, f'--size={size}', tmp_path / 'tiny.onnx') == 2
    assert f'not {size!r}' in capsys.readouterr().err


def test_existing_file_and_other_suffix_are_refused(weights, tmp_path, capsys):
    path = tmp_path / 'tiny.onnx'
    path.write_text('mine')
    assert export(weights, '--size', '64x64', path) == 2
    assert export(weights, '--size', '64x64', tmp_path / 'tiny.pt') == 2
    errors = capsys.readouterr().err
    assert 'already exists' in errors and 'must end in .onnx' in errors and path.read_text() == 'mine'


@pytest.mark.parametrize('name', ['onnx', 'onnxruntime'])
def test_missing_package_is_named_with_what_to_install(name, weights, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('lseg_ros.backends.onnx_network.find_spec', lambda package: package != name or None)
    assert export(weights, '--size', '64x64', tmp_path / 'tiny.onnx') == 2
    assert capsys.readouterr().err == f'lseg: error: {name} missing: pip install onnx onnxruntime\n'
    with pytest.raises(ValueError, match=f'{name} missing: pip install'):
        open_segmenter(weights, device='cpu', backend='onnxruntime')


def test_backend_gives_logits_and_embeddings_of_the_network(tiny_model):
    model = deepcopy(tiny_model)
    model.spatial = SpatialRegularisation(SpatialSettings('bottleneck', 2, 'relu')).requires_grad_(False)
    fast, plain = open_backend('onnxruntime', model), EagerBackend(model)
    for images in (random_images(2, 60, 90), random_images(1, 64, 64), random_images(1, 60, 90)):
        for count in (1, len(LABELS)):
            text = model.encode_text(LABELS[:count])
            with torch.inference_mode():
                results = [(b.correlate(images, b.project(text)), b.embed(images)) for b in (fast, plain)]
            torch.testing.assert_close(*results, atol=1e-3, rtol=0)


def test_vision_transformers_are_run(tiny_transformer):
    model = tiny_transformer.eval().requires_grad_(False)
    fast, plain, images = open_backend('onnxruntime', model), EagerBackend(model), random_images(1, 64, 96)
    text = model.encode_text(LABELS)
    with torch.inference_mode():
        results = [backend.correlate(images, backend.project(text)) for backend in (fast, plain)]
    torch.testing.assert_close(*results, atol=1e-3, rtol=0)


def test_open_encoders_are_run(tmp_path, monkeypatch):
    tiny_tips.make_known(monkeypatch)
    model = load(tiny_tips.convert(tiny_tips.write_published(tmp_path), tmp_path / 'tiny.safetensors'))
    fast, plain, images = open_backend('onnxruntime', model), EagerBackend(model), random_images(1, 56, 84)
    text = model.encode_text(LABELS)
    with torch.inference_mode():
        results = [backend.correlate(images, backend.project(text)) for backend in (fast, plain)]
    torch.testing.assert_close(*results, atol=1e-3, rtol=0)


def test_exported_network_is_kept_for_the_next_start_but_not_for_other_weights(weights, kept, monkeypatch):
    image = random_images(60, 90).numpy()

    def segment(path):
        segmenter = open_segmenter(path, backend='onnxruntime')
        return segmenter.segment([image], segmenter.prepare(LabelRegistry().replace(LABELS)))[0].ids

    first = segment(weights)
    files = list(kept.rglob('*.onnx'))
    assert [file.name for file in files] == ['90x60.onnx']
    monkeypatch.setattr(backend_module, 'write_onnx', None)
    assert np.array_equal(segment(weights), first)
    other = load(weights)
    other.decoder.head.weight.mul_(1.5)
    with pytest.raises(TypeError):  # would have to be exported
        open_backend('onnxruntime', other).embed(random_images(1, 60, 90))


def test_damaged_file_is_exported_again(weights, kept):
    segment_size(weights, 90)
    (path,) = kept.rglob('*.onnx')
    path.write_bytes(path.read_bytes()[:500])
    segment_size(weights, 90)
    onnx.checker.check_model(onnx.load(path))


def test_files_of_the_sizes_used_last_are_kept(weights, kept, monkeypatch):
    monkeypatch.setattr(backend_module, 'SIZES', 2)
    for width in (90, 64, 90, 100):
        segment_size(weights, width)
    assert {file.name for file in kept.rglob('*.onnx')} == {'90x60.onnx', '100x60.onnx'}


def segment_size(path, width):
    segmenter = open_segmenter(path, device='cpu', backend='onnxruntime')
    segmenter.segment([random_images(60, width).numpy()], segmenter.prepare(LabelRegistry().replace(LABELS)))


def test_label_changes_export_nothing(weights, kept):
    segmenter = open_segmenter(weights, device='cpu', backend='onnxruntime')
    image = random_images(60, 90).numpy()
    for count in (1, 5, len(LABELS)):
        segmenter.segment([image], segmenter.prepare(LabelRegistry().replace(LABELS[:count])))
    assert len(list(kept.rglob('*.onnx'))) == 1


def test_providers_are_tensorrt_then_cuda_then_cpu(tiny_model, tmp_path):
    available = ['CPUExecutionProvider', 'AzureExecutionProvider', 'CUDAExecutionProvider', 'TensorrtExecutionProvider']
    path = tmp_path / '640x480.onnx'
    providers = backend_module.choose_providers(available, tiny_model, path)
    assert [name for name, _ in providers] == available[:1:-1] + available[:1]
    tensorrt = providers[0][1]
    assert tensorrt['trt_engine_cache_path'] == str(tmp_path) and tensorrt['trt_fp16_enable'] is False
    assert tensorrt['trt_profile_max_shapes'] == 'text:2048x384'  # as many prompts as the labels may have
    assert [name for name, _ in backend_module.choose_providers(available[:2], tiny_model, path)] == available[:1]


def test_cache_folder_that_cannot_be_made_is_named(weights, tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    with pytest.raises(ValueError, match='set XDG_CACHE_HOME'):
        open_segmenter(weights, device='cpu', backend='onnxruntime')


def test_bfloat16_is_refused(weights):
    with pytest.raises(ValueError, match='bfloat16: use float32 or float16'):
        open_segmenter(weights, device='cpu', precision='bfloat16', backend='onnxruntime')
