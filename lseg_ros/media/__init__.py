# SPDX-License-Identifier: Apache-2.0
"""Images, videos and ROS bags as files, and how segmentations are drawn. Needs no ROS."""
