# SPDX-License-Identifier: Apache-2.0
"""The segmentation node: images of cameras in, label images, masks and points out."""
