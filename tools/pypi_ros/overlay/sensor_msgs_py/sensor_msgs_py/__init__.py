# SPDX-License-Identifier: Apache-2.0
"""Stand-in for sensor_msgs_py where ROS 2 comes from PyPI, which does not have it."""
