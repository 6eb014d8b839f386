# SPDX-License-Identifier: Apache-2.0
"""Fetches weights: asks for sizes and space, downloads, converts, and keeps one file."""

from __future__ import annotations

import errno
import fcntl
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lseg_ros.downloads import transfer
from lseg_ros.downloads.catalogue import Download, format_size
from lseg_ros.downloads.kept import folder, path_of, unfinished
from lseg_ros.downloads.transfer import Offer

# Writes the weights made of the files, by name, to a path.
Convert = Callable[[Mapping[str, Path], Path], None]
Report = Callable[[str], None]


def fetch(download: Download, convert: Convert, kept_size: int, report: Report) -> Path:
    """Download and convert weights unless they are here; return their path.

    Only the converted file, of about `kept_size` bytes, is kept. If a download is cut, what
    arrived stays and the next call continues; if the conversion fails, the verified downloads stay.
    `report` gets a line about each step. Of two calls at once, one waits for the other.
    Raise FetchError if a file cannot be had, OSError if the disk is full or too small.
    """
    with _alone(download.name, report):
        target = path_of(download.name)
        if target.is_file():
            report(f'{download.name} is here already: {target}')
            return target
        parts = unfinished(download.name)
        offers = [transfer.ask(source) for source in download.sources]
        report(f'{format_size(sum(offer.size for offer in offers))} to download')
        _check_space(download.name, _missing(parts, offers) + kept_size)
        target.parent.mkdir(parents=True, exist_ok=True)
        files = {offer.source.name: transfer.download(offer, _place(parts, offer)) for offer in offers}
        report('converting')
        try:
            convert(files, target)
        except ValueError:
            for offer in offers:
                if not offer.sha256:  # then the file is likely to be at fault
                    files[offer.source.name].unlink()
            raise
        shutil.rmtree(parts)
        return target


def remove(name: str, report: Report) -> int:
    """Remove fetched weights and what is left of their downloads; return the bytes freed."""
    with _alone(name, report):
        files = [path_of(name), *unfinished(name).rglob('*')]
        freed = sum(path.stat().st_size for path in files if path.is_file())
        path_of(name).unlink(missing_ok=True)
        shutil.rmtree(unfinished(name), ignore_errors=True)
        return freed


@contextmanager
def _alone(name: str, report: Report) -> Iterator[None]:
    """Hold a lock on `name`, which ends with the process at the latest."""
    locks = folder() / 'locks'
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / name).open('w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f'another process is fetching or removing {name}: waiting for it')
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _place(parts: Path, offer: Offer) -> Path:
    """Return where to download a file to; other versions of it have other places."""
    path = parts / offer.source.version / offer.source.name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _missing(parts: Path, offers: list[Offer]) -> int:
    """Return the number of bytes that have yet to arrive."""
    missing = 0
    for offer in offers:
        path = parts / offer.source.version / offer.source.name
        here = [file for file in (path, transfer.partial(path)) if file.is_file()]
        arrived = offer.size if offer.cached else sum(file.stat().st_size for file in here)
        missing += max(offer.size - arrived, 0)
    return missing


def _check_space(name: str, needed: int) -> None:
    """Raise OSError unless the disk has room for `needed` bytes."""
    place = folder()
    free = shutil.disk_usage(place).free
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f'{name} needs {format_size(needed)} in {place}, which has {format_size(free)} free: make room, or set '
            'HF_HOME to a folder on a larger disk',
        )
