# SPDX-License-Identifier: Apache-2.0
"""Timers that run whatever the clock of the node does."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.callback_groups import CallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.timer import Timer


def steady_timer(
    node: Node, period_s: float, callback: Callable[[], object], callback_group: CallbackGroup | None = None
) -> Timer:
    """Return a timer of `node` that a paused simulation or a missing /clock does not stop."""
    clock = Clock(clock_type=ClockType.STEADY_TIME)
    return node.create_timer(period_s, callback, callback_group=callback_group, clock=clock)
