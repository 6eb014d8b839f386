# SPDX-License-Identifier: Apache-2.0
"""Conversion of unusual image encodings by cv_bridge."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import Image


def bridge_to_rgb(values: np.ndarray, encoding: str) -> np.ndarray:
    """Return values, [H, W] or [H, W, C], of an unusual encoding as uint8 RGB [H, W, 3]."""
    # Imported late, so that 8-bit cameras work even if cv_bridge was built for another NumPy.
    from cv_bridge import CvBridge

    height, width = values.shape[:2]
    plain = Image(height=height, width=width, encoding=encoding, step=values.nbytes // height, data=values.tobytes())
    return CvBridge().imgmsg_to_cv2(plain, 'rgb8')
