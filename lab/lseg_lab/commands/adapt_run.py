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
from lseg_lab.adaptation.frame_store import Frame, FrameStore, View, open_store
from lseg_lab.adaptation.imitation import ImitationRecipe
from lseg_lab.adaptation.report import table, write_report
from lseg_lab.adaptation.scene_checks import SceneChecks, read_views
from lseg_lab.adaptation.student import build_student, with_words
from lseg_lab.adaptation.teacher_pass import CELL, TeacherPass, choose_frames
from lseg_lab.adaptation.view_shape import ViewShape
from lseg_lab.adaptation.view_stream import ViewStream
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
from lseg_ros.core.geometry import ImageGeometry
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.labels import LabelRegistry, LabelSet, read_label_file
from lseg_ros.labels.files import shipped_label_files
from lseg_ros.model import load, save
from lseg_ros.model.backbones import EFFICIENTNET_LITE, EfficientNetLite
from lseg_ros.whole_files import whole_file

HELD_OUT = 0.2  # share of each camera's frames, at its end


@dataclass(frozen=True)
class FrameSplit:
    """Views and frames with the teacher's embeddings, to train on and to report on.

    Attributes:
        store: holds them.
        training: views to train on.
        ends: frames, the last HELD_OUT of each of the same cameras.
        left_out: frames of other cameras, if any.
        cameras: those that the frames refer to by number.
    """

    store: FrameStore
    training: tuple[View, ...]
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
    _check(args)
    bags = chosen_bag_options(args)
    seen = find_cameras(args.images, work, bags)
    cameras = seen + (find_cameras(args.left_out, work, bags) if args.left_out else [])
    check_distinct(cameras)
    chosen = choose_frames(cameras, args.frames)
    training, ends, left_out = _split(chosen, len(seen))
    if not training or not ends:
        raise ValueError(f'{len(chosen)} frames are too few: give at least five of each camera in --images')
    teacher = open_segmenter(args.teacher, device=args.device, text_model=args.text_model)
    size = tuple(args.crop) if args.crop else _size_of_frames(cameras[0], args.input_size)
    shape = ViewShape(size, args.input_size, teacher.model.input_size)
    cells = args.input_size // CELL
    store = open_store(work / 'embeddings', teacher.model, cameras, cells, shape)
    teacher_pass = TeacherPass(teacher, cameras, store, cells)
    # The views take the most space, which is known once the first of them is written.
    views = teacher_pass.views(training, args.views, shape)
    held_out = set(teacher_pass.frames([*ends, *left_out]))
    ends, left_out = ([frame for frame in part if frame in held_out] for part in (ends, left_out))
    if not views or not ends:
        raise ValueError(f'none of {len(training)} frames to train on, or of {len(ends)} to report on, can be read')
    return teacher, FrameSplit(store, tuple(views), tuple(ends), tuple(left_out), tuple(cameras))


def open_run(args: argparse.Namespace, work: Path, teacher: Segmenter, frames: FrameSplit) -> Trainer:
    """Build the student, and start or resume its training.

    Raise ValueError for unusable arguments, or if the run in `work` had others.
    """
    torch.manual_seed(args.seed)  # for the decoder, which starts random
    student = build_student(teacher.model, args.encoder, args.width, args.input_size)
    labelled = _labelled(args, frames) if args.masks else None
    samples = ViewStream(
        frames.store, frames.training, seed=args.seed, labelled=labelled, share=args.mask_share if labelled else 0.0
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


def _check(args: argparse.Namespace) -> None:
    """Raise ValueError for arguments that the teacher's work would be lost on."""
    if args.encoder not in EFFICIENTNET_LITE:
        raise ValueError(f'--encoder {args.encoder}: use one of {", ".join(EFFICIENTNET_LITE)}')
    if args.crop and any(side % EfficientNetLite.stride for side in args.crop):
        raise ValueError(f'--crop {args.crop[0]} {args.crop[1]}: both must be multiples of {EfficientNetLite.stride}')


def _size_of_frames(camera: Camera, input_size: int) -> tuple[int, int]:
    """Return height and width of the padded frames of a camera, as the student sees them."""
    for _, image in camera.read(range(camera.count)):
        return ImageGeometry.plan(image.shape[:2], input_size, EfficientNetLite.stride).padded
    raise ValueError(f'{camera.name}: no frame can be read')


def _split(frames: list[Frame], seen: int) -> tuple[list[Frame], list[Frame], list[Frame]]:
    """Return frames to train on, to test on, and those of cameras beyond the first `seen`.

    Of each of the first, the last HELD_OUT is for the test.
    """
    training: list[Frame] = []
    ends: list[Frame] = []
    for camera in range(seen):
        own = [frame for frame in frames if frame.camera == camera]
        kept = len(own) - round(HELD_OUT * len(own))
        training += own[:kept]
        ends += own[kept:]
    return training, ends, [frame for frame in frames if frame.camera >= seen]


def _labelled(args: argparse.Namespace, frames: FrameSplit) -> SampleStream:
    """Return the samples of --masks, as `lseg train` makes them, in the size of the views."""
    folder, vocabulary = open_folders(args.masks), load_vocabulary(None)
    ignored = [index for index, name in enumerate(folder.classes) if name in vocabulary.left_out]
    sampler = ImageSampler(class_shares(folder), None, balance=0.6, ignored=ignored)
    questions = QuestionSampler(vocabulary, folder.classes)
    size = frames.store.image(frames.training[0]).shape[:2]
    return SampleStream(folder, questions, sampler, crop=size, seed=args.seed)


def _config(args: argparse.Namespace) -> TrainingConfig:
    return TrainingConfig(
        steps=args.steps,
        batch=args.batch,
        learning_rate=args.learning_rate,
        encoder_learning_rate=args.encoder_learning_rate,
        keep_classes=0.0,  # the teacher teaches the student's classes, those of ImageNet included
        warm_up=max(1, min(100, args.steps // 10)),
        average_decay=0.99,
        style_probability=0.0,
        workers=args.workers,
        seed=args.seed,
    )
