# SPDX-License-Identifier: Apache-2.0
"""``lseg segment``: images on disk to overlays and index images."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from lseg_ros.labels import LabelSet
    from lseg_ros.model import LSeg
    from lseg_ros.multiscale import MultiScaleEvaluator
    from lseg_ros.segmenter import Segmentation

HELP = 'segment images by the labels you name'
DESCRIPTION = """\
Segment images, folders of images and globs by the labels you name.

A label is a name, or a name with the prompts that stand for it (the best of them counts):

  lseg segment photo.jpg --labels "floor, chair=chair|armchair|stool, door"
  lseg segment recordings/ --labels-file indoor --output masks
  lseg segment 'run1/*.png' --labels "floor, wall" --no-other
  lseg segment photo.jpg --labels "floor, wall" --quality best

Pixels that are none of the labels become "other", id 0, unless --no-other is given; a label
called other gives it prompts of its own. For each image NAME the output folder gets

  NAME.overlay.png  the image, the colours of the classes and a legend
  NAME.ids.png      the class id of each pixel, 255 where --threshold leaves it undecided; a
                    palette image: viewers show colours, the pixel values are the ids
  labels.json       the ids with their names, prompts and colours
"""

IMAGE_SUFFIXES = frozenset('.bmp .jpeg .jpg .png .ppm .tif .tiff .webp'.split())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument('images', nargs='+', metavar='IMAGE',
                        help='an image, a folder (searched to its depths) or a quoted glob')
    labels = parser.add_mutually_exclusive_group(required=True)
    labels.add_argument('--labels', metavar='LIST',
                        help='labels, separated by commas: "floor, chair=chair|armchair"')
    labels.add_argument('--labels-file', metavar='NAME|YAML',
                        help='labels of a shipped file by its name (indoor, outdoor, navigation, '
                        'ade20k, coco, coco_stuff, cityscapes, pascal_voc), or a file of yours')
    parser.add_argument('--no-other', action='store_true',
                        help='give every pixel one of the labels')
    parser.add_argument('--model', default='lseg-lite',
                        help='name or path of a model (default: %(default)s); see lseg info')
    parser.add_argument('--output', metavar='DIR', type=Path, default=Path('lseg_output'),
                        help='folder for the results (default: %(default)s)')
    parser.add_argument('--device', default='auto',
                        help='cpu, cuda, cuda:1 ... (default: %(default)s, a GPU if there is one)')
    parser.add_argument('--threshold', type=float, default=0.0, metavar='0..1',
                        help='least confidence of a pixel (default: %(default)s)')
    parser.add_argument('--quality', choices=('fast', 'best'), default='fast',
                        help="fast: one pass through the network; best: the authors' protocol of "
                        'six scales, mirrored and in windows, about forty passes '
                        '(default: %(default)s)')


def run(args: argparse.Namespace) -> int:
    """Segment the images; return 1 when some could not be read, else 0."""
    labels = _labels(args)
    jobs = plan_outputs(find_images(args.images, args.output), args.output)

    from tqdm import tqdm
    from lseg_ros.device import find_device
    from lseg_ros.model import load
    from lseg_ros.segmenter import Segmenter

    model = load(args.model, device=find_device(args.device))
    segmenter = Segmenter(model, confidence_threshold=args.threshold,
                          multiscale=_multiscale(model) if args.quality == 'best' else None)
    prepared = segmenter.prepare(labels)
    _write_table(args.output, labels)
    failures = 0
    for path, output in tqdm(jobs.items(), unit='image', disable=None):
        try:
            image = read_image(path)
        except OSError as error:
            tqdm.write(f'lseg: skipped {path}: {error}', file=sys.stderr)
            failures += 1
            continue
        write_results(output, image, segmenter.segment([image], prepared)[0], labels)
    print(f'{len(jobs) - failures} of {len(jobs)} images segmented into {args.output}')
    return 1 if failures else 0


def find_images(arguments: Iterable[str], output: Path) -> list[tuple[Path, Path]]:
    """Return (file, its path relative to the folder it was found in) for each image.

    What lies under `output` is left out of folders: it is an earlier run's.  Raises
    FileNotFoundError where there is nothing, ValueError for files of another kind.
    """
    found = []
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            files = _images_below(path, output.resolve())
        else:
            names = [argument] if path.exists() else sorted(glob(argument, recursive=True))
            matches = map(Path, names)
            files = [(match, Path(match.name)) for match in matches if match.is_file()]
        if not files:
            raise FileNotFoundError(f'no image at {argument}')
        found += files
    for path, _ in found:
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            raise ValueError(f'{path} is not an image file: want one of '
                             f'{", ".join(sorted(IMAGE_SUFFIXES))}; save the frames of a video or '
                             'a bag as images first')
    return found


def _images_below(folder: Path, output: Path) -> list[tuple[Path, Path]]:
    return [(path, path.relative_to(folder)) for path in sorted(folder.rglob('*'))
            if path.suffix.lower() in IMAGE_SUFFIXES and output not in path.resolve().parents]


def plan_outputs(images: Sequence[tuple[Path, Path]], output: Path) -> dict[Path, Path]:
    """Return for each file the path, without suffixes, of its results.

    Raises ValueError when two files would write the same results.
    """
    jobs: dict[Path, Path] = {}
    sources: dict[Path, Path] = {}
    for path, relative in images:
        target = output / relative.with_suffix('')
        if sources.setdefault(target, path) != path:
            raise ValueError(f'{sources[target]} and {path} would both be written to {target}.*; '
                             'segment them one after the other, with another --output')
        jobs[path] = target
    return jobs


def read_image(path: Path) -> np.ndarray:
    """Read an image file into uint8 RGB [H, W, 3], turned as its EXIF says.

    Raises OSError, whatever is wrong with the file.
    """
    import numpy as np
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            return np.array(ImageOps.exif_transpose(image).convert('RGB'))
    except (SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise OSError(f'not a readable image: {error}') from error


def write_results(target: Path, image: np.ndarray, result: Segmentation,
                  labels: LabelSet) -> None:
    """Write ``target.overlay.png`` and ``target.ids.png``, making the folder."""
    from PIL import Image
    from lseg_ros.render import overlay_with_legend

    target.parent.mkdir(parents=True, exist_ok=True)
    ids = Image.fromarray(result.ids)
    ids.putpalette(labels.palette().tobytes())
    ids.save(f'{target}.ids.png')
    Image.fromarray(overlay_with_legend(image, result.ids, labels)).save(f'{target}.overlay.png')


def _multiscale(model: LSeg) -> MultiScaleEvaluator:
    """Return the slow, better way to get scores; it shows a bar for each image."""
    from functools import partial
    from tqdm import tqdm
    from lseg_ros.multiscale import MultiScaleEvaluator

    return MultiScaleEvaluator(model, progress=partial(
        tqdm, desc='windows', unit='window', leave=False, disable=None))


def _labels(args: argparse.Namespace) -> LabelSet:
    from lseg_ros.label_files import read_labels
    from lseg_ros.labels import LabelRegistry, split_labels

    labels = read_labels(args.labels_file) if args.labels_file else split_labels(args.labels)
    return LabelRegistry(include_other=not args.no_other).replace(labels)


def _write_table(output: Path, labels: LabelSet) -> None:
    output.mkdir(parents=True, exist_ok=True)
    table = {'classes': [asdict(label) for label in labels.classes], 'unlabelled': 255}
    text = json.dumps(table, indent=2, ensure_ascii=False)
    (output / 'labels.json').write_text(text + '\n', encoding='utf-8')
