# SPDX-License-Identifier: Apache-2.0
"""Opens the files that ``lseg fetch`` downloads."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from lseg_ros.model.checkpoint import Checkpoint
from lseg_ros.model.lseg import LSeg
from lseg_ros.model.open_files import outline_published
from lseg_ros.model.open_networks import open_networks
from lseg_ros.model.zoo import outline


def outline_downloaded(name: str, files: Mapping[str, Path]) -> AbstractContextManager[tuple[LSeg, Checkpoint]]:
    """Return what zoo.outline does, for the downloaded files of `name` by their names."""
    if name in open_networks():
        return outline_published(name, files)
    (path,) = files.values()
    return outline(path)
