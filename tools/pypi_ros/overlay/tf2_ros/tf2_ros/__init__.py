# SPDX-License-Identifier: Apache-2.0
"""Stand-in for tf2_ros where ROS 2 comes from PyPI, which does not have it."""

from tf2_ros.buffer import Buffer, ConnectivityException, ExtrapolationException, LookupException, TransformException
from tf2_ros.topics import StaticTransformBroadcaster, TransformBroadcaster, TransformListener

__all__ = [
    'Buffer',
    'ConnectivityException',
    'ExtrapolationException',
    'LookupException',
    'StaticTransformBroadcaster',
    'TransformBroadcaster',
    'TransformException',
    'TransformListener',
]
