# SPDX-License-Identifier: Apache-2.0
"""The ROS 2 nodes, and everything else that imports rclpy or messages."""
