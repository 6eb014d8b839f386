# SPDX-License-Identifier: Apache-2.0
"""The map node: fuses embeddings into voxels and answers words."""
