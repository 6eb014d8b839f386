# SPDX-License-Identifier: Apache-2.0
"""The segmentation node with the oracle as its network, in a process of its own."""

from __future__ import annotations

import sys

from oracle import oracle_in_node

from lseg_ros.nodes.segmentation.segmentation_node import main

STRIDE = 8  # the pictures are of one colour, so that a coarse look is enough

if __name__ == '__main__':
    with oracle_in_node(STRIDE):
        sys.exit(main())
