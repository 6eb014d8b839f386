# SPDX-License-Identifier: Apache-2.0
"""The segmentation node with the oracle as its network, in a process of its own.

It prints every second how much of its heap is in use.
"""

from __future__ import annotations

import json
import sys
import threading
import time

from heap import heap_in_use
from oracle import oracle_in_node

from lseg_ros.nodes.segmentation.segmentation_node import main

STRIDE = 8  # the pictures are of one colour, so that a coarse look is enough
PERIOD_S = 1.0


def report_heap() -> None:
    """Print the bytes in use until the process ends."""
    while True:
        print(json.dumps({'heap': heap_in_use()}), flush=True)
        time.sleep(PERIOD_S)


if __name__ == '__main__':
    threading.Thread(target=report_heap, daemon=True).start()
    with oracle_in_node(STRIDE):
        sys.exit(main())
