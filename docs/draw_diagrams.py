# SPDX-License-Identifier: Apache-2.0
"""Draw the diagrams of docs/architecture.md as SVG: `python docs/draw_diagrams.py`.

Every diagram has a background of its own, so it is legible on light and dark pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

IMAGES = Path(__file__).parent / 'images'
ROS, PLAIN, OUTSIDE = '#dbe9f6', '#e3f1df', '#f2f2f2'  # fill: needs ROS, does not, not ours
STYLE = """\
text { font: 13px sans-serif; fill: #1b1f24; text-anchor: middle }
.title { font-weight: bold }
.note { font-size: 12px; fill: #444b53 }
.box { stroke: #57606a; stroke-width: 1.2 }
.arrow { stroke: #57606a; stroke-width: 1.6; fill: none; marker-end: url(#head) }"""
HEAD = (
    '<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
    'orient="auto"><path d="M0 0 10 5 0 10z" fill="#57606a"/></marker>'
)


@dataclass(frozen=True)
class Box:
    """A box with a title and lines of text; `x` and `y` are its upper left corner in pixels."""

    x: int
    y: int
    width: int
    height: int
    title: str
    lines: tuple[str, ...] = ()
    fill: str = PLAIN

    def svg(self) -> str:
        """Return the box as SVG."""
        middle = self.x + self.width / 2
        top = self.y + self.height / 2 - 8.5 * len(self.lines) + 5
        texts = [f'<text class="title" x="{middle}" y="{top}">{escape(self.title)}</text>']
        texts += [
            f'<text class="note" x="{middle}" y="{top + 17 * number}">{escape(line)}</text>'
            for number, line in enumerate(self.lines, 1)
        ]
        frame = (
            f'<rect class="box" x="{self.x}" y="{self.y}" width="{self.width}" '
            f'height="{self.height}" rx="6" fill="{self.fill}"/>'
        )
        return '\n'.join([frame, *texts])


@dataclass(frozen=True)
class Arrow:
    """A straight arrow, in pixels, with a note beside its middle."""

    start: tuple[int, int]
    end: tuple[int, int]
    note: str = ''
    offset: tuple[int, int] = (0, -6)  # of the note from the middle

    def svg(self) -> str:
        """Return the arrow as SVG."""
        (x1, y1), (x2, y2) = self.start, self.end
        line = f'<path class="arrow" d="M{x1} {y1} L{x2} {y2}"/>'
        x, y = (x1 + x2) / 2 + self.offset[0], (y1 + y2) / 2 + self.offset[1]
        return f'{line}\n<text class="note" x="{x}" y="{y}">{escape(self.note)}</text>'


@dataclass(frozen=True)
class Diagram:
    """What one file shows; `title` is read out to those who cannot see it."""

    title: str
    size: tuple[int, int]
    boxes: Sequence[Box]
    arrows: Sequence[Arrow] = field(default_factory=tuple)

    def svg(self) -> str:
        """Return the file's content."""
        width, height = self.size
        shapes = '\n'.join(shape.svg() for shape in (*self.boxes, *self.arrows))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img">\n<title>{escape(self.title)}</title>\n'
            f'<style>\n{STYLE}\n</style>\n<defs>{HEAD}</defs>\n'
            f'<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>\n{shapes}\n</svg>\n'
        )


HOUSE = Diagram(
    'The folders of the package and their dependencies, which point downwards',
    (760, 722),
    [
        Box(
            20,
            20,
            370,
            76,
            'commands/  cli.py',
            ('lseg segment, embed, map, view, convert, export, …', 'the lab adds rooms, train, …; uses media/ too'),
        ),
        Box(
            410,
            20,
            330,
            76,
            'nodes/',
            ('segmentation, map, camera, dashboard, lseg call', 'the only code that imports rclpy'),
            ROS,
        ),
        Box(205, 146, 240, 76, 'mapping/', ('a map of voxels, asked in words:', 'things, ground, pictures')),
        Box(590, 146, 150, 76, 'dashboard/', ('the page in the', 'browser, without ROS')),
        Box(20, 272, 135, 76, 'sharing/', ('long work shared by', 'processes, resumed')),
        Box(
            175,
            272,
            335,
            76,
            'core/',
            ('from images and labels to ids, confidence, points;', 'open_segmenter, smoothing, queries, the worker'),
        ),
        Box(535, 272, 205, 76, 'media/', ('images, videos, bags,', 'overlays')),
        Box(20, 398, 235, 76, 'backends/', ('OpenVINO, ONNX Runtime,', 'PyTorch; precision')),
        Box(275, 398, 235, 76, 'model/', ('networks, text encoders,', 'checkpoints')),
        Box(535, 398, 205, 76, 'labels/', ('syntax, ids, files,', 'colours')),
        Box(275, 524, 235, 76, 'downloads/', ('what lseg fetch knows,', 'downloads and keeps')),
        Box(20, 650, 720, 52, 'PyTorch, OpenVINO, NumPy, OpenCV, rosbags', (), OUTSIDE),
    ],
    [
        Arrow((87, 96), (87, 270)),
        Arrow((190, 96), (190, 270)),
        Arrow((300, 96), (300, 144)),
        Arrow((430, 96), (430, 144)),
        Arrow((480, 96), (480, 270)),
        Arrow((560, 96), (560, 270)),
        Arrow((665, 96), (665, 144)),
        Arrow((325, 222), (325, 270)),
        Arrow((440, 222), (545, 270)),
        Arrow((87, 348), (87, 396)),
        Arrow((215, 348), (215, 396)),
        Arrow((392, 348), (392, 396)),
        Arrow((637, 348), (637, 396)),
        Arrow((500, 348), (545, 396)),
        Arrow((255, 436), (273, 436)),
        Arrow((137, 474), (137, 648)),
        Arrow((392, 474), (392, 522)),
        Arrow((392, 600), (392, 648)),
    ],
)

IMAGE = Diagram(
    'The path of an image from the camera to the topics',
    (760, 450),
    [
        Box(20, 20, 200, 70, 'camera', ('best effort, depth 1',), OUTSIDE),
        Box(280, 20, 200, 70, 'subscription', ('only hands the message on;', 'decodes nothing'), ROS),
        Box(540, 20, 200, 70, 'slot per camera', ('the newest image wins;', 'drops are counted'), PLAIN),
        Box(540, 150, 200, 76, 'decode', ('stamp, encoding;', 'a bad image is refused'), ROS),
        Box(280, 150, 200, 76, 'resize, network', ('one batch for all cameras,', 'logits on a coarse grid'), PLAIN),
        Box(20, 150, 200, 76, 'decide', ('smooth, enlarge, softmax,', 'ids and confidence'), PLAIN),
        Box(20, 290, 200, 76, 'label image, confidence', ('with the camera’s header',), ROS),
        Box(280, 290, 200, 76, 'masks, overlay', ('only when subscribed',), ROS),
        Box(540, 290, 200, 76, 'points', ('with the matching depth,', 'only when subscribed'), ROS),
        Box(20, 396, 720, 36, 'subscribers: Nav2, RViz, your node', (), OUTSIDE),
    ],
    [
        Arrow((220, 55), (278, 55)),
        Arrow((480, 55), (538, 55)),
        Arrow((640, 90), (640, 148), 'worker thread', (-52, 5)),
        Arrow((540, 188), (482, 188)),
        Arrow((280, 188), (222, 188)),
        Arrow((120, 226), (120, 288)),
        Arrow((190, 226), (300, 288)),
        Arrow((215, 226), (560, 288)),
        Arrow((120, 366), (120, 394)),
        Arrow((380, 366), (380, 394)),
        Arrow((640, 366), (640, 394)),
    ],
)

LABEL = Diagram(
    'The path of a label from the service call to the first mask',
    (760, 330),
    [
        Box(20, 20, 200, 76, '~/set_labels', ('or the parameter labels,', 'or labels_file'), ROS),
        Box(280, 20, 200, 76, 'registry', ('parse, check, assign ids;', 'refuse with a reason'), PLAIN),
        Box(540, 20, 200, 76, 'text encoder', ('in the session’s thread;', 'known texts are cached'), PLAIN),
        Box(540, 160, 200, 76, 'worker', ('takes the frozen labels and', 'text between two batches'), PLAIN),
        Box(280, 160, 200, 76, 'label_info, label_set', ('latched with the stamp', 'from which they hold'), ROS),
        Box(20, 160, 200, 76, 'next label image', ('holds only ids', 'of the new table'), ROS),
        Box(20, 270, 720, 40, 'the service responds with the table and its stamp', (), ROS),
    ],
    [
        Arrow((220, 58), (278, 58)),
        Arrow((480, 58), (538, 58)),
        Arrow((640, 96), (640, 158)),
        Arrow((540, 198), (482, 198)),
        Arrow((280, 198), (222, 198)),
        Arrow((380, 236), (380, 268)),
    ],
)


def main() -> None:
    """Write the diagrams to docs/images."""
    for name, diagram in {'house': HOUSE, 'image_path': IMAGE, 'label_path': LABEL}.items():
        (IMAGES / f'{name}.svg').write_text(diagram.svg(), encoding='utf-8')


if __name__ == '__main__':
    main()
