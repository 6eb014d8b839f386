# SPDX-License-Identifier: Apache-2.0
"""What ``lseg map`` does."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lseg_ros.commands.bag_options import chosen_bag_options
from lseg_ros.commands.interrupt import noticed_interrupt
from lseg_ros.commands.label_options import chosen_labels
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.error_text import counted
from lseg_ros.labels.syntax import check_prompt
from lseg_ros.mapping.approach import ApproachLimits
from lseg_ros.mapping.asked_map import AskedMap, highlighted
from lseg_ros.mapping.asking import Answer, Question
from lseg_ros.mapping.ground_grid import GroundLimits
from lseg_ros.mapping.language_map import LanguageMap
from lseg_ros.mapping.map_builder import MapBuilder
from lseg_ros.mapping.map_files import MapFacts, read_map
from lseg_ros.mapping.observation import DepthLimits
from lseg_ros.mapping.rgbd_bag import RgbdBag
from lseg_ros.mapping.top_view import MARK_COLORS, Entry, Mark, TopView, legend, sheet
from lseg_ros.mapping.voxel_map import MapSettings, Voxels
from lseg_ros.whole_files import whole_file


def build(args: argparse.Namespace, target: Path, open_model: Callable[[], Segmenter]) -> list[str]:
    """Write the map of a bag; return which parts of the bag are damaged.

    On Ctrl-C, write the map of the images so far, then raise KeyboardInterrupt. Raise OSError or
    ValueError, with the reason, if no image can be used.
    """
    options = chosen_bag_options(args)
    known = LanguageMap(MapSettings(voxel_size=args.voxel_size), options.map_frame)
    limits = DepthLimits(most=args.max_depth)
    with RgbdBag(args.input) as bag:
        cameras = [bag.camera(*topics) for topics in options.cameras()]
        transforms = bag.transforms()
        if options.map_frame not in transforms.frames:
            raise ValueError(
                f'no transforms of the frame {options.map_frame}: choose with --map-frame, of '
                + ', '.join(transforms.frames)
            )
        builder = MapBuilder(open_model(), known, transforms, limits, rectified=options.rectified)
        total = bag.count(cameras)
        with noticed_interrupt() as interrupt:
            for frame in tqdm(bag.frames(cameras), total=total, desc=args.input.name, unit='image', disable=None):
                if frame is not None:
                    builder.add(frame)
                if interrupt.is_set():
                    break
        if interrupt.is_set() and not builder.integrated:
            raise KeyboardInterrupt
        drops = bag.drops + builder.drops
        if not builder.integrated:
            causes = '; '.join([*bag.damaged, counted(drops)])
            raise ValueError(f'{args.input}: none of {total} images could be used: {causes}')
        print(f'{target}: {known.save(target)} voxels from {builder.integrated} of {total} images')
        if drops:
            print(f'not used: {counted(drops)}')
        if interrupt.is_set():
            raise KeyboardInterrupt
        return bag.damaged


def show(args: argparse.Namespace, path: Path, open_model: Callable[[], Segmenter]) -> None:
    """Ask the map of a file, print the answers, and draw it; `open_model` is called if needed.

    Raise OSError or ValueError, with the reason, if that is not possible.
    """
    prompts = [check_prompt(prompt) for prompt in args.ask]
    question = Question(args.minimum_score, args.top_k, ApproachLimits(args.approach_distance, args.robot_radius))
    voxels, facts = read_map(path)
    if not len(voxels):
        raise ValueError(f'{path} is empty')
    if prompts and facts.names:
        raise ValueError(
            f'{path} has votes for labels instead of embeddings: it can only be drawn, not asked; leave --ask out'
        )
    answers: list[Answer] = []
    if prompts:
        ground = GroundLimits(floor=args.floor_height)
        asked = AskedMap(voxels, facts, open_model(), chosen_labels(args), ground)
        answers = asked.ask(prompts, question)
        print('\n'.join(_table(prompts, answers)))
    else:
        size = ' x '.join(f'{side:.1f}' for side in (np.ptp(voxels.cells, axis=0) + 1) * facts.voxel_size)
        print(f'{len(voxels)} voxels of {facts.voxel_size:g} m in frame {facts.frame}, {size} m, of {facts.model}')
    picture = args.picture or path.with_suffix('.png')
    _draw(picture, path.name, voxels, facts, prompts, answers, args.floor_height)
    print(f'picture: {picture}')


def _table(prompts: Sequence[str], answers: Sequence[Answer]) -> list[str]:
    width = max(map(len, prompts)) + 4
    rows = [f'{"":<{width}} score   {"centre x y z":<20} {"size x y z":<17} look from x y, heading']
    for prompt in prompts:
        mine = [(number, each) for number, each in enumerate(answers, 1) if each.prompt == prompt]
        rows += [_row(f'{number:>2} {prompt:<{width - 3}}', each) for number, each in mine]
        if not mine:
            rows.append(f'   {prompt:<{width - 3}} not found')
    return rows


def _row(name: str, answer: Answer) -> str:
    centre = ' '.join(f'{value:.2f}' for value in answer.thing.centre)
    size = ' '.join(f'{value:.2f}' for value in answer.thing.size)
    pose = answer.place.pose
    where = f'{pose.x:.2f} {pose.y:.2f}, {np.degrees(pose.yaw):.0f}' if pose else f'no place: {answer.place.reason}'
    return f'{name} {answer.thing.score:>5.2f}   {centre:<20} {size:<17} {where}'


def _draw(
    target: Path,
    title: str,
    voxels: Voxels,
    facts: MapFacts,
    prompts: Sequence[str],
    answers: Sequence[Answer],
    floor: float,
) -> None:
    tints = [MARK_COLORS[number % len(MARK_COLORS)] for number in range(len(answers))]
    marks = [
        Mark(str(number), tint, each.thing.centre, each.thing.size, each.place.pose)
        for number, (each, tint) in enumerate(zip(answers, tints), 1)
    ]
    entries = [
        Entry(f'{each.prompt} {each.thing.score:.2f}', mark.color, mark.number) for each, mark in zip(answers, marks)
    ]
    found = {each.prompt for each in answers}
    entries += [Entry(f'{prompt}: not found') for prompt in prompts if prompt not in found]
    view = TopView(voxels.cells, facts.voxel_size, floor)
    picture = view.picture(title, voxels.cells, highlighted(voxels.colors, answers, tints), marks)
    with whole_file(target, '.png') as part:
        sheet([picture, legend(entries, picture.width)] if entries else [picture]).save(part)
