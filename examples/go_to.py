#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ask the map where something is, and let Nav2 drive there: python3 go_to.py "exit sign"."""

import signal
import sys

import rclpy
from geometry_msgs.msg import PoseStamped
from std_msgs.msg import Header

from lseg_ros.commands.interrupt import noticed_interrupt
from lseg_ros.nodes.client import MapClient
from lseg_ros.nodes.spinning import spinning


def main(text: str) -> str:
    """Drive to the thing that fits the text best; return why that failed, or an empty string."""
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)  # so Ctrl-C can stop the robot
    try:
        return drive_to(find(text))
    except (KeyboardInterrupt, TimeoutError, ValueError) as error:
        return str(error) or 'interrupted'
    finally:
        rclpy.try_shutdown()


def find(text: str) -> PoseStamped:
    """Return a pose from which the thing can be seen; raise ValueError if there is none."""
    with spinning(node := rclpy.create_node('go_to')):
        response = MapClient(node).query_map([text], top_k=3)
    if not response.success:
        raise ValueError(response.message)
    if not response.answers:
        raise ValueError(f'the map has no {text}')
    if not (best := next((answer for answer in response.answers if answer.has_pose), None)):
        raise ValueError(f'no way to the {text}: {response.answers[0].reason}')
    print(f'{text} at {best.center.x:.2f}, {best.center.y:.2f} m, score {best.score:.2f}')
    return PoseStamped(header=Header(frame_id=response.header.frame_id), pose=best.pose)  # no stamp: latest tf


def drive_to(goal: PoseStamped) -> str:
    """Hand a pose to Nav2 and wait; return why the robot is not there, or an empty string."""
    try:
        from nav2_simple_commander.robot_navigator import BasicNavigator, TaskResult
    except ImportError:
        return 'Nav2 is not installed, so nobody drives: sudo apt install ros-$ROS_DISTRO-nav2-simple-commander'
    navigator = BasicNavigator()
    with noticed_interrupt(signal.SIGTERM) as stop:  # noted only, as Nav2 cancels no goal before goToPose has ended
        if not navigator.goToPose(goal):
            return 'Nav2 refuses the goal: see its log'
        while not navigator.isTaskComplete():  # which waits for a moment
            if stop.is_set():
                navigator.cancelTask()
                return 'interrupted'
    return '' if navigator.getResult() == TaskResult.SUCCEEDED else 'Nav2 did not get there: see its log'


if __name__ == '__main__':
    sys.exit(main(' '.join(sys.argv[1:]) or 'sofa') or 0)
