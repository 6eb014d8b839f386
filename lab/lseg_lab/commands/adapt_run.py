# SPDX-License-Identifier: Apache-2.0
"""Turn the arguments of `lseg adapt` into the teacher's embeddings, a training and a report."""

from __future__ import annotations

import argparse
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from lseg_lab.adaptation.agreement import Agreement, Comparison
from lseg_lab.adaptation.camera import Camera
from lseg_lab.adaptation.cameras import check_distinct, find_cameras
from lseg_lab.adaptation.frame_store import Frame, FrameStore, open_store
from lseg_lab.adaptation.frame_stream import CELL, FrameStream
from lseg_lab.adaptation.imitation import ImitationRecipe
from lseg_lab.adaptation.report import table, write_report
from lseg_lab.adaptation.scene_checks import SceneChecks, read_views
from lseg_lab.adaptation.student import build_student, with_words
from lseg_lab.adaptation.teacher_pass import TeacherPass, choose_frames
from lseg_lab.training.config import TrainingConfig
from lseg_lab.training.dataset import SampleStream, class_shares, open_folders
from lseg_lab.training.lite import LabelObjective
from lseg_lab.training.objective import class_weights
from lseg_lab.training.questions import QuestionSampler
from lseg_lab.training.sampling import ImageSampler
from lseg_lab.training.trainer import WEIGHTS_FILE, Trainer
from lseg_lab.training.vocabulary import load_vocabulary
from lseg_ros.commands.bag_options import chosen_bag_options
from lseg_ros.core.factory import open_segmenter
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.labels import LabelRegistry, LabelSet, read_label_file
from lseg_ros.labels.files import shipped_label_files
from lseg_ros.model import load, save
from lseg_ros.whole_files import whole_file

HELD_OUT = 0.2  # share of each camera's frames, at its end


@dataclass(frozen=True)
class FrameSplit:
    """Frames with the teacher's embeddings, to train on and to report on.

    Attributes:
        store: holds them.
        training: those to train on.
        ends: the last HELD_OUT of each of the same cameras.
        left_out: those of other cameras, if any.
        cameras: those that the frames refer to by number.
    """

    store: FrameStore
    training: tuple[Frame, ...]
    ends: tuple[Frame, ...]
    left_out: tuple[Frame, ...]
    cameras: tuple[Camera, ...]


def label_set(name_or_path: str) -> LabelSet:
    """Return the labels of a label file, with `other`; raise what reading it raises."""
    file = read_label_file(name_or_path)
    return LabelRegistry().replace(file.labels, file.groups)


def known_words(args: argparse.Namespace) -> list[str]:
    """Return the prompts of the shipped label files, of --labels-file and of --words."""
    files = (*shipped_label_files(), args.labels_file, *(args.words or ()))
    return list(dict.fromkeys(prompt for file in files for prompt in label_set(file).prompts))


def embed(args: argparse.Namespace, work: Path) -> tuple[Segmenter, FrameSplit]:
    """Open the teacher, and compute what is missing of its embeddings.

    Raise ValueError for unusable arguments or too few frames.
    """
    if args.frames < 1:
        raise ValueError(f'--frames {args.frames}: use at least 1')
    bags = chosen_bag_options(args)
    seen = find_cameras(args.images, work, bags)
    cameras = seen + (find_cameras(args.left_out, work, bags) if args.left_out else [])
    check_distinct(cameras)
    chosen = choose_frames(cameras, args.frames)
    teacher = open_segmenter(args.teacher, device=args.device, text_model=args.text_model)
    cells = args.input_size // CELL
    store = open_store(work / 'embeddings', teacher.model, cameras, cells)
    frames = _split(store, TeacherPass(teacher, cameras, store, cells).run(chosen), cameras, len(seen))
    if not frames.training or not frames.ends:
        raise ValueError(f'{len(chosen)} frames are too few: give at least five of each camera in --images')
    return teacher, frames


