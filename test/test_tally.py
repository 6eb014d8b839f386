# SPDX-License-Identifier: Apache-2.0
"""Counting over many items: interrupted, with different settings, and shared by processes."""

from functools import partial

import numpy as np
import pytest
import torch

from lseg_ros.sharing.tally import Counting
from lseg_ros.sharing.workers import Workers

ALONE = Workers(torch.device('cpu'))


def counted(item, calls, stop_at=None):
    """Count an item as twice its number; interrupt at `stop_at`."""
    if item == stop_at:
        raise KeyboardInterrupt
    calls.append(item)
    return np.array([2 * item])


def test_an_interrupted_run_goes_on(tmp_path):
    counting, items, calls = Counting(ALONE, tmp_path / 'state'), list(range(5)), []
    with pytest.raises(KeyboardInterrupt):
        counting.run('part', items, partial(counted, calls=calls, stop_at=3), (1,), {'model': 'a'})
    totals = counting.run('part', items, partial(counted, calls=calls), (1,), {'model': 'a'})
    assert calls == items and totals.tolist() == [[0], [2], [4], [6], [8]]
    counting.finish()
    assert not (tmp_path / 'state').exists()


def test_a_state_of_other_settings_is_refused(tmp_path):
    counting, items = Counting(ALONE, tmp_path), [1, 2]
    count = partial(counted, calls=[])
    counting.run('part', items, count, (1,), {'model': 'a'})
    with pytest.raises(ValueError, match="part.0.npz .*model 'a', not 'b'.*--state"):
        counting.run('part', items, count, (1,), {'model': 'b'})
    with pytest.raises(ValueError, match='items'):
        counting.run('part', [1, 3], count, (1,), {'model': 'a'})
    (tmp_path / 'part.0.npz').write_bytes(b'no state')
    with pytest.raises(ValueError, match='part.0.npz is damaged'):
        counting.run('part', items, count, (1,), {'model': 'a'})


def test_the_number_of_processes_may_change(tmp_path, monkeypatch):
    """The second of three processes counts items 1 and 4.

    A single process then counts the rest.
    """
    monkeypatch.setattr(Workers, 'sum', lambda self, counts: counts)
    calls, items = [], list(range(5))
    second = Counting(Workers(torch.device('cpu'), 1, 3), tmp_path)
    second.run('part', items, partial(counted, calls=calls), (1,), {})
    assert calls == [1, 4]
    totals = Counting(ALONE, tmp_path).run('part', items, partial(counted, calls=calls), (1,), {})
    assert calls == [1, 4, 0, 2, 3] and totals.sum() == 20
