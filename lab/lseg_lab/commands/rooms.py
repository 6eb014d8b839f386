# SPDX-License-Identifier: Apache-2.0
"""`lseg rooms`: render labelled rooms for training and testing."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lseg_ros.number_options import SEED, whole

if TYPE_CHECKING:
    from lseg_lab.rooms.assets import Assets

HELP = 'render furnished rooms with exact labels for training and testing'
DESCRIPTION = """\
Build rooms, staircases and streets from random numbers, furnish them and render them without a
display (EGL). Each view becomes a JPEG, a mask of class indices and a camera file; dataset.json lists the
classes. Room n of a seed is the same with any number of processes. Run the same command again to
resume an interrupted run.

Three places in ten show stairs, furniture from above or doors close by; --kind restricts a data set
to one of these. Outdoor scenes come only with --kind streets; warehouses, workshops, wards and
shops only with --kind places, and single things close by only with --kind things.

Furniture comes from the catalogues of Sweet Home 3D:

  sudo apt install sweethome3d-furniture sweethome3d

More textures can be read from folders, or from wheels of the Python packages robosuite and
miniworld (pip download --no-deps robosuite miniworld). Every fifth model and texture is reserved
for --split test. --models adds vehicles, trees, houses, street furniture, racks, tools, dishes and
more, each with a class of its own; --fetch-models downloads them, several hundred megabytes.
docs/rooms_assets.md lists authors and licences.

examples:
  lseg rooms rooms_train --rooms 2000
  lseg rooms rooms_test --rooms 100 --seed 1 --split test --depth
  lseg rooms rooms_small --rooms 10 --built-only
  lseg rooms stairs --rooms 500 --kind stairs
  lseg rooms tables --rooms 500 --kind above
  lseg rooms models --fetch-models
  lseg rooms outdoors --rooms 500 --kind streets --models models
  lseg rooms places --rooms 500 --kind places --models models
  lseg rooms things --rooms 500 --kind things --models models
  lseg rooms my_drive --drive
  lseg rooms --list-assets > assets.md
"""

_FURNITURE = Path('/usr/share/sweethome3d')  # where the Debian packages put it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('out', type=Path, nargs='?', metavar='OUT', help='folder to write to')
    parser.add_argument('--rooms', type=whole(1), default=100, help='number of rooms (%(default)s)')
    parser.add_argument('--views', type=whole(1), default=4, help='maximum number of views of a room (%(default)s)')
    parser.add_argument('--seed', type=SEED, default=0, help='seed of all random numbers (%(default)s)')
    _add_content(parser)
    parser.add_argument('--size', type=_size, default=(384, 288), metavar='WxH', help='image size in pixels (384x288)')
    parser.add_argument('--depth', action='store_true', help='also write depth in millimetres')
    parser.add_argument('--processes', type=whole(1), help='number of processes (one per core)')
    _add_assets(parser)
    other = parser.add_argument_group('instead of a data set')
    other.add_argument(
        '--drive', action='store_true', help='record the drive of a robot with three cameras, using held-out models'
    )
    other.add_argument(
        '--fetch-models', action='store_true', help='download 255 freely licensed 3-D models for --models into OUT'
    )
    other.add_argument(
        '--list-assets', action='store_true', help='print the models and textures with their authors and licences'
    )


def _add_content(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--split', choices=('train', 'test'), default='train', help='which models and textures to use (%(default)s)'
    )
    parser.add_argument(
        '--kind',
        choices=('rooms', 'stairs', 'above', 'doors', 'streets', 'places', 'things', 'mixed'),
        default='mixed',
        help='what to show: furnished rooms; stairs, ramps and escalators from below, above and beside; tables, desks,'
        ' counters and chairs from above; doors close by; streets, parks, car parks and yards; warehouses,'
        ' workshops, wards, shops and offices full of --models; things of all classes close by, rare'
        ' ones as often as common ones; or a mixture of the first four,'
        ' 70, 13, 10 and 7 %% (%(default)s)',
    )


def _add_assets(parser: argparse.ArgumentParser) -> None:
    assets = parser.add_argument_group('models and textures')
    assets.add_argument(
        '--furniture',
        type=Path,
        nargs='+',
        default=[_FURNITURE],
        metavar='PATH',
        help=f'.sh3f or .jar files, or folders that contain them ({_FURNITURE})',
    )
    assets.add_argument(
        '--textures',
        type=Path,
        nargs='+',
        default=[],
        metavar='PATH',
        help='wheels or folders that contain texture images',
    )
    assets.add_argument(
        '--models',
        type=Path,
        metavar='FOLDER',
        help='a folder of 3-D models that its INDEX.tsv describes; needs pip install trimesh pycollada',
    )
    assets.add_argument(
        '--built-only', action='store_true', help='use generated furniture and textures only; needs no catalogue'
    )


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition('x')
    if not (
        width.isdigit()
        and height.isdigit()
        and min(int(width), int(height)) >= 32
        and max(int(width), int(height)) <= 4096
    ):
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a size: use WIDTHxHEIGHT with 32 to 4096 pixels, such as 384x288'
        )
    return int(width), int(height)


def run(args: argparse.Namespace) -> int:
    """Render, or list the assets; return the exit status."""
    from lseg_lab.rooms.assets import NO_ASSETS, asset_list, find_assets

    if args.out is None and not args.list_assets:
        raise ValueError('no output folder: use lseg rooms OUT')
    if args.fetch_models:
        return _fetch_models(args.out)
    assets = NO_ASSETS if args.built_only else find_assets(args.furniture, args.textures, args.models)
    if args.list_assets:
        print(asset_list(assets))
        return 0
    if args.drive:
        from lseg_lab.rooms.drive_recording import record_drive

        print(f'{record_drive(args.out, assets, args.seed)} frames of each camera in {args.out}')
        return 0
    return _generate(args, assets)


def _fetch_models(folder: Path) -> int:
    from lseg_lab.rooms.model_download import fetch_models, model_files

    files = model_files()
    fetch_models(folder, files)
    print(f'{len(files)} files in {folder}; docs/rooms_assets.md names their authors and licences')
    return 0


def _generate(args: argparse.Namespace, assets: Assets) -> int:
    from lseg_lab.rooms.generate import Settings, default_processes, generate

    settings = Settings(
        rooms=args.rooms,
        seed=args.seed,
        split=args.split,
        kind=args.kind,
        size=args.size,
        views=args.views,
        depth=args.depth,
        assets=assets,
    )
    count = generate(args.out, settings, args.processes or default_processes())
    print(f'{count} images in {args.out}')
    return 0
