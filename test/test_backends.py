# SPDX-License-Identifier: Apache-2.0
"""Backends give the ids of the network itself in float32, on real images."""

import importlib.util
import logging
import shutil
from concurrent.futures import wait
from copy import deepcopy

import numpy as np
import pytest
import torch
from oracle import build_oracle
from skimage import data
from sklearn.datasets import load_sample_images
from torch._dynamo.utils import counters
from torch._inductor import config as inductor

from lseg_ros.backends import EagerBackend, fixed_sizes, open_backend
from lseg_ros.backends.folding import FoldedNetwork
from lseg_ros.backends.torch_backend import GRAPHS, RecordedRuns
from lseg_ros.core.single_pass import SinglePassSegmenter
from lseg_ros.labels import LabelRegistry
from lseg_ros.media.sources import open_source
from lseg_ros.model import LSegConfig, load
from lseg_ros.model.spatial import SpatialRegularisation, SpatialSettings
from lseg_ros.model.zoo import build

LABELS = ('floor', 'wall', 'ceiling', 'door', 'window', 'table', 'chair', 'person', 'cup', 'cat')
needs_openvino = pytest.mark.skipif(importlib.util.find_spec('openvino') is None, reason='openvino is not installed')


@pytest.fixture(scope='module')
def model():
    return load('lseg-lite')


@pytest.fixture(scope='module')
def images():
    """Return photographs and a frame of the recorded drive."""
    drive = next(iter(open_source('drive')))
    return [data.astronaut(), data.coffee(), load_sample_images().images[0], drive.image]


@pytest.fixture(scope='module')
def expected(model, images):
    """Return the segmentations by the network itself, in float32."""
    return segmented(SinglePassSegmenter(model), images)


@pytest.fixture(scope='module', params=['torch', pytest.param('openvino', marks=needs_openvino)])
def fast(request, model):
    return open_backend(request.param, model)


def segmented(segmenter, images):
    prepared = segmenter.prepare(LabelRegistry().replace(LABELS))
    return [segmenter.segment([image], prepared)[0] for image in images]


def share_of_other_ids(results, expected):
    return np.mean([(result.ids != truth.ids).mean() for result, truth in zip(results, expected)])


def test_backend_gives_the_ids_of_the_network_itself(fast, model, images, expected):
    results = segmented(SinglePassSegmenter(model, backend=fast), images)
    assert share_of_other_ids(results, expected) < 1e-4
    for result, truth in zip(results, expected):
        assert np.abs(result.confidence.astype(int) - truth.confidence).max() <= 1


@pytest.mark.slow
def test_half_precision_changes_few_ids(images, expected):
    half = load('lseg-lite', dtype=torch.float16)
    some = slice(None, None, 3)  # float16 is slow on a CPU
    results = segmented(SinglePassSegmenter(half, backend=open_backend('torch', half)), images[some])
    assert share_of_other_ids(results, expected[some]) <= 0.005


@pytest.mark.gpu
def test_gpu_gives_the_ids_of_the_cpu_run_after_run(images, expected):
    half = load('lseg-lite', 'cuda', torch.float16)
    segmenter = SinglePassSegmenter(half, backend=open_backend('auto', half))
    for _ in range(2):
        assert share_of_other_ids(segmented(segmenter, images), expected) <= 0.005


@pytest.mark.slow
@pytest.mark.parametrize('size', [(1, 1), (33, 95), (240, 320), (240, 427)])
def test_backend_takes_every_size_and_number_of_images(size, fast, model):
    images = torch.randint(0, 256, (2, *size, 3), dtype=torch.uint8)
    text = model.encode_text(LABELS)
    plain = EagerBackend(model)
    with torch.inference_mode():
        for batch in (images, images[:1]):
            logits, others = (backend.correlate(batch, backend.project(text)) for backend in (plain, fast))
            torch.testing.assert_close(others, logits, atol=1e-4, rtol=0)
            embeddings, others = (backend.embed(batch) for backend in (plain, fast))
            torch.testing.assert_close(others, embeddings, atol=1e-4, rtol=0)


def test_alternating_sizes_and_label_counts_give_what_each_gives_alone(fast, model):
    plain = EagerBackend(model)
    shown = [torch.randint(0, 256, (1, *size, 3), dtype=torch.uint8) for size in ((64, 96), (50, 70), (96, 64))]
    texts = [model.encode_text(LABELS[:count]) for count in (1, 10)]
    with torch.inference_mode():
        for images in shown * 2:
            for text in texts:
                torch.testing.assert_close(
                    fast.correlate(images, fast.project(text)), plain.correlate(images, text), atol=1e-4, rtol=0
                )


