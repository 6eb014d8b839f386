# SPDX-License-Identifier: Apache-2.0
"""Labels: how they are written, the ids and colours they get, and label files. Needs no ROS."""
