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
