# SPDX-License-Identifier: Apache-2.0
"""``lseg embed``: write an embedding for each pixel of images on disk."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lseg_ros.commands.model_options import add_model_options, add_output_option, open_chosen
from lseg_ros.error_text import one_line
from lseg_ros.media.inputs import Input, Kind, plan
from lseg_ros.whole_files import is_disk_full, write_whole

if TYPE_CHECKING:
    from lseg_ros.core.segmenter import Segmenter

HELP = 'write the embedding of each pixel, for example for maps to be queried later'
DESCRIPTION = """\
Write the embedding of each pixel: a unit vector whose inner product with the embedding of a text
(LSeg.encode_text) says how well the text fits. No labels are needed.

  lseg embed photo.jpg --output embeddings
  lseg embed 'run1/*.png' --output embeddings --resolution grid --pca

The output folder contains embeddings.json, with the model, and the sizes of each image and of a
cell in pixels, and for each image NAME:

  NAME.npy      float16 [height, width, dimensions]. np.load('NAME.npy', mmap_mode='r') reads only
                what is accessed. At VGA and 512 dimensions it has 315 MB; with --resolution grid,
                which keeps the network's own resolution, a sixteenth of that or less
  NAME.pca.png  with --pca: the three principal components as colours, for viewing
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        'images',
        nargs='+',
        metavar='IMAGE',
        help='an image, a folder of images (searched recursively), or a quoted glob',
    )
    add_output_option(parser, 'lseg_embeddings')
    parser.add_argument(
        '--resolution',
        choices=('image', 'grid'),
        default='image',
        help="a vector for each pixel, or for each cell of the network's grid (default: %(default)s)",
    )
    parser.add_argument('--pca', action='store_true', help='write an image of each embedding')
    add_model_options(parser)


def run(args: argparse.Namespace) -> int:
    """Embed the images; return 1 if some could not be read, else 0."""
    inputs = plan(args.images, args.output, [Kind.IMAGE])

    from tqdm import tqdm

    segmenter = open_chosen(args)
    images = {}
    for item in tqdm(inputs, unit='image', disable=None):
        try:
            facts = _embed(segmenter, item, args)
        except OSError as error:
            tqdm.write(f'lseg: skipped {item.path}: {one_line(error)}', file=sys.stderr)
            if is_disk_full(error):
                break
            continue
        images[str(item.target.relative_to(args.output))] = facts
    args.output.mkdir(parents=True, exist_ok=True)
    table = {'model': segmenter.model.name, 'resolution': args.resolution, 'images': images}
    write_whole(args.output / 'embeddings.json', json.dumps(table, indent=2) + '\n')
    print(f'{len(images)} of {len(inputs)} images embedded into {args.output}')
    return 0 if len(images) == len(inputs) else 1


def _embed(segmenter: Segmenter, item: Input, args: argparse.Namespace) -> dict[str, object]:
    """Write the files of one image; return its entry in embeddings.json."""
    from lseg_ros.media.embedding_files import write_embedding
    from lseg_ros.media.images import read_image, write_image

    embedding = segmenter.embed(read_image(item.path))
    height, width = embedding.geometry.image
    cell = (1.0, 1.0)
    bands = embedding.bands()
    if args.resolution == 'grid':
        height, width, _ = embedding.cells.shape
        cell = embedding.pixels_per_cell
        bands = iter([(0, embedding.cells)])
    write_embedding(Path(f'{item.target}.npy'), (height, width, len(embedding.grid)), bands)
    if args.pca:
        write_image(Path(f'{item.target}.pca.png'), embedding.preview())
    return {'image_size': list(embedding.geometry.image), 'pixels_per_cell': list(cell)}
