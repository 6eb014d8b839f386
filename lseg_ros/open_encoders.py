# SPDX-License-Identifier: Apache-2.0
"""Reads the descriptions of open encoders, the files in lseg_ros/model/networks.

They serve the networks, which need PyTorch, and the downloads, which do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

import yaml


@cache
def descriptions() -> Mapping[str, Mapping[str, Any]]:
    """Return the entries of all files, by the name of the network."""
    entries: dict[str, Mapping[str, Any]] = {}
    folder = resources.files('lseg_ros') / 'model' / 'networks'
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith('.yaml'):
            entries |= yaml.safe_load(file.read_text(encoding='utf-8'))
    return MappingProxyType(entries)
