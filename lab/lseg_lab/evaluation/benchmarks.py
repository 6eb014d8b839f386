# SPDX-License-Identifier: Apache-2.0
"""Run the published benchmarks, from the data on disk to the scores."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from lseg_lab.evaluation import zero_shot
from lseg_lab.evaluation.episodes import FOLDS, Benchmark, open_coco20i, open_fss1000, open_pascal5i
from lseg_lab.evaluation.protocols import Protocol, protocol_of
from lseg_lab.evaluation.published_scores import PUBLISHED
from lseg_lab.evaluation.segmentation_scores import PixelCounter, segmentation_scores
from lseg_lab.evaluation.segmentation_sets import BACKGROUND, SEGMENTATION_SETS, SegmentationSet
from lseg_ros.model import LSeg
from lseg_ros.model.weight_digest import weight_digest
from lseg_ros.sharing.tally import Counting
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
        """Return a table of the measured scores and the published ones, with their sources."""
        published = PUBLISHED[self.dataset]
        rows = {**self.rows, **{f'{name} (published)': row.scores for name, row in published.items()}}
        longest_first = sorted(rows.values(), key=len, reverse=True)
        columns = list(dict.fromkeys(column for row in longest_first for column in row))
        width = 2 + max(len(name) for name in (self.dataset, *rows))
        lines = [f'{self.dataset:<{width}}' + ''.join(f'{column:>12}' for column in columns)]
        for name, row in rows.items():
            cells = (f'{row[c]:>12.1f}' if c in row else f'{"-":>12}' for c in columns)
            lines.append(f'{name:<{width}}' + ''.join(cells))
        for source in dict.fromkeys(row.source for row in published.values()):
            names = [name for name, row in published.items() if row.source == source]
            lines.append(f'{"; ".join(names)}: {source}')
        return '\n'.join(lines)

    def write_json(self, path: str | Path, model: str) -> None:
        """Write all scores, including the published ones, and the `model`."""
        published = PUBLISHED[self.dataset]
        content = {
            'dataset': self.dataset,
            'model': model,
            'images': self.images,
            'results': self.rows,
            'iou': self.iou,
            'published': {name: dict(row.scores) for name, row in published.items()},
            'sources': {name: row.source for name, row in published.items()},
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


def evaluate_segmentation(
    dataset: str,
    root: Path,
    load_model: Callable[[], LSeg],
    counting: Counting,
    *,
    protocol: str = 'auto',
    label_sets: Sequence[str] | None = None,
    batch: int = 1,
) -> BenchmarkReport:
    """Score one of SEGMENTATION_SETS by a protocol, as `protocol_of` finds it.

    `label_sets` are those of `labels_of` for ADE20K, by default the protocol's own; on other data
    sets only the full one is used. `batch` windows go through the network together. Raise the same
    errors as evaluate_folds.
    """
    data = SEGMENTATION_SETS[dataset](root)
    model = load_model()
    chosen = protocol_of(model, protocol)
    evaluator = chosen.open_evaluator(model, dataset, batch)
    settings = {**_settings(model), 'protocol': chosen.name}
    report = BenchmarkReport(dataset)
    for label_set in (label_sets or chosen.label_sets) if dataset == 'ade20k' else ('full',):
        labels, background = labels_of(data, label_set, chosen)
        count = PixelCounter(data, evaluator, model.encode_text(labels), background)
        counts = counting.run(f'{dataset}-{label_set}', data.images, count, count.shape, settings)
        score = segmentation_scores(data.names, counts, absent_scores_zero=chosen.absent_scores_zero)
        row = f'{model.name}, {chosen.name} protocol' + (f', {label_set} labels' if dataset == 'ade20k' else '')
        report.rows[row] = {'pixel acc.': score.pixel_accuracy, 'mIoU': score.mean_iou}
        report.iou[label_set] = score.iou
        report.images[label_set] = len(data.images)
    return report


def labels_of(data: SegmentationSet, label_set: str, protocol: Protocol) -> tuple[list[str], float | None]:
    """Return the prompts for the classes of a data set, and the background's score if it has none.

    `label_set` is full, the class names, or truncated, each name's first word. LSeg's authors used
    the latter for ADE20K, because their label file splits names into words as if these were
    synonyms: "coffee" for the coffee table, and "screen" for two classes.
    """
    names = [name.split()[0] if label_set == 'truncated' else name for name in data.names]
    if names[0] != BACKGROUND:
        return names, None
    if isinstance(protocol.background, str):
        return [protocol.background, *names[1:]], None
    return names[1:], protocol.background


def _zero_shot(part: str, benchmark: Benchmark, model: LSeg, counting: Counting) -> zero_shot.ZeroShotScore:
    count = partial(zero_shot.count_episode, model, benchmark)
    counts = counting.run(part, benchmark.episodes, count, zero_shot.COUNTS, _settings(model))
    return zero_shot.zero_shot_score(benchmark, counts)


def _zero_shot_row(score: zero_shot.ZeroShotScore) -> dict[str, float]:
    return {'mIoU': score.mean_iou, 'FB-IoU': score.foreground_background_iou}


def _settings(model: LSeg) -> Mapping[str, str]:
    return {'model': model.name, 'weights': weight_digest(model.state_dict()), 'precision': str(model.dtype)}
