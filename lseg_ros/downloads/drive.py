# SPDX-License-Identifier: Apache-2.0
"""Downloads from Google Drive, with the optional package gdown."""

from __future__ import annotations

from pathlib import Path

from lseg_ros.downloads.catalogue import DriveFile
from lseg_ros.downloads.errors import FetchError
from lseg_ros.error_text import one_line
from lseg_ros.whole_files import is_disk_full

INSTALL = "pip install 'gdown>=5.1'"


def download_from_drive(source: DriveFile, path: Path) -> None:
    """Download a file to `path`; gdown keeps what arrived before a cut, and continues from it.

    Raise FetchError if it cannot be had, OSError if the disk is full.
    """
    try:
        import gdown
    except ImportError as error:
        raise FetchError(f'{source.name} is on Google Drive, which needs gdown: {INSTALL}') from error
    try:
        gdown.download(source.url, output=str(path), resume=True)
    except Exception as error:  # its own and those of requests
        if isinstance(error, OSError) and is_disk_full(error):
            raise
        raise FetchError(
            f'{source.name} cannot be downloaded from Google Drive ({one_line(error)}): it limits downloads '
            f'a day, so try again later, or download {source.url} in a browser and run lseg convert on the file'
        ) from error
    if not path.is_file():
        raise FetchError(f'gdown left no {source.name}: download {source.url} in a browser and run lseg convert on it')
