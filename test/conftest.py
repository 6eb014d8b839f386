# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several tests share."""

import pytest
import torch

from lseg_ros.model import build_lite


@pytest.fixture(scope='session')
def tiny_model():
    """Return a real LSeg, small, with random image weights and the real text encoder."""
    torch.manual_seed(0)
    return build_lite(width=16, pretrained=False).eval().requires_grad_(False)


@pytest.fixture
def one_thread():
    """As torchrun gives its processes: an untrained network hangs on the order of its sums."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