@needs_openvino
def test_a_size_that_keeps_coming_gets_its_own_network_with_the_same_results(model, monkeypatch):
    monkeypatch.setattr(fixed_sizes, 'ENOUGH', 2)
    backend, text = open_backend('openvino', model), model.encode_text(LABELS)
    images = torch.randint(0, 256, (2, 50, 70, 3), dtype=torch.uint8)
    first = backend.correlate(images, backend.project(text)).clone()
    backend.correlate(images, backend.project(text))
    assert backend.fixed_sizes.jobs[tuple(images.shape)].result(60) is not None
    for count in (len(LABELS), 1):  # labels still come and go
        logits = backend.correlate(images, backend.project(text[:count]))
        torch.testing.assert_close(logits, first[:, :count], atol=1e-4, rtol=0)
    other = images[:1, :40]
    expected = EagerBackend(model).correlate(other, text)
    torch.testing.assert_close(backend.correlate(other, backend.project(text)), expected, atol=1e-4, rtol=0)


def test_only_a_few_sizes_get_networks_of_their_own():
    sizes = fixed_sizes.FixedSizes(lambda shape: f'for {shape}')
    shapes = [(1, size, size, 3) for size in range(2 * fixed_sizes.MOST)]
    for shape in shapes * fixed_sizes.ENOUGH:
        sizes.find(shape)
    wait(sizes.jobs.values())
    assert [shape for shape in shapes if sizes.find(shape) == f'for {shape}'] == list(sizes.jobs)
    assert 0 < len(sizes.jobs) <= fixed_sizes.MOST


def test_a_size_that_cannot_be_compiled_for_is_run_as_before(caplog):
    sizes = fixed_sizes.FixedSizes(lambda shape: 1 / 0)
    for _ in range(fixed_sizes.ENOUGH):
        assert sizes.find((1, 2, 2, 3)) is None
    wait(sizes.jobs.values())
    assert sizes.find((1, 2, 2, 3)) is None
    assert 'division by zero' in caplog.text


@pytest.mark.slow
def test_class_prior_is_that_of_the_network_itself(fast):
    torch.manual_seed(0)
    model = build(LSegConfig(width=16, class_prior=50.0)).eval().requires_grad_(False)
    torch.nn.init.normal_(model.decoder.class_prior.classifier.weight)  # sure of itself
    backend, plain, text = open_backend(fast.name, model), EagerBackend(model), model.encode_text(LABELS)
    for size in ((2, 40, 60, 3), (1, 96, 33, 3)):
        images = torch.randint(0, 256, size, dtype=torch.uint8)
        with torch.inference_mode():
            logits, others = (each.correlate(images, each.project(text)) for each in (plain, backend))
        torch.testing.assert_close(others, logits, atol=1e-3, rtol=0)


@pytest.mark.slow
def test_regularised_logits_are_those_of_the_network_itself(fast, tiny_model):
    model = deepcopy(tiny_model)
    model.spatial = SpatialRegularisation(SpatialSettings('bottleneck', 2, 'relu'))
    model.requires_grad_(False)
    backend = open_backend(fast.name, model)
    images, text = torch.full((1, 40, 60, 3), 90, dtype=torch.uint8), model.encode_text(LABELS)
    with torch.inference_mode():
        torch.testing.assert_close(
            backend.correlate(images, backend.project(text)),
            EagerBackend(model).correlate(images, text),
            atol=1e-4,
            rtol=0,
        )


def test_only_sizes_that_come_again_are_recorded():
    recorded = []

    def record(network, images):
        recorded.append(len(images))
        return lambda images: -network(images)

    run = RecordedRuns(torch.sum, record)
    batches = [torch.ones(size) for size in range(1, GRAPHS + 2)]
    assert [run(batches[2]).item() for _ in range(3)] == [3, -3, -3]  # seen, recorded, replayed
    assert recorded == [3]
    for batch in batches * 2:  # each is forgotten before it comes again
        run(batch)
    assert recorded == [3]


def test_folded_network_has_no_batch_norm_and_only_the_directions_it_needs(tiny_model):
    network = FoldedNetwork(tiny_model, torch.float32)
    norms = [name for name, module in network.named_modules() if isinstance(module, torch.nn.BatchNorm2d)]
    # Norms before a convolution stay, because their output is padded with zeros.
    assert all('laterals' in name for name in norms)
    assert network(torch.zeros(1, 32, 32, 3, dtype=torch.uint8)).shape[1] == 16 + 1


@pytest.mark.slow
@pytest.mark.parametrize('encoder', ['vit_base_patch32_384', 'resnet101'])
def test_published_networks_are_folded_without_loss(encoder):
    torch.manual_seed(0)
    model = build(LSegConfig(encoder=encoder, decoder='dpt', width=32)).eval()
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.running_mean.normal_(std=0.1)
            norm.running_var.uniform_(0.5, 2.0)
    images = torch.randint(0, 256, (1, 60, 90, 3), dtype=torch.uint8)
    text = model.encode_text(LABELS)
    network = FoldedNetwork(model, torch.float32)
    with torch.inference_mode():
        embeddings = network(images)
        expected = EagerBackend(model).correlate(images, text)
        logits = model.correlate(embeddings, network.project(text))
    assert embeddings.shape[1] == 32 + 1 and expected.std() > 1e-3
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)


