# SPDX-License-Identifier: Apache-2.0
"""`lseg evaluate`: score a model on labelled images."""

from __future__ import annotations

import argparse
import dataclasses
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lseg_ros.commands.model_options import add_backend_options, open_chosen
from lseg_ros.number_options import NumberType, whole
from lseg_ros.whole_files import write_whole

if TYPE_CHECKING:
    import torch

    from lseg_lab.evaluation.benchmarks import BenchmarkReport
    from lseg_lab.evaluation.boxes import BoxScore
    from lseg_lab.evaluation.score import Score
    from lseg_lab.evaluation.word_scores import WordScores
    from lseg_lab.training.dataset import LabelledFolder
    from lseg_lab.training.vocabulary import Vocabulary
    from lseg_ros.core.segmenter import Segmenter
    from lseg_ros.model import LSeg
    from lseg_ros.sharing.tally import Counting
    from lseg_ros.sharing.workers import Workers

HELP = 'score a model on labelled images'
DESCRIPTION = """\
Score a model on labelled images: your own, rendered rooms, or a published benchmark.

folder, rooms and boxes are scored with the code that the node runs. For folder and rooms, the table
shows mIoU over the classes present (pixels pooled over all images), pixel accuracy and the expected
calibration error of the confidence; and for each class IoU, precision, recall, and the share of all
other classes' pixels that it takes, at any confidence and at 0.9 or more.

  folder    images with index masks next to them, and --labels, a file with one label per mask
            index: `name` or `name=prompt|prompt`. Mask value 255 is not counted.
  boxes     photographs with boxes around things of one kind, which --label names. boxes.tsv has the
            columns file, left, top, right, bottom, separated by tabs, and class if there are boxes
            of several kinds. --labels lists all labels to ask for. Shows which share of the middle
            of a box is the label, how many boxes are found or missed, how much of the label is
            outside them, and which labels the boxes contain.
  rooms     folders written by `lseg rooms` or `lseg annotate masks`. Scores all classes, twenty
            robot labels, synonyms that were never used in training, and classes that were left out
            of training; or the labels of --labels, whose names are compared with the vocabulary.

rooms --words scores each name of the vocabulary as users ask for it: added to --labels by itself.
Names used in training, synonyms that were not, and names of classes that were left out are listed
apart, best first, with the number of names whose IoU is 0.1 or more.

  - A label that already names the word's class leaves this class and narrower ones to the word.
    While `fridge` is asked, `appliance: [appliance, refrigerator, stove]` lacks `refrigerator`;
    while `animal` is asked, the label `animal: [animal, cat, dog]` is absent.
  - All other prompts stay as rivals, broader ones included: a fridge called appliance is missed.
  - A word stands for its class and for narrower ones that no other prompt names. Pixels for which
    another prompt would be as right are not counted.
  - Pixels are pooled over all images, so a false alarm counts wherever it is. A word counts as
    measured if at least 3 images show 100 pixels of what it stands for.

The benchmarks follow the authors' protocols; the table also shows the published scores that are
known, and their sources. Files that are missing are named, with the place to get them.

  pascal5i, coco20i   zero-shot mIoU and FB-IoU on the unseen classes of each fold: 1000 images at
            480 x 480 pixels, "others" against the class. --root is HSNet's data folder with
            VOC2012, COCO2014, FSS-1000 and its repository's `data/splits` as `splits`. {fold} in
            --model is replaced by the number of the fold.
  fss1000   the same for the images of its 240 test categories

  All classes are asked at once, and pixel accuracy and mIoU are shown, on:
  ade20k      150 classes, the 2000 validation images of ADEChallengeData2016
  voc20       PASCAL VOC 2012 without its background, the 1449 images of val: VOCdevkit
  voc21       the same with the background as a class
  context59   PASCAL-Context without its background, the images of val: VOCdevkit with VOC2010
  stuff171    COCO-Stuff, the 5000 images of val2017: images/val2017 and annotations/val2017
  cityscapes  19 classes, the 500 images of val: leftImg8bit and gtFine

These follow one of three protocols, which --protocol names; auto is that of the model's authors.
Prompts are put into the templates of the model's text encoder, if it has any.

  lseg       six scales (seven on cityscapes), mirrored, in windows. The background is asked as
             "other". On ade20k, with the authors' truncated labels and with full class names. For
             every model but those below.
  tipsv2     short side 448, windows of 448 pixels every 336. The authors publish no protocol for
             a background; it is asked as "background".
  talk2dino  short side 448, windows of 448 pixels every 224. The background scores 0.55
             everywhere. The authors' refinements for it, by PAMR and attention, are left out.

Benchmarks save their counts in --state. Run the same command again to resume an interrupted run.
With torchrun, several processes share the images, one per GPU.

examples:
  lseg evaluate --dataset folder --root photos --labels names.txt
  lseg evaluate --dataset folder --root photos --masks '{stem}_labels.png' --labels names.txt
  lseg evaluate --dataset boxes --root doors --labels config/labels/indoor.yaml --label door
  lseg evaluate --dataset rooms --root rooms_test --model runs/a/weights.safetensors --json a.json
  lseg evaluate --dataset rooms --root things_test rooms_test --words \\
      --labels config/labels/indoor.yaml --limit 2000
  lseg evaluate --dataset rooms --root rooms_test --model runs/a/weights.safetensors \\
      --calibrate lseg-lite.safetensors
  lseg evaluate --dataset pascal5i --root Datasets_HSN --model 'pascal_fold{fold}.ckpt'
  lseg evaluate --dataset cityscapes --root cityscapes --model tipsv2-l14 --device cuda --batch 16
  torchrun --nproc-per-node 4 -m lseg_ros.cli evaluate --dataset ade20k \\
      --root ADEChallengeData2016 --model demo_e200.ckpt --device cuda --json ade20k.json
"""
FOLDED = ('pascal5i', 'coco20i')
SEGMENTATION = ('ade20k', 'voc20', 'voc21', 'context59', 'stuff171', 'cityscapes')
BENCHMARKS = (*FOLDED, 'fss1000', *SEGMENTATION)
PROTOCOLS = ('lseg', 'tipsv2', 'talk2dino')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('--dataset', choices=('folder', 'rooms', 'boxes', *BENCHMARKS), required=True, help='see above')
    parser.add_argument(
        '--root', type=Path, nargs='+', required=True, help='folder of the data set; rooms: one or more folders'
    )
    parser.add_argument('--model', default='lseg-lite', help='name of a model, or its weights (%(default)s)')
    parser.add_argument(
        '--device', default='cpu', help='cpu, cuda, cuda:1, or auto for a GPU if there is one (%(default)s)'
    )
    parser.add_argument('--json', type=Path, help='also write all scores to this file')
    _add_labelled_images(parser)
    _add_boxes(parser)
    _add_benchmarks(parser)


