# SPDX-License-Identifier: Apache-2.0
"""Downloads one file: resumed after a cut, verified at the end.

The Hugging Face client finds the file, authenticates and streams, also from other servers. Its
own `hf_hub_download` starts again from nothing after a cut, so the partial file is ours.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers

from lseg_ros import __version__
from lseg_ros.downloads.catalogue import HubFile, Source, WebFile, format_size
from lseg_ros.downloads.drive import download_from_drive
from lseg_ros.downloads.errors import FetchError
from lseg_ros.error_text import one_line
from lseg_ros.whole_files import is_disk_full

_CHUNK = 1 << 20  # bytes
_SHA256 = re.compile('[0-9a-f]{64}')
_LOGIN = 'if you have access, run hf auth login or set HF_TOKEN; a token that is set may have expired'
_REASONS = {
    401: f'it is private, gated or gone; {_LOGIN}',
    403: f'it is gated; accept its terms on that page first; {_LOGIN}',
    404: 'the file is no longer there; update lseg_ros, or look for it by hand',
    429: 'too many requests; try again in some minutes',
}


@dataclass(frozen=True)
class Offer:
    """What is known of a file before it is downloaded."""

    source: Source
    size: int  # bytes
    sha256: str = ''  # empty: unknown
    cached: Path | None = None  # the file in the hub's cache, if another program fetched it


def ask(source: Source) -> Offer:
    """Return what the server says of a file, or the catalogue for servers that say nothing.

    Raise FetchError if it cannot be had.
    """
    cached = _find_cached(source) if isinstance(source, HubFile) else None
    if cached:
        return cached
    if constants.HF_HUB_OFFLINE:
        raise FetchError(
            f'{source.name} is not in the Hugging Face cache, and HF_HUB_OFFLINE is set: unset it to fetch'
        )
    if isinstance(source, HubFile):
        return _ask_hub(source)
    return Offer(source, source.size, source.sha256 if isinstance(source, WebFile) else '')


def download(offer: Offer, path: Path) -> Path:
    """Download a file to `path`, or continue to, and verify it; return where it is.

    What arrived before a cut stays beside it, as NAME.part. A file that is not what was expected
    is deleted.
    Raise FetchError if it cannot be had, OSError if the disk is full.
    """
    if offer.cached:
        _verify(offer.cached, offer)
        return offer.cached
    if path.is_file():  # verified before
        return path
    if not isinstance(offer.source, HubFile | WebFile):
        download_from_drive(offer.source, path)
        return path
    part = partial(path)
    _transfer(offer, _url(offer.source), part)
    try:
        _verify(part, offer)
    except FetchError:
        part.unlink()
        raise
    return part.replace(path)


def partial(path: Path) -> Path:
    """Return the path of the part of `path` that has arrived."""
    return path.with_name(f'{path.name}.part')


def _find_cached(source: HubFile) -> Offer | None:
    """Find the file in the cache of the Hugging Face hub, which names them after their hash."""
    found = try_to_load_from_cache(source.repository, source.path, revision=source.revision)
    if not isinstance(found, str):
        return None
    path = Path(found)
    return Offer(source, path.stat().st_size, source.sha256 or _as_sha256(path.resolve().name), path)


def _ask_hub(source: HubFile) -> Offer:
    url = _url(source)
    try:
        metadata = get_hf_file_metadata(url, library_name='lseg_ros', library_version=__version__)
    except Exception as error:  # those of httpx or requests, depending on the client's version
        raise _explain(error, url) from error
    size = metadata.size
    # Generous, because the catalogue's sizes are rough: for web pages and Git LFS pointers.
    if size is None or not source.size / 2 < size < source.size * 2:
        offered = 'a file of unknown size' if size is None else f'{size:,} bytes'
        raise FetchError(
            f'{urlsplit(url).netloc} offers {offered} as {source.repository}/{source.path}, expected about '
            f'{format_size(source.size)}: nothing was downloaded; if HF_ENDPOINT is set, check it'
        )
    stated = _as_sha256(metadata.etag or '')
    if source.sha256 and stated and stated != source.sha256:
        raise FetchError(
            f'{source.repository}/{source.path} has the SHA-256 {stated} at {urlsplit(url).netloc}, expected '
            f'{source.sha256}: nothing was downloaded'
        )
    return Offer(source, size, source.sha256 or stated)


def _transfer(offer: Offer, url: str, part: Path) -> None:
    """Write the rest of a file to `part`; raise FetchError unless it then has the right size."""
    if part.exists() and part.stat().st_size > offer.size:
        part.unlink()
    # A token for the hub is nobody else's business.
    token = None if isinstance(offer.source, HubFile) else False
    headers = build_hf_headers(token=token, library_name='lseg_ros', library_version=__version__)
    try:
        with part.open('ab') as file:
            http_get(url, file, resume_size=file.tell(), headers=headers, expected_size=offer.size)
    except Exception as error:  # those of httpx or requests, depending on the client's version
        if isinstance(error, OSError) and is_disk_full(error):
            raise OSError(error.errno, os.strerror(error.errno or 0), str(part)) from error
        done = part.stat().st_size
        if not 0 < done <= offer.size:
            part.unlink()
        if done > offer.size:
            raise FetchError(f'{url} is longer than the {offer.size:,} bytes it should have: deleted') from error
        progress = f'; {format_size(done)} of {format_size(offer.size)} are kept: run the command again to continue'
        raise _explain(error, url, progress if done else '') from error


def _explain(error: Exception, url: str, progress: str = '') -> FetchError:
    """Say in one line why `url` could not be had."""
    host = urlsplit(url).netloc
    status = getattr(getattr(error, 'response', None), 'status_code', None)
    if status is not None:
        reason = _REASONS.get(status, 'try again later')
        return FetchError(f'{host} answered {status} to {url}: {reason}{progress}')
    return FetchError(f'cannot download from {host} ({one_line(error)}): check the network{progress}')


def _verify(path: Path, offer: Offer) -> None:
    """Raise FetchError unless the file has the right SHA-256, if that is known."""
    if not offer.sha256:
        return
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != offer.sha256:
        fate = f'remove {path}' if offer.cached else 'it was deleted'
        raise FetchError(
            f'{offer.source.name} is damaged: its SHA-256 is {digest.hexdigest()}, not {offer.sha256}: '
            f'{fate}; fetch it again'
        )


def _url(source: HubFile | WebFile) -> str:
    if isinstance(source, WebFile):
        return source.url
    return hf_hub_url(source.repository, source.path, revision=source.revision)


def _as_sha256(etag: str) -> str:
    """Return an etag of the hub if it is a SHA-256, as for all large files; else nothing."""
    return etag if _SHA256.fullmatch(etag) else ''