@pytest.fixture
def compiling(tmp_path, monkeypatch):
    """Count what Inductor compiles; its code is kept for this test alone."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setenv('TORCHINDUCTOR_CACHE_DIR', '')  # restored at the end
    monkeypatch.delenv('TORCHINDUCTOR_CACHE_DIR')
    # Preparing for many kernels takes longer than compiling these few.
    monkeypatch.setattr(inductor, 'cpp_cache_precompile_headers', False)
    monkeypatch.setattr(inductor.cpp, 'vec_isa_ok', True)  # which compiles a program for each extension of the CPU
    torch._dynamo.reset()
    counters.clear()
    yield counters
    torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which('g++') is None, reason='Inductor needs a C++ compiler')
def test_compiled_network_gives_the_same_is_kept_and_does_not_depend_on_labels(compiling, tmp_path):
    model, images = build_oracle(stride=2), torch.randint(0, 256, (1, 40, 60, 3), dtype=torch.uint8)
    for start in range(2):
        torch._dynamo.reset()  # as another process would begin
        backend = open_backend('auto', model, compiled=True)
        for count in (1, 3, 2):
            text = model.encode_text(LABELS[:count])
            with torch.inference_mode():
                logits, expected = (
                    each.correlate(images, each.project(text)) for each in (backend, EagerBackend(model))
                )
            torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)
        assert compiling['stats']['unique_graphs'] == start + 1
        assert compiling['inductor']['fxgraph_cache_miss'] == 1 and compiling['inductor']['fxgraph_cache_hit'] == start
    assert list((tmp_path / 'lseg_ros' / 'torch').iterdir())


def test_only_torch_compiles(tiny_model):
    for name in ('openvino', 'onnxruntime', 'eager'):
        with pytest.raises(ValueError, match=f'compile needs the backend torch, not {name}'):
            open_backend(name, tiny_model, compiled=True)


@pytest.mark.slow
def test_half_precision_is_folded_without_losing_more_than_its_own_rounding(tiny_model):
    half = deepcopy(tiny_model).half()
    images = torch.randint(0, 256, (1, 40, 60, 3), dtype=torch.uint8)
    from_half, exact = (FoldedNetwork(model, torch.float32)(images) for model in (half, tiny_model))
    torch.testing.assert_close(from_half, exact, atol=5e-3, rtol=0)


def test_folding_leaves_the_model_as_it_was(tiny_model):
    before = deepcopy(tiny_model.image_state_dict())
    FoldedNetwork(tiny_model, torch.float32)
    torch.testing.assert_close(tiny_model.image_state_dict(), before, rtol=0, atol=0)


@pytest.mark.slow
@needs_openvino
def test_the_fastest_on_a_cpu_is_chosen(tiny_model):
    assert open_backend('auto', tiny_model).name == 'openvino'


def test_without_openvino_torch_is_chosen(tiny_model, monkeypatch):
    monkeypatch.setattr('lseg_ros.backends.find_spec', lambda name: None)
    assert open_backend('auto', tiny_model).name == 'torch'


@needs_openvino
def test_network_that_openvino_fails_on_is_run_by_torch(tiny_model, monkeypatch, caplog):
    model = deepcopy(tiny_model)
    monkeypatch.setattr(model.decoder, 'forward', lambda maps: torch.special.bessel_j0(maps[0]))
    with caplog.at_level(logging.WARNING):
        assert open_backend('auto', model).name == 'torch'
    assert 'PyTorch does' in caplog.text


def test_unknown_backend_is_refused(tiny_model):
    with pytest.raises(ValueError, match="'tensorrt'.*auto, torch, openvino, onnxruntime"):
        open_backend('tensorrt', tiny_model)


@needs_openvino
def test_network_of_fixed_sizes_is_refused_by_openvino(tiny_model, monkeypatch):
    monkeypatch.setattr(tiny_model.image_encoder, 'any_size', False, raising=False)
    with pytest.raises(ValueError, match='lseg-lite: use torch'):
        open_backend('openvino', tiny_model)
    assert open_backend('auto', tiny_model).name == 'torch'


@pytest.mark.slow
@needs_openvino
def test_openvino_chooses_a_device_itself(tiny_model):
    images, text = torch.full((1, 40, 60, 3), 90, dtype=torch.uint8), tiny_model.encode_text(LABELS)
    with torch.inference_mode():
        chosen, plain = open_backend('auto', tiny_model, openvino_device='AUTO'), EagerBackend(tiny_model)
        logits, expected = (backend.correlate(images, backend.project(text)) for backend in (chosen, plain))
    torch.testing.assert_close(logits, expected, atol=1e-3, rtol=0)


@needs_openvino
@pytest.mark.parametrize('device', ['GPU.9', 'NPU.9', 'cpu', ''])
def test_openvino_device_that_is_not_here_is_refused_with_those_that_are(device, tiny_model):
    for name in ('auto', 'openvino'):
        with pytest.raises(ValueError, match=f"openvino_device '{device}' is not here: use one of .*CPU.*or AUTO"):
            open_backend(name, tiny_model, openvino_device=device)


def test_openvino_device_without_openvino_is_refused(tiny_model):
    with pytest.raises(ValueError, match="'GPU' needs the backend openvino, not torch"):
        open_backend('torch', tiny_model, openvino_device='GPU')
