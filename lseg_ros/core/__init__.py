# SPDX-License-Identifier: Apache-2.0
"""From an image and labels to class ids, confidence and points. Needs no ROS."""
