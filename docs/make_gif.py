# SPDX-License-Identifier: Apache-2.0
"""Draw the moving picture at the top of the README.

It shows the recorded drive beside the overlay of the shipped model, and changes the labels
half-way.  Run `python docs/make_gif.py` in a checkout where lseg_ros and Pillow can be imported.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lseg_ros.core.factory import open_segmenter
from lseg_ros.labels import LabelRegistry
from lseg_ros.media.overlay import overlay_with_legend
from lseg_ros.media.sources import open_source

LABEL_SETS = (
    ('floor', 'wall', 'ceiling', 'door', 'window', 'sofa', 'chair', 'table', 'cabinet', 'plant'),
    ('floor=floor|rug', 'obstacle=chair|table|sofa|bed|cabinet|box', 'wall', 'door'),
)
FRAMES_PER_SET = 22
EVERY = 2  # frames of the drive from one picture to the next
SECONDS_PER_PICTURE = 0.28
COLORS = 160
CAPTION_HEIGHT = 30
CAPTION_COLOR = (24, 24, 24)


def captioned(image: np.ndarray, overlay: np.ndarray, labels: Sequence[str]) -> Image.Image:
    """Return the camera's image beside the overlay, both uint8 [H, W, 3], above the labels."""
    pictures = np.hstack([image, overlay])
    height, width, _ = pictures.shape
    canvas = Image.new('RGB', (width, height + CAPTION_HEIGHT), CAPTION_COLOR)
    canvas.paste(Image.fromarray(pictures))
    ImageDraw.Draw(canvas).text(
        (8, height + CAPTION_HEIGHT // 2),
        f'labels: {", ".join(labels)}',
        'white',
        ImageFont.load_default(15),
        anchor='lm',
    )
    return canvas


def draw_pictures() -> list[Image.Image]:
    """Segment the drive and return its pictures, half of them under each set of labels."""
    segmenter = open_segmenter(device='cpu')
    registry = LabelRegistry()
    count = FRAMES_PER_SET * len(LABEL_SETS)
    shots = list(islice(open_source('drive'), 0, count * EVERY, EVERY))
    if len(shots) < count:
        raise ValueError(f'the drive has {len(shots)} of the {count} frames that are asked for')
    pictures = []
    for number, names in enumerate(LABEL_SETS):
        labels = registry.replace(names)
        prepared = segmenter.prepare(labels)
        for shot in shots[number * FRAMES_PER_SET : (number + 1) * FRAMES_PER_SET]:
            (result,) = segmenter.segment([shot.image], prepared)
            overlay = overlay_with_legend(shot.image, result.ids, labels)
            pictures.append(captioned(shot.image, overlay, names))
    return pictures


def write_gif(path: Path, pictures: Sequence[Image.Image]) -> None:
    """Write an endless GIF with one palette, so that a class keeps its colour."""
    sample = np.vstack([np.asarray(picture) for picture in pictures[::4]])
    palette = Image.fromarray(sample).quantize(COLORS, kmeans=1)
    # Dithering would more than double the size.
    frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    frames[0].save(
        path,
        save_all=True,
        append_images=frames[1:],
        duration=round(SECONDS_PER_PICTURE * 1000),
        loop=0,
        optimize=False,
    )


def main() -> None:
    """Write the GIF and print its size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).parent / 'images' / 'drive.gif'
    parser.add_argument('--out', type=Path, default=default, help='file (default: %(default)s)')
    path = parser.parse_args().out
    write_gif(path, draw_pictures())
    print(f'{path}: {path.stat().st_size / 1e6:.1f} MB')


if __name__ == '__main__':
    main()
