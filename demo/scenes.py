# SPDX-License-Identifier: Apache-2.0
"""What the demo shows: an input for the camera node and the label sets asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from lseg_ros.media.images import read_image

LONG_SIDE = 1280  # of a photograph, in pixels
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
    """One call of `set_labels`: a name for its folder of pictures, and the labels it asks."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Scene:
    """One run of the camera node: its name, the camera's `source`, the label sets in turn."""

    name: str
    source: str
    requests: tuple[LabelRequest, ...]


_ROOM_REQUESTS = (LabelRequest('rooms', FLAT), LabelRequest('navigation', NAVIGATION))
_OBJECT_REQUESTS = (LabelRequest('objects', OBJECTS), LabelRequest('living', LIVING))


def default_scenes(photograph_dir: Path) -> tuple[Scene, ...]:
    """The recorded drive, and photographs that scikit-image carries.

    Args:
        photograph_dir: folder in which the photographs are laid, one sub-folder a scene.
    """
    drive = Scene('drive', 'drive', _ROOM_REQUESTS)
    photographs = (
        Scene(folder.name, str(folder), _OBJECT_REQUESTS)
        for folder in _lay_out_photographs(photograph_dir)
    )
    return (drive, *photographs)


def photograph_scene(photograph: Path, scratch: Path) -> Scene:
    """The scene of the user's own photograph, reduced to the size of a robot's camera.

    Args:
        photograph: the file; OSError when it holds no picture.
        scratch: folder for the reduced one.
    """
    picture = Image.fromarray(read_image(photograph))
    picture.thumbnail((LONG_SIDE, LONG_SIDE))
    reduced = scratch / f'{photograph.stem}.png'
    picture.save(reduced)
    return user_scene(str(reduced))


def user_scene(source: str) -> Scene:
    """The scene of the user's own video or webcam, as the camera node's `source`."""
    name = f'camera{source}' if source.isdigit() else Path(source).stem
    return Scene(name, source, _ROOM_REQUESTS)


def _lay_out_photographs(folder: Path) -> list[Path]:
    """Write each photograph into a folder of its own; returns the folders."""
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
