# SPDX-License-Identifier: Apache-2.0
"""Matching depth frames to images by stamp, and counting those without a match."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lseg_ros.core.depth_matcher import KEPT, OPEN, DepthMatcher

MS = 10**6


def depth(stamp_ns):
    return SimpleNamespace(width=stamp_ns // MS)


@pytest.fixture
def matcher():
    return DepthMatcher(0.02)


def add(matcher, *stamps):
    for stamp in stamps:
        matcher.add(stamp, depth(stamp))


def close_first(matcher):
    for number in range(OPEN):
        matcher.begin(10**12 + number)


@pytest.mark.parametrize('before, after', [([100 * MS], []), ([], [100 * MS])])
def test_depth_is_found_whether_it_arrives_before_or_after_its_image(matcher, before, after):
    add(matcher, *before)
    matcher.begin(100 * MS)
    add(matcher, *after)
    assert matcher.find(100 * MS) == depth(100 * MS)


def test_nearest_within_the_slop_wins(matcher):
    add(matcher, 85 * MS, 104 * MS)
    matcher.begin(100 * MS)
    add(matcher, 110 * MS)
    assert matcher.find(100 * MS) == depth(104 * MS)


@pytest.mark.parametrize('stamp', [100 * MS, 110 * MS])
def test_last_of_equally_near_depths_wins(matcher, stamp):
    add(matcher, 90 * MS, stamp)
    matcher.begin(100 * MS)
    matcher.add(stamp, 'corrected')
    assert matcher.find(100 * MS) == 'corrected'


@pytest.mark.parametrize('offset, is_found', [(20 * MS, True), (20 * MS + 1, False)])
def test_slop_is_the_largest_difference_allowed_in_either_direction(matcher, offset, is_found):
    for stamp in (1000 * MS - offset, 1000 * MS + offset):
        matcher.begin(1000 * MS)
        add(matcher, stamp)
        assert (matcher.find(1000 * MS) is not None) == is_found
    matcher.set_slop(0.1)
    matcher.begin(1000 * MS)
    assert matcher.find(1000 * MS) is not None


def test_depth_may_lag_by_only_a_few_images(matcher):
    stamps = [number * 100 * MS for number in range(OPEN + 1)]
    for stamp in stamps:
        matcher.begin(stamp)
    add(matcher, *stamps)
    assert [matcher.find(stamp) is not None for stamp in stamps] == [False] + [True] * OPEN


@pytest.mark.parametrize(
    'stamps, verdict',
    [([2000 * MS], 'matched'), ([1900 * MS, 2200 * MS], 'late'), ([2050 * MS], 'early'), ([500 * MS], 'missing')],
)
def test_images_are_counted_by_the_fate_of_their_depth(matcher, stamps, verdict):
    add(matcher, *stamps)
    matcher.begin(2000 * MS)
    close_first(matcher)
    counts = matcher.counts
    assert counts.received == len(stamps)
    assert {
        name: getattr(counts, name) for name in ('matched', 'late', 'early', 'missing') if getattr(counts, name)
    } == {verdict: 1}


def test_camera_without_depth_misses_nothing(matcher):
    for stamp in range(2 * OPEN):
        matcher.begin(stamp)
    assert matcher.counts.missing == 0


def test_stamps_that_jump_back_start_a_new_timeline(matcher):
    add(matcher, 5000 * MS, 100 * MS)
    matcher.begin(5000 * MS)
    assert matcher.find(5000 * MS) is None
    matcher.begin(100 * MS)
    assert matcher.find(100 * MS) == depth(100 * MS)


def test_memory_is_bounded(matcher):
    add(matcher, *(number * 100 * MS for number in range(10 * KEPT)))
    matcher.begin(0)
    assert matcher.find(0) is None
