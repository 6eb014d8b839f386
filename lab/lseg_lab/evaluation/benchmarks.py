# SPDX-License-Identifier: Apache-2.0
"""Run the benchmarks that LSeg was published with, from the data on disk to the scores."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from lseg_lab.evaluation import ade20k, zero_shot
from lseg_lab.evaluation.episodes import FOLDS, Benchmark, open_coco20i, open_fss1000, open_pascal5i
from lseg_lab.evaluation.multiscale import MultiScaleEvaluator
from lseg_lab.evaluation.published_scores import PUBLISHED
from lseg_lab.evaluation.tally import Counting, fingerprint
from lseg_ros.model import LSeg
from lseg_ros.whole_files import write_whole


@dataclass
class BenchmarkReport:
    """The scores of a benchmark, in per cent.

    `rows` maps the measure, then the column, to the score; `iou` maps the part (such as a fold)
    to the scores of its classes.
    """

    dataset: str
    rows: dict[str, dict[str, float]] = field(default_factory=dict)
    iou: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    images: dict[str, int] = field(default_factory=dict)

    def table(self) -> str:
        """Return a table of the measured scores followed by the published ones."""
        published = {f'{name} (published)': row for name, row in PUBLISHED[self.dataset].items()}
        rows = {**self.rows, **published}
        columns = list(dict.fromkeys(column for row in (*published.values(), *self.rows.values()) for column in row))
        width = 2 + max(len(name) for name in (self.dataset, *rows))
        lines = [f'{self.dataset:<{width}}' + ''.join(f'{column:>12}' for column in columns)]
        for name, row in rows.items():
            cells = (f'{row[c]:>12.1f}' if c in row else f'{"-":>12}' for c in columns)
            lines.append(f'{name:<{width}}' + ''.join(cells))
        return '\n'.join(lines)

    def write_json(self, path: str | Path, model: str) -> None:
        """Write all scores, including the published ones, and the `model`."""
        content = {
            'dataset': self.dataset,
            'model': model,
            'images': self.images,
            'results': self.rows,
            'iou': self.iou,
            'published': PUBLISHED[self.dataset],
        }
        text = json.dumps(content, indent=2, ensure_ascii=False)
        write_whole(Path(path), text + '\n')


def evaluate_folds(
    dataset: str, root: Path, folds: Sequence[int], load_model: Callable[[int], LSeg], counting: Counting
) -> BenchmarkReport:
    """Score `pascal5i` or `coco20i`; load_model(fold) returns the network of a fold.

    The data is checked before any network is loaded. Raise OSError for missing or unreadable data,
    ValueError for damaged data.
    """
    open_fold = {'pascal5i': open_pascal5i, 'coco20i': open_coco20i}[dataset]
    benchmarks = {fold: open_fold(root, fold) for fold in folds}
    report = BenchmarkReport(dataset)
    for fold, benchmark in benchmarks.items():
        column, model = f'fold {fold}', load_model(fold)
        score = _zero_shot(f'{dataset}-fold{fold}', benchmark, model, counting)
        for kind, value in _zero_shot_row(score).items():
            report.rows.setdefault(f'{kind}, {model.name}', {})[column] = value
        report.iou[column] = list(score.iou.items())
        report.images[column] = len(benchmark.episodes)
    for row in report.rows.values():
        if len(row) == len(FOLDS):
            row['mean'] = float(np.mean(list(row.values())))
    return report


def evaluate_fss1000(root: Path, load_model: Callable[[], LSeg], counting: Counting) -> BenchmarkReport:
    """Score FSS-1000; raise the same errors as evaluate_folds."""
    benchmark = open_fss1000(root)
    model = load_model()
    score = _zero_shot('fss1000', benchmark, model, counting)
    return BenchmarkReport(
        'fss1000',
        {model.name: _zero_shot_row(score)},
        {'test': list(score.iou.items())},
        {'test': len(benchmark.episodes)},
    )


def evaluate_ade20k(
    root: Path, label_sets: Sequence[str], load_model: Callable[[], LSeg], batch: int, counting: Counting
) -> BenchmarkReport:
    """Score the ADE20K validation images with each label set (truncated or full).

    `batch` is that of MultiScaleEvaluator. Raise the same errors as evaluate_folds.
    """
    pairs = ade20k.open_ade20k(root)
    model = load_model()
    evaluator = MultiScaleEvaluator(model, batch=batch)
    settings = _settings(model)
    report = BenchmarkReport('ade20k')
    for label_set in label_sets:
        names = ade20k.ade20k_names(label_set)
        count = partial(ade20k.count_image, evaluator, model.encode_text(names))
        counts = counting.run(f'ade20k-{label_set}', pairs, count, ade20k.COUNTS, settings)
        score = ade20k.ade20k_score(names, counts)
        report.rows[f'{model.name}, {label_set} labels'] = {'pixel acc.': score.pixel_accuracy, 'mIoU': score.mean_iou}
        report.iou[label_set] = score.iou
        report.images[label_set] = len(pairs)
    return report


def _zero_shot(part: str, benchmark: Benchmark, model: LSeg, counting: Counting) -> zero_shot.ZeroShotScore:
    count = partial(zero_shot.count_episode, model, benchmark)
    counts = counting.run(part, benchmark.episodes, count, zero_shot.COUNTS, _settings(model))
    return zero_shot.zero_shot_score(benchmark, counts)


def _zero_shot_row(score: zero_shot.ZeroShotScore) -> dict[str, float]:
    return {'mIoU': score.mean_iou, 'FB-IoU': score.foreground_background_iou}


def _settings(model: LSeg) -> Mapping[str, str]:
    return {'model': model.name, 'weights': fingerprint(model), 'precision': str(model.dtype)}
