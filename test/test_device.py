# SPDX-License-Identifier: Apache-2.0
"""Devices, precisions and CPU threads by name."""

from __future__ import annotations

import pytest
import torch

from lseg_ros.backends.device import find_device, find_precision, limit_cpu_threads


def test_auto_takes_a_gpu_when_there_is_one():
    assert find_device('auto').type == ('cuda' if torch.cuda.is_available() else 'cpu')


@pytest.mark.parametrize('name', ['cuda:99', 'abacus', ''])
def test_device_that_is_not_here_is_refused_by_name(name):
    with pytest.raises(ValueError, match=f"device '{name}'"):
        find_device(name)


@pytest.mark.parametrize(
    'name, device, expected',
    [('auto', 'cpu', torch.float32), ('bfloat16', 'cpu', torch.bfloat16), ('float32', 'cuda', torch.float32)],
)
def test_precision(name, device, expected):
    assert find_precision(name, torch.device(device)) is expected


@pytest.mark.parametrize(
    'capability, expected', [((6, 1), torch.float32), ((7, 0), torch.float16), ((9, 0), torch.float16)]
)
def test_half_precision_is_for_gpus_with_tensor_cores(capability, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'get_device_capability', lambda device: capability)
    assert find_precision('auto', torch.device('cuda')) is expected


def test_cpu_threads_are_limited_and_set_free_again():
    before = torch.get_num_threads()
    limit_cpu_threads(1)
    assert torch.get_num_threads() == 1
    limit_cpu_threads(0)
    assert torch.get_num_threads() == before
    with pytest.raises(ValueError, match='-1'):
        limit_cpu_threads(-1)


def test_unknown_precision_is_refused_by_name():
    with pytest.raises(ValueError, match="'float8'"):
        find_precision('float8', torch.device('cpu'))
