# SPDX-License-Identifier: Apache-2.0
"""Where fetched weights are kept: among the assets of the Hugging Face client.

That is `$HF_HOME/assets/lseg_ros`, unless HF_ASSETS_CACHE says otherwise.
"""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import constants

from lseg_ros.downloads.catalogue import Download, format_size


def folder() -> Path:
    """Return the folder of everything that was fetched; it need not exist."""
    return Path(constants.HF_ASSETS_CACHE) / 'lseg_ros'


def path_of(name: str) -> Path:
    """Return the path of the weights `name`, whether or not they have been fetched."""
    return folder() / 'models' / f'{name}.safetensors'


def unfinished(name: str) -> Path:
    """Return the folder of the files of `name` that are being downloaded and converted."""
    return folder() / 'downloads' / name


def describe_state(download: Download) -> str:
    """Return in a few words whether weights are here or can be fetched, their size and licence."""
    path = path_of(download.name)
    if path.is_file():
        return f'here, {format_size(path.stat().st_size)}; {download.licence}'
    return f'to fetch, {format_size(download.size)}; {download.licence}'
