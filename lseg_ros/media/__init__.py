# SPDX-License-Identifier: Apache-2.0
"""Pictures in and out of files: images, videos and ROS bags. Needs no ROS."""
