# SPDX-License-Identifier: Apache-2.0
"""The report on an adaptation: a table, JSON, and pictures of where the networks differ."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lseg_lab.adaptation.agreement import Agreement, Comparison, FrameAnswers
from lseg_ros.labels import LabelSet
from lseg_ros.media.images import write_image
from lseg_ros.media.overlay import overlay_with_legend
from lseg_ros.whole_files import write_whole

PICTURES = 6  # of each part of the report
_DIFFERENT = np.array((255, 0, 160), np.uint8)


def table(parts: Mapping[str, Agreement]) -> str:
    """Return one line per part, followed by the classes of each part, the commonest first."""
    columns = ('frames', 'cosine', 'same answer', 'teacher mirrored', 'commonest')
    lines = [f'{"held-out frames":<34}' + ''.join(f'  {column}' for column in columns)]
    for name, part in parts.items():
        values = (part.cosine, part.share, part.mirrored, part.commonest)
        cells = (str(len(part.frames)), *(f'{value:.3f}' for value in values))
        lines.append(f'{name:<34}' + ''.join(f'  {cell:>{len(column)}}' for cell, column in zip(cells, columns)))
    for name, part in parts.items():
        lines += ['', f'{name:<34}{"teacher":>8}{"same answer":>13}{"IoU":>7}']
        for label, row in sorted(part.classes().items(), key=lambda item: -item[1]['teacher']):
            lines.append(f'  {label:<32}{row["teacher"]:>8.3f}{row["same"]:>13.3f}{row["iou"]:>7.3f}')
    return '\n'.join(lines + _geometry_lines(parts))


def _geometry_lines(parts: Mapping[str, Agreement]) -> list[str]:
    """Return a table of what geometry says of both networks, for parts with depth and poses."""
    columns = {
        'ground found': 'ground_found',
        'called ground is': 'called_ground_is',
        'same in overlap': 'same_in_overlap',
    }
    lines = []
    for name, part in parts.items():
        scene = part.scene
        for who, checks in (('teacher', scene.teacher), ('student', scene.student)) if scene.frames else ():
            found = checks.as_json()
            shares = (found[key] for key in columns.values())
            cells = ('-' if share is None else f'{share:.3f}' for share in shares)
            row = ''.join(f'  {cell:>{len(column)}}' for cell, column in zip(cells, columns))
            lines.append(f'{f"{name}, {who}":<34}{scene.frames:>8}{scene.pairs:>7}{row}')
    title = f'{"by depth and poses":<34}{"frames":>8}{"pairs":>7}' + ''.join(f'  {column}' for column in columns)
    return ['', title, *lines] if lines else []


def write_report(folder: Path, parts: Mapping[str, Agreement], comparison: Comparison, labels: LabelSet) -> None:
    """Write report.txt, report.json and, for each part, pictures of the frames that differ most."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob('*.png'):
        old.unlink()
    write_whole(folder / 'report.txt', table(parts) + '\n')
    content = {name: part.as_json() for name, part in parts.items()}
    write_whole(folder / 'report.json', json.dumps(content, indent=2) + '\n')
    for part in parts.values():
        for each in sorted(part.frames, key=lambda each: each.share)[:PICTURES]:
            picture = draw_difference(comparison.answers(each.frame), labels)
            write_image(folder / f'{each.share:.3f}_{each.frame.name}.png', picture)


def draw_difference(found: FrameAnswers, labels: LabelSet) -> np.ndarray:
    """Return frame and differences above the answers of teacher and student, uint8 [2 H, 2 W, 3].

    Pixels with different answers are magenta, the others dark.
    """
    differences = np.where((found.theirs != found.ours)[..., None], _DIFFERENT, found.image // 3)
    answers = [overlay_with_legend(found.image, ids, labels) for ids in (found.theirs, found.ours)]
    return np.vstack([np.hstack([found.image, differences]), np.hstack(answers)])
