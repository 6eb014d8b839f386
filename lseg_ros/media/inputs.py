# SPDX-License-Identifier: Apache-2.0
"""What a command is to work on: found from its arguments, and where its results go.

Imports nothing heavy, so that a wrong argument is told at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from glob import glob
from pathlib import Path

IMAGE_SUFFIXES = frozenset('.bmp .jpeg .jpg .png .ppm .tif .tiff .webp'.split())
VIDEO_SUFFIXES = frozenset('.avi .m4v .mkv .mov .mp4 .mpeg .mpg .ogv .webm .wmv'.split())
BAG_SUFFIXES = frozenset('.bag .db3 .mcap'.split())


class Kind(Enum):
    """What an input is, by its name."""

    IMAGE = 'image'
    VIDEO = 'video'
    BAG = 'bag'


@dataclass(frozen=True)
class Input:
    """One input, and the path without suffix that its results are written to."""

    path: Path
    kind: Kind
    target: Path


def plan(
    arguments: Iterable[str], output: Path, kinds: Sequence[Kind] = tuple(Kind)
) -> list[Input]:
    """Find the inputs that `arguments` name, and give each its place below `output`.

    An argument is a file, a bag's folder, a folder of images (searched to its depths, what lies
    under `output` left out: it is an earlier run's), or a glob.  Raises FileNotFoundError where
    there is nothing, ValueError for files of other `kinds` and when two inputs would write the
    same results.
    """
    found = [each for argument in arguments for each in _find(argument, output)]
    inputs: dict[Path, Input] = {}
    for path, relative in found:
        item = Input(path, _kind(path, kinds), output / relative)
        earlier = inputs.setdefault(item.target, item)
        if earlier.path != path:
            raise ValueError(
                f'{earlier.path} and {path} would both be written to '
                f'{item.target}.*; give them one after the other, with another '
                '--output'
            )
    return list(inputs.values())


def is_bag_folder(path: Path) -> bool:
    """Whether `path` is a folder that rosbag2 has written."""
    return (path / 'metadata.yaml').is_file()


def _find(argument: str, output: Path) -> list[tuple[Path, Path]]:
    """Return (path, path of its results relative to the output folder) of what is there."""
    path = Path(argument)
    if path.is_dir() and not is_bag_folder(path):
        found = [
            (image, image.relative_to(path).with_suffix(''))
            for image in _images_below(path, output.resolve())
        ]
    else:
        names = [argument] if path.exists() else sorted(glob(argument, recursive=True))
        matches = (Path(name) for name in names)
        found = [
            (match, _result_name(match))
            for match in matches
            if match.is_file() or is_bag_folder(match)
        ]
    if not found:
        raise FileNotFoundError(f'no image at {argument}')
    return found


def _images_below(folder: Path, output: Path) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob('*'))
        if path.suffix.lower() in IMAGE_SUFFIXES and output not in path.resolve().parents
    ]


def _result_name(path: Path) -> Path:
    name = path.resolve().name if path.is_dir() else path.stem  # '.' has no name of its own
    return Path(name)


def _kind(path: Path, kinds: Sequence[Kind]) -> Kind:
    suffixes = {Kind.IMAGE: IMAGE_SUFFIXES, Kind.VIDEO: VIDEO_SUFFIXES, Kind.BAG: BAG_SUFFIXES}
    suffix = path.suffix.lower()
    kind = (
        Kind.BAG
        if path.is_dir()
        else next((kind for kind, known in suffixes.items() if suffix in known), None)
    )
    if kind not in kinds:
        wanted = ' '.join(sorted(suffix for kind in kinds for suffix in suffixes[kind]))
        names = ', '.join(kind.value for kind in kinds)
        raise ValueError(f'{path} cannot be used: want {names} ({wanted})')
    return kind
