# SPDX-License-Identifier: Apache-2.0
"""A map of voxels with embeddings, which can be asked in words. Needs no ROS."""
