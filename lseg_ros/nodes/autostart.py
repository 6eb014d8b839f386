# SPDX-License-Identifier: Apache-2.0
"""The lifecycle transitions of a node at start-up, for launch files."""

from __future__ import annotations

from launch.action import Action
from launch.actions import EmitEvent, RegisterEventHandler
from launch.conditions import IfCondition
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from lifecycle_msgs.msg import Transition


def autostart(node: LifecycleNode) -> list[Action]:
    """Return what configures and activates `node` if the launch argument `autostart` is true."""
    is_wanted = IfCondition(LaunchConfiguration('autostart'))

    def request(transition: int) -> ChangeState:
        return ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition)

    activate = OnStateTransition(
        target_lifecycle_node=node,
        start_state='configuring',
        goal_state='inactive',
        handle_once=True,  # after the first start, activating is left to the caller
        entities=[EmitEvent(event=request(Transition.TRANSITION_ACTIVATE))],
    )
    return [
        RegisterEventHandler(activate, condition=is_wanted),
        EmitEvent(event=request(Transition.TRANSITION_CONFIGURE), condition=is_wanted),
    ]
