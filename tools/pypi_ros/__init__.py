# SPDX-License-Identifier: Apache-2.0
"""A ROS 2 environment for demo, tests and benchmark: the sourced one, or wheels from PyPI."""
