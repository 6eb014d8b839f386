# SPDX-License-Identifier: Apache-2.0
"""How the nodes subscribe to cameras: best effort, unless parameters say otherwise."""

from __future__ import annotations

from rclpy.qos import QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

# Durability, too, for a CameraInfo that was latched before the node subscribed to it.
_OVERRIDABLE = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY)


def best_effort(depth: int) -> QoSProfile:
    """Return a profile for a single subscription, since rclpy writes its overrides into it."""
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT)


def overridable() -> QoSOverridingOptions:
    """Return what lets the parameters `qos_overrides.<topic>.subscription.*` change a profile."""
    return QoSOverridingOptions(_OVERRIDABLE)
