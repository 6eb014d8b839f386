# SPDX-License-Identifier: Apache-2.0
"""Download a folder of freely licensed 3-D models from the public repositories they come from."""

from __future__ import annotations

import csv
import hashlib
import http.client
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from tqdm import tqdm

from lseg_lab.rooms.model_folder import INDEX
from lseg_ros.whole_files import write_whole

SERVER = 'https://raw.githubusercontent.com'
_TIMEOUT = 60  # seconds
_AT_ONCE = 6
SOURCES = {  # first part of a path in the folder: repository and commit
    'aws_bookstore': 'aws-robotics/aws-robomaker-bookstore-world/ed542eb41809d5c5f1c67f32d4ba24e0e90886b3',
    'aws_hospital': 'aws-robotics/aws-robomaker-hospital-world/39969a9d250135835cf13b480865647d1a87b6f4',
    'aws_small_house': 'aws-robotics/aws-robomaker-small-house-world/dd44be6205b2e6577bf641300dacc1699cb2ca81',
    'aws_small_warehouse': 'aws-robotics/aws-robomaker-small-warehouse-world/3c23a698bf0b4e366ddf8b084af507c519bd3483',
    'gazebo_models': 'osrf/gazebo_models/8163eb4b5e7e21985c6591d1c0bfb56468c0093f',
    'open_rmf': 'open-rmf/rmf_demos/5a3256a0bd3a3009763c4243c8d160834309eee1',
    'open_rmf_robots': 'open-rmf/rmf_demos/e1af33e0e8619a9417bf1d23c4c05246ea1d3802',
    'open_robotics_fuel': 'open-rmf/rmf_demos/e60a894966d1ce74d9416dfc5347e4c122639b4d',
    'tmc_wrs': 'hsr-project/tmc_wrs_gazebo/777adea0028bb302f058f72911313ff61a1c2395',
}


@dataclass(frozen=True)
class ModelFile:
    """A file of the folder, its path in its repository, and its SHA-256, '' if that is unknown."""

    file: str
    source: str
    sha256: str

    @property
    def address(self) -> str:
        """Return its address on the server."""
        return f'{SOURCES[self.file.partition("/")[0]]}/{urllib.parse.quote(self.source)}'


def model_files() -> list[ModelFile]:
    """Return the files of all models that `lseg rooms` uses."""
    return [ModelFile(row['file'], row['source'], row['sha256']) for row in _table('model_files.tsv')]


def downloadable() -> list[dict[str, str]]:
    """Return the lines of the index that `fetch_models` writes, one for each model."""
    return _table('model_index.tsv')


def _table(name: str) -> list[dict[str, str]]:
    text = (resources.files(__package__) / name).read_text(encoding='utf-8')
    return list(csv.DictReader(text.splitlines(), delimiter='\t', quoting=csv.QUOTE_NONE))


def fetch_models(folder: Path, files: Sequence[ModelFile], server: str = SERVER) -> None:
    """Download the files that `folder` still lacks, then write its index.

    Raise OSError if a file cannot be downloaded or written, ValueError if it is another one.
    """
    missing = [file for file in files if not (folder / file.file).exists()]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        jobs = [pool.submit(_fetch, folder, file, server) for file in missing]
        try:
            for job in tqdm(jobs, desc='Downloading', unit='file'):
                job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    write_whole(folder / INDEX, (resources.files(__package__) / 'model_index.tsv').read_bytes())


def _fetch(folder: Path, file: ModelFile, server: str) -> None:
    address = f'{server}/{file.address}'
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT) as answer:
            data = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise OSError(f'cannot download {address}: {error}; run the same command again to continue') from error
    if file.sha256 and hashlib.sha256(data).hexdigest() != file.sha256:
        raise ValueError(f'{address} is not the file that it was; update lseg_ros')
    target = folder / file.file
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, _mended(target.suffix.lower(), data))


def _mended(suffix: str, data: bytes) -> bytes:
    """Remove what keeps trimesh from reading a file: folders of images, and XML comments."""
    if suffix == '.mtl':
        return re.sub(rb'(?m)^(\s*map_Kd\s+)\S*[/\\]', rb'\1', data)
    if suffix == '.dae':
        return re.sub(rb'<!--.*?-->', b'', data, flags=re.DOTALL)
    return data
