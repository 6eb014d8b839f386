# SPDX-License-Identifier: Apache-2.0
"""Rates and delays of a stream under a manual clock."""

from __future__ import annotations

import math

import pytest

from lseg_ros.core.statistics import WINDOW_S, StreamStatistics


class ManualClock:
    """A clock that the test advances."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def statistics(clock):
    return StreamStatistics(clock)


def test_rates_cover_the_last_seconds_and_totals_everything_since_the_start(statistics, clock):
    for _ in range(100):
        clock.now += 0.5
        statistics.image_received()
        statistics.frame_published(0.1, 0.05)
    report = statistics.report()
    assert (report.received, report.published) == (100, 100)
    assert report.input_rate == pytest.approx(2.0, rel=0.1)
    assert report.output_rate == pytest.approx(2.0, rel=0.1)


def test_percentiles_are_in_milliseconds(statistics, clock):
    for delay in range(101):
        statistics.frame_published(delay / 1000, 2 * delay / 1000)
    report = statistics.report()
    assert (report.latency.p50_ms, report.latency.p95_ms) == pytest.approx((50.0, 95.0))
    assert (report.processing.p50_ms, report.processing.p95_ms) == pytest.approx((100.0, 190.0))


def test_silence_brings_rates_to_zero_and_leaves_no_delays(statistics, clock):
    statistics.image_received()
    statistics.frame_published(0.1, 0.1)
    clock.now += WINDOW_S + 1
    report = statistics.report()
    assert (report.input_rate, report.output_rate, report.published) == (0.0, 0.0, 1)
    assert math.isnan(report.latency.p50_ms)


def test_silence_is_measured_from_the_last_image_or_the_restart(statistics, clock):
    clock.now += 5
    assert statistics.seconds_since_image() == 5
    statistics.restart()
    clock.now += 2
    assert statistics.seconds_since_image() == 2
    statistics.image_received()
    clock.now += 3
    assert statistics.seconds_since_image() == 3


def test_images_without_a_result_are_counted_by_reason(statistics):
    statistics.image_dropped()
    for reason in ('too big', 'too small'):
        statistics.image_refused(reason)
    for _ in range(3):
        statistics.frame_failed('no memory')
    report = statistics.report()
    assert (report.dropped, report.bad, report.failed) == (1, 2, 3)
    assert report.last_problem == 'no memory'
