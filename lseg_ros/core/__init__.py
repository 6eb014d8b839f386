# SPDX-License-Identifier: Apache-2.0
"""From an image and labels to class ids, confidence and points. Needs no ROS."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lseg_ros.core.factory import open_segmenter

__all__ = ['open_segmenter']


def __getattr__(name: str) -> object:
    """Import `open_segmenter` on first use, as most of this package needs no PyTorch."""
    if name == 'open_segmenter':
        from lseg_ros.core.factory import open_segmenter

        return open_segmenter
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
