# SPDX-License-Identifier: Apache-2.0
"""The report on an adaptation: a table, JSON, and pictures of where the networks differ."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lseg_lab.adaptation.agreement import Agreement, Comparison
from lseg_ros.labels import LabelSet
from lseg_ros.media.images import write_image
from lseg_ros.media.overlay import overlay_with_legend
from lseg_ros.whole_files import write_whole

PICTURES = 6  # of each part of the report
_DIFFERENT = np.array((255, 0, 160), np.uint8)


def table(parts: Mapping[str, Agreement]) -> str:
    """Return one line per part, followed by the classes of each part, the commonest first."""
    lines = [f'{"held-out frames":<34}{"frames":>7}{"cosine":>8}{"same answer":>13}{"commonest":>11}']
    for name, part in parts.items():
        lines.append(f'{name:<34}{len(part.frames):>7}{part.cosine:>8.3f}{part.share:>13.3f}{part.commonest:>11.3f}')
    for name, part in parts.items():
        lines += ['', f'{name:<34}{"teacher":>8}{"same answer":>13}{"IoU":>7}']
        for label, row in sorted(part.classes().items(), key=lambda item: -item[1]['teacher']):
            lines.append(f'  {label:<32}{row["teacher"]:>8.3f}{row["same"]:>13.3f}{row["iou"]:>7.3f}')
    return '\n'.join(lines)


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
            picture = draw_difference(*comparison.answers(each.frame), labels)
            write_image(folder / f'{each.share:.3f}_{each.frame.name}.png', picture)


def draw_difference(image: np.ndarray, theirs: np.ndarray, ours: np.ndarray, labels: LabelSet) -> np.ndarray:
    """Return frame and differences above the answers of teacher and student, uint8 [2 H, 2 W, 3].

    Pixels with different answers are magenta, the others dark.
    """
    differences = np.where((theirs != ours)[..., None], _DIFFERENT, image // 3)
    answers = [overlay_with_legend(image, ids, labels) for ids in (theirs, ours)]
    return np.vstack([np.hstack([image, differences]), np.hstack(answers)])
