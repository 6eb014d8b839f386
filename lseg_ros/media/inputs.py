# SPDX-License-Identifier: Apache-2.0
"""Finds the inputs of a command and decides where their results go.

Imports nothing slow, so that a wrong argument is reported at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from glob import glob
from pathlib import Path
from types import MappingProxyType

IMAGE_SUFFIXES = frozenset('.bmp .jpeg .jpg .png .ppm .tif .tiff .webp'.split())


class Kind(Enum):
    """The kind of an input, as its name suggests."""

    IMAGE = 'image'
    VIDEO = 'video'
    BAG = 'bag'


SUFFIXES = MappingProxyType(
    {
        Kind.IMAGE: IMAGE_SUFFIXES,
        Kind.VIDEO: frozenset('.avi .m4v .mkv .mov .mp4 .mpeg .mpg .ogv .webm .wmv'.split()),
        Kind.BAG: frozenset('.bag .db3 .mcap'.split()),
    }
)


@dataclass(frozen=True)
class Input:
    """An input, and the path without suffix of its results."""

    path: Path
    kind: Kind
    target: Path


def plan(arguments: Iterable[str], output: Path, kinds: Sequence[Kind] = tuple(Kind)) -> list[Input]:
    """Find the inputs that `arguments` name, and assign each a path below `output`.

    An argument is a file, the folder of a bag, a folder of images or a glob. Folders are searched
    recursively, except for `output`, which may contain earlier results. In a folder without
    metadata.yaml and images, each file of a bag is an input.
    Raise FileNotFoundError if an argument matches nothing, ValueError for files of other `kinds`
    and if two inputs would have the same path for their results.
    """
    found = [each for argument in arguments for each in _find(argument, output)]
    inputs: dict[Path, Input] = {}
    for path, relative in found:
        item = Input(path, _kind(path, kinds), output / relative)
        earlier = inputs.setdefault(item.target, item)
        if earlier.path != path:
            raise ValueError(
                f'the results for {earlier.path} and {path} would both be {item.target}.*: run the '
                'command once for each, with another --output'
            )
    return list(inputs.values())


def is_bag_folder(path: Path) -> bool:
    """Return whether `path` is a folder that rosbag2 wrote."""
    return (path / 'metadata.yaml').is_file()


def _find(argument: str, output: Path) -> list[tuple[Path, Path]]:
    """Return the inputs that match, each with the path of its results relative to `output`."""
    path = Path(argument)
    if path.is_dir() and not is_bag_folder(path):
        found = [
            (image, image.relative_to(path).with_suffix(''))
            for image in sorted(path.rglob('*'))
            if image.suffix.lower() in IMAGE_SUFFIXES and output.resolve() not in image.resolve().parents
        ]
        files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES[Kind.BAG])
        found = found or [(file, Path(file.stem)) for file in files]
    else:
        names = [argument] if path.exists() else sorted(glob(argument, recursive=True))
        matches = (Path(name) for name in names)
        found = [(each, _name(each)) for each in matches if each.is_file() or is_bag_folder(each)]
    if not found:
        raise FileNotFoundError(f'no image at {argument}')
    return found


def _name(path: Path) -> Path:
    return Path(path.resolve().name if path.is_dir() else path.stem)  # '.' has no name of its own


def _kind(path: Path, kinds: Sequence[Kind]) -> Kind:
    suffix = path.suffix.lower()
    for kind in kinds:
        if suffix in SUFFIXES[kind] or (kind is Kind.BAG and path.is_dir()):
            return kind
    names = ', '.join(kind.value for kind in kinds)
    suffixes = ' '.join(sorted(suffix for kind in kinds for suffix in SUFFIXES[kind]))
    raise ValueError(f'{path} cannot be used: expected {names} ({suffixes})')
