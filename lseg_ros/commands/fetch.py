# SPDX-License-Identifier: Apache-2.0
"""``lseg fetch``: download weights by name, or list those there are."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lseg_ros import __version__

if TYPE_CHECKING:
    from lseg_ros.downloads.catalogue import Download

HELP = 'download weights by name; nothing else here uses the internet'
DESCRIPTION = """\
Download the weights of a model and convert them to one safetensors file. From then on its name
can be given as the model of the node and of all commands, without a network. Source, licence and
size are shown first.

  lseg fetch                       list the names, licences and sizes
  lseg fetch lseg-vitl16
  lseg fetch --remove lseg-vitl16  delete the weights, and what is left of an unfinished download

A download that was cut continues when the command is run again. Sizes and SHA-256 are verified,
and nothing in a file is executed. Weights are kept in half precision in $HF_HOME/assets/lseg_ros
(by default ~/.cache/huggingface/assets/lseg_ros); to use them on a robot without a network, copy
the file there and give its path as the model. HF_HOME, HF_ASSETS_CACHE, HF_ENDPOINT, HF_TOKEN and
HF_HUB_OFFLINE have the same meaning as for all programs that use the Hugging Face hub.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('names', nargs='*', metavar='NAME', help='weights to fetch; none: list all')
    action = parser.add_mutually_exclusive_group()
    action.add_argument('--remove', action='store_true', help='remove the weights instead')
    action.add_argument(
        '--full-precision', action='store_true', help='keep the precision of the download: twice the size, or nearly'
    )


def run(args: argparse.Namespace) -> int:
    """Fetch or remove the weights, or list them."""
    downloads = [_find(name) for name in args.names]
    if args.remove and not downloads:
        raise ValueError('--remove needs the names of the weights to remove')
    if not downloads:
        print('\n'.join(_table()))
    for download in downloads:
        if args.remove:
            _remove(download)
        else:
            _fetch(download, half=not args.full_precision)
    return 0


def _find(name: str) -> Download:
    from lseg_ros.downloads.catalogue import DOWNLOADS

    if name not in DOWNLOADS:
        raise ValueError(f'no weights {name!r} to fetch: use one of {", ".join(DOWNLOADS)}')
    return DOWNLOADS[name]


def _table() -> list[str]:
    from lseg_ros.downloads.catalogue import DOWNLOADS
    from lseg_ros.downloads.kept import describe_state

    width = max(map(len, DOWNLOADS))
    return [f'{name:<{width}}  {found.description}; {describe_state(found)}' for name, found in DOWNLOADS.items()]


def _fetch(download: Download, half: bool) -> None:
    from lseg_ros.downloads.catalogue import format_size
    from lseg_ros.downloads.fetching import fetch

    print(f'{download.name}: {download.description}')
    for source in download.sources:
        print(f'  from {source.origin}')
    print(f'  licence: {download.licence}', flush=True)
    kept_size = download.kept_size if half else 2 * download.kept_size
    path = fetch(download, partial(_convert, download, half), kept_size, _report)
    print(f'  kept as {path}, {format_size(path.stat().st_size)}')
    print(f'{download.name} is ready: give its name as the model')


def _convert(download: Download, half: bool, files: Mapping[str, Path], target: Path) -> None:
    """Write the weights file that is made of the downloaded files."""
    from lseg_ros.model import checkpoint
    from lseg_ros.model.downloaded import outline_downloaded

    origin = {
        'source': ' and '.join(source.origin for source in download.sources),
        'licence': download.licence,
        'changed': f'tensors renamed{", rounded to half precision" if half else ""}, unused ones left out, '
        f'by lseg fetch {__version__}',
    }
    with outline_downloaded(download.name, files) as (model, stored):
        checkpoint.convert(model, stored, target, half=half, origin=origin)


def _remove(download: Download) -> None:
    from lseg_ros.downloads.catalogue import format_size
    from lseg_ros.downloads.fetching import remove

    freed = remove(download.name, _report)
    print(f'{download.name}: removed {format_size(freed)}' if freed else f'{download.name} is not here')


def _report(line: str) -> None:
    """Print a step of a fetch before the progress bars, which go to stderr."""
    print(f'  {line}', flush=True)
    sys.stderr.flush()
