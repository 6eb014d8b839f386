# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several tests share."""

import signal
from collections import Counter
from importlib.util import find_spec

import pytest
import torch

from lseg_ros.core import factory
from lseg_ros.model import LSeg, LSegConfig, build, load, save
from lseg_ros.model.backbones import VisionTransformer, VisionTransformerSettings
from lseg_ros.model.dpt import FusionDecoder

if find_spec('hypothesis') is None:
    collect_ignore_glob = ['*test_fuzz_*.py']
else:
    from hypothesis import HealthCheck, settings

    # By default, a few fixed examples; `make soak` asks for many random ones.
    settings.register_profile(
        'default', deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True
    )
    settings.register_profile('quick', parent=settings.get_profile('default'), derandomize=True, max_examples=20)
    settings.register_profile('soak', parent=settings.get_profile('default'))
    settings.load_profile('quick')


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip the tests that need a GPU on a machine without one."""
    if item.get_closest_marker('gpu') and not torch.cuda.is_available():
        pytest.skip('needs a CUDA device')


@pytest.fixture(scope='session')
def tiny_model():
    """Return a real LSeg, small, with random image weights and the real text encoder."""
    torch.manual_seed(0)
    return build(LSegConfig(width=16)).eval().requires_grad_(False)


@pytest.fixture(scope='session')
def weights(tiny_model, tmp_path_factory):
    """Return the path of the tiny model's weights; tests must not change the file."""
    path = tmp_path_factory.mktemp('weights') / 'tiny.safetensors'
    save(tiny_model, path)
    return path


@pytest.fixture(scope='session')
def loaded():
    """The networks that commands have loaded from `weights`, by the other arguments of `load`."""
    return {}


@pytest.fixture
def cached_weights(weights, loaded, monkeypatch):
    """`weights`, which commands of this process load once: that takes longer than most of them."""

    def load_once(model, *options):
        if str(model) != str(weights):
            return load(model, *options)
        if options not in loaded:
            loaded[options] = load(model, *options)
        return loaded[options]

    monkeypatch.setattr(factory, 'load', load_once)
    return weights


@pytest.fixture
def tiny_transformer(tiny_model):
    """Return a network built like the published ones with a transformer; its text is MiniLM's."""
    torch.manual_seed(0)
    settings = VisionTransformerSettings(blocks=(2, 5, 8, 11), channels=(8, 16, 32, 32))
    encoder = VisionTransformer('vit_tiny_patch16_384', settings)
    config = LSegConfig(name='tiny', decoder='dpt', spatial='bottleneck:2:lrelu', align_corners=True)
    text_encoder = tiny_model.text_encoder
    decoder = FusionDecoder(encoder.channels, 16, text_encoder.dim)
    return LSeg(config, encoder, decoder, text_encoder)


@pytest.fixture
def one_thread():
    """As torchrun gives its processes: an untrained network hangs on the order of its sums."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='session')
def tally():
    """Counts what the fuzz tests did, by kind; `make soak` shows it."""
    return Counter()


@pytest.fixture
def ctrl_c():
    """Let SIGINT interrupt, even if these tests run in the background; return its handler."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)
