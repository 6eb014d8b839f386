# SPDX-License-Identifier: Apache-2.0
"""Where models and textures lie on this machine, and whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lseg_lab.rooms.catalogue import Model, load_catalogues
from lseg_lab.rooms.textures import known_files

_LIST_HEAD = """\
# Models and textures of the rendered rooms

Made by `lseg rooms --list-assets`. None of these files is in the package: models are read from the
Debian packages `sweethome3d-furniture` (BlendSwap, Scopia, KatorLegaz, Reallusion) and
`sweethome3d` (eTeks), image textures from `sweethome3d` and from the Python packages
`robosuite` (MIT licence) and `miniworld` (Apache-2.0). All other textures and furniture are built
by the program. Pictures of some CC0 and CC-BY models are in the recorded drive,
`lseg_ros/data/drive`, whose CREDITS.md names them.
"""


@dataclass(frozen=True)
class Assets:
    """Catalogue files of furniture, and files or folders of textures."""

    catalogues: tuple[Path, ...]
    textures: tuple[Path, ...]


NO_ASSETS = Assets((), ())


def find_assets(furniture: Sequence[Path], textures: Sequence[Path]) -> Assets:
    """Look for catalogues in the files and folders given; textures are in jars among them too.

    Raises FileNotFoundError for a path that does not exist or furniture that holds no catalogue.
    """
    for path in (*furniture, *textures):
        if not path.exists():
            raise FileNotFoundError(f'{path} does not exist; {_remedy()}')
    catalogues = sorted(
        (file for path in furniture for file in _catalogues_in(path)), key=lambda file: file.name
    )
    if not catalogues:
        raise FileNotFoundError(f'no furniture catalogue in {furniture[0]}; {_remedy()}')
    jars = [file for file in catalogues if file.suffix == '.jar']
    return Assets(tuple(catalogues), (*jars, *textures))


def _remedy() -> str:
    return (
        'apt install sweethome3d-furniture sweethome3d, say where they are with --furniture, '
        'or go without: --built-only'
    )


def _catalogues_in(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [*path.rglob('*.sh3f'), *path.rglob('sweethome3d.jar')]


def asset_list(assets: Assets) -> str:
    """Markdown: each model in use with its author, licence and class; then the texture files."""
    models = load_catalogues(assets.catalogues).models
    rows = [_LIST_HEAD, '| model | name | class | author | licence |', '|---|---|---|---|---|']
    rows += map(_row, models)
    rows += ['', '## Texture files', '', '| file | used as | from |', '|---|---|---|']
    rows += [
        f'| {file.stem} | {file.kind} | {file.source.name} |'
        for file in known_files(assets.textures)
    ]
    return '\n'.join(rows)


def _row(model: Model) -> str:
    return (
        f'| {model.key} | {model.name} | {model.label} | {model.creator or "not stated"} '
        f'| {model.licence} |'
    )
