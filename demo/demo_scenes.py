# SPDX-License-Identifier: Apache-2.0
"""The scenes of the demo: an input for the camera node, and the label sets to try on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from lseg_ros.media.images import read_image

LONG_SIDE = 1280  # pixels to which a larger photograph is reduced
FLAT = (
    'floor',
    'wall',
    'ceiling',
    'door',
    'window',
    'curtain',
    'sofa',
    'chair',
    'table',
    'bed',
    'cabinet',
    'picture',
    'plant',
    'lamp',
    'rug',
)
NAVIGATION = ('floor=floor|ground|rug', 'obstacle=chair|table|sofa|bed|cabinet|box', 'wall', 'door')
OBJECTS = ('person', 'cat', 'cup', 'table', 'wall')
LIVING = ('animal=cat|dog', 'human=person|woman|man', 'furniture=table|chair')


@dataclass(frozen=True)
class LabelRequest:
    """One call of `set_labels`: the name of its picture folder, and the labels."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class DemoScene:
    """One run of the camera node: a name, the camera's `source`, and the label sets in turn."""

    name: str
    source: str
    requests: tuple[LabelRequest, ...]


_ROOM_REQUESTS = (LabelRequest('rooms', FLAT), LabelRequest('navigation', NAVIGATION))
_OBJECT_REQUESTS = (LabelRequest('objects', OBJECTS), LabelRequest('living', LIVING))


def default_scenes(photograph_dir: Path) -> tuple[DemoScene, ...]:
    """Return the recorded drive and three photographs that come with scikit-image.

    Args:
        photograph_dir: folder to write the photographs to, one subfolder per scene.
    """
    drive = DemoScene('drive', 'drive', _ROOM_REQUESTS)
    photographs = (
        DemoScene(folder.name, str(folder), _OBJECT_REQUESTS) for folder in _write_photographs(photograph_dir)
    )
    return (drive, *photographs)


def photograph_scene(photograph: Path, scratch: Path) -> DemoScene:
    """Return a scene of the user's photograph, reduced to the size of a robot's camera image.

    Raise OSError if the file is not a picture.

    Args:
        photograph: the file.
        scratch: folder for the reduced picture.
    """
    picture = Image.fromarray(read_image(photograph))
    picture.thumbnail((LONG_SIDE, LONG_SIDE))
    reduced = scratch / f'{photograph.stem}.png'
    picture.save(reduced)
    return user_scene(str(reduced))


def user_scene(source: str) -> DemoScene:
    """Return a scene of the user's video or webcam, given as the camera node's `source`."""
    name = f'camera{source}' if source.isdigit() else Path(source).stem
    return DemoScene(name, source, _ROOM_REQUESTS)


def _write_photographs(folder: Path) -> list[Path]:
    """Write each photograph to a folder of its own; return the folders."""
    import skimage.data

    photographs = {
        'coffee': skimage.data.coffee(),
        'cat': skimage.data.chelsea(),
        'astronaut': skimage.data.astronaut(),
    }
    folders = []
    for name, pixels in photographs.items():
        scene = folder / name
        scene.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(scene / f'{name}.png')
        folders.append(scene)
    return folders