def open_run(args: argparse.Namespace, work: Path, teacher: Segmenter, frames: FrameSplit) -> Trainer:
    """Build the student, and start or resume its training.

    Raise ValueError for unusable arguments, or if the run in `work` had others.
    """
    torch.manual_seed(args.seed)  # for the decoder, which starts random
    student = build_student(teacher.model, args.encoder, args.width, args.input_size)
    if any(side % student.stride for side in args.crop):
        raise ValueError(f'--crop {args.crop[0]} {args.crop[1]}: both must be multiples of {student.stride}')
    labelled = _labelled(args) if args.masks else None
    samples = FrameStream(
        frames.store,
        frames.training,
        crop=tuple(args.crop),
        short_side=args.input_size,
        seed=args.seed,
        labelled=labelled,
        share=args.mask_share if labelled else 0.0,
    )
    objective = None
    if labelled:
        weights = class_weights(labelled.sampler.mean_shares(), 0.2, (0.25, 4.0))
        objective = LabelObjective(student, labelled.questions.texts, weights)
    return Trainer(ImitationRecipe(student, _config(args), known_words(args), objective), samples, work / 'run')


def write_student(args: argparse.Namespace, trainer: Trainer) -> None:
    """Write the weights that a training saved to --out, with --words in place of a text encoder."""
    weights = trainer.directory / WEIGHTS_FILE
    if args.words is not None:
        save(with_words(load(weights, text_model=args.text_model), known_words(args)), args.out)
        return
    with whole_file(args.out) as part:
        shutil.copyfile(weights, part)


def report(args: argparse.Namespace, work: Path, teacher: Segmenter, frames: FrameSplit, labels: LabelSet) -> str:
    """Compare the student in --out with its teacher; write the report and return its table."""
    student = open_segmenter(args.out, device=args.device, text_model=args.text_model)
    comparison = Comparison(teacher, student, frames.store, labels)
    parts: dict[str, Agreement] = {}
    for name, part in (('end of each camera', frames.ends), ('cameras left out', frames.left_out)):
        if part:
            views = read_views(frames.cameras, part)
            parts[name] = comparison.over(part, name, SceneChecks(labels, views, args.floor_height))
    write_report(work / 'report', parts, comparison, labels)
    return table(parts)


def _split(store: FrameStore, frames: list[Frame], cameras: list[Camera], seen: int) -> FrameSplit:
    """Hold out the end of each of the first `seen` cameras, and all of the others."""
    training: list[Frame] = []
    ends: list[Frame] = []
    for camera in range(seen):
        own = [frame for frame in frames if frame.camera == camera]
        kept = len(own) - round(HELD_OUT * len(own))
        training += own[:kept]
        ends += own[kept:]
    left_out = tuple(frame for frame in frames if frame.camera >= seen)
    return FrameSplit(store, tuple(training), tuple(ends), left_out, tuple(cameras))


def _labelled(args: argparse.Namespace) -> SampleStream:
    """Return the samples of --masks, as `lseg train` makes them."""
    if not 0 < args.mask_share < 1:
        raise ValueError(f'--mask-share {args.mask_share}: use more than 0 and less than 1')
    folder, vocabulary = open_folders(args.masks), load_vocabulary(None)
    ignored = [index for index, name in enumerate(folder.classes) if name in vocabulary.left_out]
    sampler = ImageSampler(class_shares(folder), None, balance=0.6, ignored=ignored)
    questions = QuestionSampler(vocabulary, folder.classes)
    return SampleStream(folder, questions, sampler, crop=tuple(args.crop), seed=args.seed)


def _config(args: argparse.Namespace) -> TrainingConfig:
    return TrainingConfig(
        steps=args.steps,
        batch=args.batch,
        learning_rate=args.learning_rate,
        encoder_learning_rate=args.encoder_learning_rate,
        warm_up=max(1, min(100, args.steps // 10)),
        average_decay=0.99,
        style_probability=0.0,
        workers=args.workers,
        seed=args.seed,
    )
