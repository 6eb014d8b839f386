# SPDX-License-Identifier: Apache-2.0
"""Format scores as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from lseg_lab.evaluation.score import CONFIDENT, Score
from lseg_ros.whole_files import write_whole

_SURE = f'false>={CONFIDENT}'


def table(scores: Mapping[str, Score]) -> str:
    """Return one line per label set, followed by the scores of each class in each set.

    The last two columns show which share of all other classes' pixels a class takes: at any
    confidence, and at a high one.
    """
    lines = [f'{"label set":<18}{"mIoU":>7}{"pixel acc.":>12}{"ECE":>7}{"images":>8}']
    for name, result in scores.items():
        row = result.summary()
        lines.append(
            f'{name:<18}{row["miou"]:>7.3f}{row["pixel_accuracy"]:>12.3f}'
            f'{row["calibration_error"]:>7.3f}{row["images"]:>8}'
        )
    for name, result in scores.items():
        lines += ['', f'{name:<22}{"IoU":>6}{"precision":>11}{"recall":>8}{"false":>8}{_SURE:>12}']
        errors = result.errors()
        for label, iou in result.per_class().items():
            precision, recall, false, sure = errors[label].values()
            start = f'  {label:<20}{iou:>6.3f}{precision:>11.3f}{recall:>8.3f}'
            lines.append(f'{start}{false:>8.4f}{sure:>12.4f}')
    return '\n'.join(lines)


def write_json(scores: Mapping[str, Score], path: str | Path) -> None:
    """Write all scores by label set."""
    content = {name: result.as_json() for name, result in scores.items()}
    write_whole(Path(path), json.dumps(content, indent=2) + '\n')
