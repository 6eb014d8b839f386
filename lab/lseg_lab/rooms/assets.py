# SPDX-License-Identifier: Apache-2.0
"""Find furniture models and textures on this machine, with their authors and licences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lseg_lab.rooms.catalogue import Model, load_catalogues
from lseg_lab.rooms.model_download import SOURCES, downloadable
from lseg_lab.rooms.model_labels import class_of_index
from lseg_lab.rooms.textures import known_files

_LIST_HEAD = """\
# Models and textures of the rendered rooms

Written by `lseg rooms --list-assets`. The package contains none of these files. Models come from
the Debian packages `sweethome3d-furniture` (BlendSwap, Scopia, KatorLegaz, Reallusion) and
`sweethome3d` (eTeks); image textures come from `sweethome3d` and from the Python packages
`robosuite` (MIT licence) and `miniworld` (Apache-2.0). All other textures and furniture are
generated. The recorded drive, `demo/drive`, shows some CC0 and CC-BY models; its CREDITS.md lists
them.

`lseg rooms FOLDER --fetch-models` downloads the 3-D models for `--models` from the public
repositories that the last table names, at fixed commits.
"""
_CHANGES = """\
Textures are reduced to 256 pixels, meshes simplified and often tinted. Brand names and logos on them
belong to their owners. Models whose names begin with `ycb_` come from the YCB Object and Model Set
(B. Calli et al., "The YCB object and Model set", International Conference on Advanced Robotics, 2015).
"""


@dataclass(frozen=True)
class Assets:
    """Furniture catalogues, and files or folders of textures."""

    catalogues: tuple[Path, ...]
    textures: tuple[Path, ...]
    models: Path | None = None  # a folder with an INDEX.tsv


NO_ASSETS = Assets((), ())


def find_assets(furniture: Sequence[Path], textures: Sequence[Path], models: Path | None = None) -> Assets:
    """Find the catalogues in the given files and folders; jars among them also supply textures.

    Raise FileNotFoundError if a path does not exist or no furniture catalogue is found.
    """
    for path in (*furniture, *textures, *([models] if models else [])):
        if not path.exists():
            raise FileNotFoundError(f'{path} does not exist; {_remedy()}')
    catalogues = sorted((file for path in furniture for file in _catalogues_in(path)), key=lambda file: file.name)
    if not catalogues:
        raise FileNotFoundError(f'no furniture catalogue in {furniture[0]}; {_remedy()}')
    jars = [file for file in catalogues if file.suffix == '.jar']
    return Assets(tuple(catalogues), (*jars, *textures), models)


def _remedy() -> str:
    return (
        'run `apt install sweethome3d-furniture sweethome3d`, pass their location with '
        '--furniture, or use --built-only to render without catalogues'
    )


def _catalogues_in(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [*path.rglob('*.sh3f'), *path.rglob('sweethome3d.jar')]


def asset_list(assets: Assets) -> str:
    """Return Markdown tables of all models (author, licence, class) and all texture files."""
    models = load_catalogues(assets.catalogues).models
    rows = [_LIST_HEAD, '| model | name | class | author | licence |', '|---|---|---|---|---|']
    rows += map(_row, models)
    rows += ['', '## Texture files', '', '| file | used as | from |', '|---|---|---|']
    rows += [f'| {file.stem} | {file.kind} | {file.source.name} |' for file in known_files(assets.textures)]
    return '\n'.join([*rows, '', *_folder_rows()])


def _folder_rows() -> list[str]:
    """Return Markdown tables of the models for `--models` and of their repositories."""
    rows = ['## 3-D models for `--models`', '', _CHANGES]
    rows += ['| model | name | class | author | licence |', '|---|---|---|---|---|']
    for row in downloadable():
        label, author = class_of_index(row['class']), row['author'] or 'not stated'
        rows.append(f'| {row["path"]} | {row["class"]} | {label} | {author} | {row["licence"]} |')
    rows += ['', '| first part of the name | repository | commit |', '|---|---|---|']
    for name, source in SOURCES.items():
        repository, _, commit = source.rpartition('/')
        rows.append(f'| {name} | https://github.com/{repository} | {commit} |')
    return rows


def _row(model: Model) -> str:
    return f'| {model.key} | {model.name} | {model.label} | {model.creator or "not stated"} | {model.licence} |'