def _add_labelled_images(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('folder, rooms and boxes')
    group.add_argument(
        '--labels',
        type=Path,
        help='folder: file with one label per mask index; rooms, boxes: file with the labels to '
        'ask for; a label file of the node (.yaml) also works',
    )
    group.add_argument('--masks', default='{stem}_mask.png', help='folder: file names of the masks (%(default)s)')
    group.add_argument('--other', action='store_true', help="also ask for 'other'; rooms: with --labels")
    group.add_argument(
        '--words', action='store_true', help='rooms: score each name of the vocabulary, added to --labels by itself'
    )
    group.add_argument('--vocabulary', type=Path, help='rooms: vocabulary file used in training')
    group.add_argument('--limit', type=whole(1), default=400, help='rooms: maximum number of images (%(default)s)')
    group.add_argument(
        '--calibrate',
        type=Path,
        metavar='FILE',
        help='rooms: calibrate the confidence on every second image, score the others, and write '
        'the calibrated model to FILE',
    )
    group.add_argument(
        '--input-size',
        type=whole(0, 8192),
        help="short side, in pixels, at which images are segmented; 0: that of the image (the model's own)",
    )
    add_backend_options(group)


def _add_boxes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('boxes')
    group.add_argument('--label', help='label of the things in the boxes')
    group.add_argument(
        '--middle',
        type=NumberType(above=0, most=1),
        default=0.7,
        help='scored share of the width and height of a box (%(default)s)',
    )


def _add_benchmarks(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('benchmarks')
    group.add_argument(
        '--fold',
        type=int,
        nargs='+',
        choices=range(4),
        default=[0, 1, 2, 3],
        help='pascal5i, coco20i: folds to score (all)',
    )
    group.add_argument(
        '--label-set',
        nargs='+',
        choices=('truncated', 'full'),
        help="ade20k: class names to use (the protocol's: both for lseg, else full)",
    )
    group.add_argument(
        '--protocol',
        choices=('auto', *PROTOCOLS),
        default='auto',
        help="ade20k to cityscapes: how to evaluate; auto is the way of the model's authors (%(default)s)",
    )
    group.add_argument(
        '--batch', type=whole(1), default=1, help='ade20k to cityscapes: windows per forward pass (%(default)s)'
    )
    group.add_argument(
        '--state',
        type=Path,
        default=Path('lseg_evaluation'),
        metavar='DIR',
        help='folder for the counts of an unfinished run (%(default)s)',
    )


def run(args: argparse.Namespace) -> int:
    """Print the table; return the exit status."""
    from lseg_ros.sharing.workers import workers

    if args.words:
        _check_words(args)
    with workers(args.device) as team:
        if args.dataset in BENCHMARKS:
            return _run_benchmark(args, team)
        if team.count > 1:
            raise ValueError(f'--dataset {args.dataset} uses one process: start it without torchrun')
        return _run_segmenter(args, team.device)


def _check_words(args: argparse.Namespace) -> None:
    if args.dataset != 'rooms' or args.labels is None:
        raise ValueError('--words needs --dataset rooms, and --labels, the file of labels that each word is added to')
    if args.calibrate is not None:
        raise ValueError('--words and --calibrate exclude each other: run the command once with each')


def _run_benchmark(args: argparse.Namespace, team: Workers) -> int:
    from lseg_ros.sharing.tally import Counting

    counting = Counting(team, args.state)
    report = _benchmark(args, counting)
    if team.is_first:
        print(report.table())
        if args.json:
            report.write_json(args.json, args.model)
    counting.finish()
    return 0


def _benchmark(args: argparse.Namespace, counting: Counting) -> BenchmarkReport:
    from lseg_lab.evaluation.benchmarks import evaluate_folds, evaluate_fss1000, evaluate_segmentation
    from lseg_ros.model import load

    device = counting.workers.device
    if args.dataset in FOLDED:
        return evaluate_folds(
            args.dataset,
            _one_root(args),
            sorted(set(args.fold)),
            lambda fold: load(args.model.replace('{fold}', str(fold)), device),
            counting,
        )
    load_model = partial(load, args.model, device)
    if args.dataset == 'fss1000':
        return evaluate_fss1000(_one_root(args), load_model, counting)
    return evaluate_segmentation(
        args.dataset,
        _one_root(args),
        load_model,
        counting,
        protocol=args.protocol,
        label_sets=list(dict.fromkeys(args.label_set)) if args.label_set else None,
        batch=args.batch,
    )


def _run_segmenter(args: argparse.Namespace, device: torch.device) -> int:
    from lseg_lab.evaluation.report import table, write_json

    if args.dataset == 'boxes':
        return _boxes(args, device)
    if args.words:
        return _words(args, device)
    scores = _folder(args, device) if args.dataset == 'folder' else _rooms(args, device)
    print(table(scores))
    if args.json:
        write_json(scores, args.json)
    return 0


def _open_segmenter(args: argparse.Namespace, device: torch.device) -> Segmenter:
    return open_chosen(args, device=device, input_size=args.input_size)


def _folder(args: argparse.Namespace, device: torch.device) -> dict[str, Score]:
    from lseg_lab.evaluation.folder import open_folder, read_labels
    from lseg_lab.evaluation.score import score

    if args.labels is None:
        raise ValueError('--dataset folder needs --labels, a file with one label per mask index')
    root = _one_root(args)
    examples, labels = open_folder(root, args.masks), read_labels(args.labels)
    segmenter = _open_segmenter(args, device)
    return {root.name: score(segmenter, labels, examples, other=args.other)}


def _boxes(args: argparse.Namespace, device: torch.device) -> int:
    """Print and write the scores of photographs with boxes; return the exit status."""
    from lseg_lab.evaluation.boxes import open_boxes, score_boxes
    from lseg_lab.evaluation.folder import read_labels

    if args.labels is None or args.label is None:
        raise ValueError(
            '--dataset boxes needs --label, the label of the things in the boxes, and --labels, a '
            'file with the labels to ask for'
        )
    photos, labels = open_boxes(_one_root(args), args.label), read_labels(args.labels)
    segmenter = _open_segmenter(args, device)
    result = score_boxes(segmenter, labels, args.label, photos, args.middle, other=args.other)
    return _report(result, args.json)


def _words(args: argparse.Namespace, device: torch.device) -> int:
    """Print and write the scores of single words; return the exit status."""
    from lseg_lab.evaluation.folder import read_labels
    from lseg_lab.evaluation.words import score_words
    from lseg_lab.training.dataset import open_folders
    from lseg_lab.training.vocabulary import load_vocabulary

    folder, vocabulary = open_folders(args.root), load_vocabulary(args.vocabulary)
    labels, options = read_labels(args.labels), {'limit': args.limit, 'other': args.other}
    segmenter = _open_segmenter(args, device)
    return _report(score_words(segmenter, folder, vocabulary, labels, **options), args.json)


def _report(result: BoxScore | WordScores, json_file: Path | None) -> int:
    print(result.table())
    if json_file:
        write_whole(json_file, json.dumps(result.as_json(), indent=2) + '\n')
    return 0


def _one_root(args: argparse.Namespace) -> Path:
    """Return the only folder of --root; raise ValueError if there are more."""
    if len(args.root) > 1:
        raise ValueError(f'--dataset {args.dataset} takes one folder as --root, not {len(args.root)}')
    root: Path = args.root[0]
    return root


def _rooms(args: argparse.Namespace, device: torch.device) -> dict[str, Score]:
    from lseg_lab.evaluation.folder import read_labels
    from lseg_lab.evaluation.rendered import score_label_set, score_rooms
    from lseg_lab.training.dataset import open_folders
    from lseg_lab.training.vocabulary import load_vocabulary
    from lseg_ros.core.factory import open_segmenter

    folder, vocabulary = open_folders(args.root), load_vocabulary(args.vocabulary)
    if args.calibrate is None:
        segmenter = _open_segmenter(args, device)
    else:
        fitting = dataclasses.replace(folder, pairs=folder.pairs[::2])
        folder = dataclasses.replace(folder, pairs=folder.pairs[1::2])
        model = _calibrated_model(args, device, fitting, vocabulary)
        segmenter = open_segmenter(model, backend=args.backend, openvino_device=args.openvino_device)
    if args.labels is not None:
        labels, options = read_labels(args.labels), {'limit': args.limit, 'other': args.other}
        return {args.labels.stem: score_label_set(segmenter, folder, vocabulary, labels, **options)}
    return score_rooms(segmenter, folder, vocabulary, args.limit)


def _calibrated_model(
    args: argparse.Namespace, device: torch.device, folder: LabelledFolder, vocabulary: Vocabulary
) -> LSeg:
    """Calibrate the model's confidence on `folder`, write it to --calibrate and return it."""
    from lseg_lab.evaluation.calibration import fit_calibration
    from lseg_lab.evaluation.rendered import ROBOT_LABELS, room_examples
    from lseg_ros.core.factory import open_segmenter
    from lseg_ros.model import load, save

    model = load(args.model, device)
    if args.input_size is not None:
        model.config = dataclasses.replace(model.config, input_size=args.input_size)
    examples = room_examples(folder, vocabulary, ROBOT_LABELS, args.limit)
    calibration = fit_calibration(open_segmenter(model, backend='eager'), ROBOT_LABELS, examples)
    model.config = dataclasses.replace(model.config, calibration=calibration)
    save(model, args.calibrate)
    print(f'calibration {calibration:.3f}, written to {args.calibrate}')
    return model
