# SPDX-License-Identifier: Apache-2.0
"""``lseg embed``: images on disk to an embedding for each pixel."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lseg_ros.media.inputs import Input, Kind, plan

if TYPE_CHECKING:
    from lseg_ros.core.segmenter import Segmenter

HELP = 'give each pixel of images its embedding, for maps that are asked later'
DESCRIPTION = """\
Write the embedding of each pixel: a unit vector, whose inner product with the embedding of a text
(LSeg.encode_text) says how well the text fits. Labels are not needed.

  lseg embed photo.jpg --output embeddings
  lseg embed 'run1/*.png' --output embeddings --resolution grid --pca

For each image NAME the output folder gets

  NAME.npy      float16 [height, width, dimensions], written band by band; open it with
                np.load('NAME.npy', mmap_mode='r') and only what you touch is read. At VGA and 512
                dimensions it has 315 MB; --resolution grid keeps the network's own grid, about a
                sixteenth or less of that
  NAME.pca.png  with --pca: the three principal components as colours, to look at

and embeddings.json tells the model, and of each image its size and that of a cell in pixels.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        'images',
        nargs='+',
        metavar='IMAGE',
        help='an image, a folder (searched to its depths) or a quoted glob',
    )
    parser.add_argument(
        '--output',
        metavar='DIR',
        type=Path,
        default=Path('lseg_embeddings'),
        help='folder for the results (default: %(default)s)',
    )
    parser.add_argument(
        '--resolution',
        choices=('image', 'grid'),
        default='image',
        help="a vector for each pixel, or for each cell of the network's grid "
        '(default: %(default)s)',
    )
    parser.add_argument('--pca', action='store_true', help='write a picture of each embedding')
    parser.add_argument(
        '--model',
        default='lseg-lite',
        help='name or path of a model (default: %(default)s); see lseg info',
    )
    parser.add_argument(
        '--device',
        default='auto',
        help='cpu, cuda, cuda:1 ... (default: %(default)s, a GPU if there is one)',
    )
    parser.add_argument(
        '--backend',
        choices=('auto', 'torch', 'openvino', 'eager'),
        default='auto',
        help='what runs the network: the fastest here (auto), torch, openvino, or the network as '
        'written (eager); all give the same embeddings (default: %(default)s)',
    )


def run(args: argparse.Namespace) -> int:
    """Embed the images; return 1 when some could not be read, else 0."""
    inputs = plan(args.images, args.output, [Kind.IMAGE])

    from tqdm import tqdm

    from lseg_ros.core import open_segmenter

    segmenter = open_segmenter(args.model, device=args.device, backend=args.backend)
    images = {}
    for item in tqdm(inputs, unit='image', disable=None):
        try:
            facts = _embed(segmenter, item, args)
        except OSError as error:
            tqdm.write(f'lseg: skipped {item.path}: {error}', file=sys.stderr)
            continue
        images[str(item.target.relative_to(args.output))] = facts
    args.output.mkdir(parents=True, exist_ok=True)
    table = {'model': segmenter.model.name, 'resolution': args.resolution, 'images': images}
    (args.output / 'embeddings.json').write_text(json.dumps(table, indent=2) + '\n')
    print(f'{len(images)} of {len(inputs)} images embedded into {args.output}')
    return 0 if len(images) == len(inputs) else 1


def _embed(segmenter: Segmenter, item: Input, args: argparse.Namespace) -> dict[str, object]:
    """Write the files of one image; return what embeddings.json says of it."""
    from lseg_ros.media.embedding_files import write_embedding
    from lseg_ros.media.images import read_image, write_image

    embedding = segmenter.embed(read_image(item.path))
    if args.resolution == 'image':
        size, cell, bands = embedding.geometry.image, (1.0, 1.0), embedding.bands()
    else:
        cells = embedding.cells
        size, cell, bands = cells.shape[:2], embedding.pixels_per_cell, [(0, cells)]
    write_embedding(Path(f'{item.target}.npy'), (*size, len(embedding.grid)), bands)
    if args.pca:
        write_image(f'{item.target}.pca.png', embedding.preview())
    return {'image_size': list(embedding.geometry.image), 'pixels_per_cell': list(cell)}
