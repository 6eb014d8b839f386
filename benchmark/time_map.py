# SPDX-License-Identifier: Apache-2.0
"""Time the language map: frames going in, labels and queries coming out, memory per voxel."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from lseg_ros.labels import LabelRegistry
from lseg_ros.mapping.approach import ApproachLimits
from lseg_ros.mapping.asking import Question
from lseg_ros.mapping.ground_grid import GroundLimits
from lseg_ros.mapping.labelled_map import LabelledMap
from lseg_ros.mapping.labelling import EncodedLabels, EncodedTexts, label_voxels
from lseg_ros.mapping.language_map import LEARNING_VOXELS, labels_of
from lseg_ros.mapping.map_files import MapFacts
from lseg_ros.mapping.observation import DepthLimits, GridView, observe
from lseg_ros.mapping.principal_axes import principal_axes
from lseg_ros.mapping.ranges import MINIMUM_SCORE
from lseg_ros.mapping.voxel_map import MapSettings, VoxelMap, Voxels

GRID = (60, 80)  # of lseg-lite for a VGA image
MODEL = 'random'
LABELS = 12
PROMPTS = 10
QUERIES = 11  # of which the median counts
COLUMNS = 'voxels', 'dimensions', 'frame in', 'new labels', 'compare', 'query', 'query of labels', 'bytes a voxel'
SETTINGS, QUESTION = MapSettings(), Question(MINIMUM_SCORE, 1, ApproachLimits())
DESCRIPTION = """\
Time the language map on this machine, for maps of several sizes, with random vectors: a VGA frame
going in (every STRIDEth place of its grid of 60 x 80), new labels for the whole map, and a query of
10 prompts against 12 labels. Each prompt is found: a box of 384 voxels on the floor, before which
there is room for a robot. Prints the rows of the table in docs/performance.md, with medians in
milliseconds of CPU time: of queries, how long it takes to compare the voxels with the prompts, and
the whole of it, with things and places before them; of a query whose prompts are labels, too; and
the bytes that a voxel takes. "dimensions" are those of the vectors kept. With --embedding-dims,
vectors are kept along fewer axes, as the parameter of the map node says, and the time to learn these
axes is printed too.

  python benchmark/time_map.py
  python benchmark/time_map.py --dimensions 768 --embedding-dims 128 --voxels 200000
"""


def main() -> None:
    """Measure and print one row for each size."""
    args = _parser().parse_args()
    torch.set_num_threads(args.threads)
    random = torch.Generator().manual_seed(0)
    kept = args.embedding_dims or args.dimensions
    axes = _learned_axes(args.dimensions, kept, random) if args.embedding_dims else None
    texts = torch.nn.functional.normalize(torch.randn(LABELS + 1 + PROMPTS, kept, generator=random), dim=1)
    view = _view(args.dimensions, args.stride, random)
    labels = LabelRegistry().replace([f'label {number}' for number in range(LABELS)])
    encoded = EncodedLabels(labels, EncodedTexts(texts[: LABELS + 1], 15.0, MODEL))
    prompts, asked = [f'prompt {number}' for number in range(PROMPTS)], EncodedTexts(texts[LABELS + 1 :], 15.0, MODEL)
    print(f'| {" | ".join(COLUMNS)} |\n{"|---" * len(COLUMNS)}|')
    for count in args.voxels:
        grid = VoxelMap(MapSettings(max_voxels=count + 100_000), kept)
        grid.fill(_voxels(count, texts, random))
        frame = _median(partial(_integrate, grid, view, axes), args.repeats)
        room = _room(_voxels(count, texts, random), encoded)
        row = [
            frame,
            _median(partial(label_voxels, room.voxels.vectors, encoded), QUERIES),
            _median(partial(room.labels.relevance, prompts, asked), QUERIES),
            _median(partial(room.ask, prompts, asked, QUESTION), QUERIES),
            _median(partial(room.ask, labels.names[:PROMPTS], asked, QUESTION), QUERIES),
        ]
        cells = [f'{count:,}', str(kept), *(f'{value:.{1 if value < 10 else 0}f}' for value in row)]
        print(f'| {" | ".join(cells)} | {grid.bytes_per_voxel:.0f} |', flush=True)


def _room(voxels: Voxels, encoded: EncodedLabels) -> LabelledMap:
    """Label voxels; the floor is the first label after `other`."""
    labels, size = encoded.labels, SETTINGS.voxel_size
    found = labels_of(voxels, MapFacts(MODEL, size), encoded)
    return LabelledMap(voxels, size, labels, found, labels.names[1:2], GroundLimits())


def _learned_axes(dimensions: int, kept: int, random: torch.Generator) -> Tensor:
    vectors = torch.randn(LEARNING_VOXELS, dimensions, generator=random).half()
    print(f'axes learned in {_median(partial(principal_axes, vectors, kept), 3):.0f} ms, once')
    return principal_axes(vectors, kept)


def _integrate(grid: VoxelMap, view: GridView, axes: Tensor | None) -> None:
    stamp_s = time.monotonic()
    pose = view.pose.copy()
    pose[:2, 3] += np.random.default_rng(int(stamp_s * 1e6)).uniform(-1, 1, 2)
    observation = observe(replace(view, pose=pose, stamp_s=stamp_s), DepthLimits(), grid.settings.voxel_size)
    if axes is not None:
        observation = replace(observation, vectors=observation.vectors.float() @ axes)
    grid.integrate(observation)


def _view(dimensions: int, stride: int, random: torch.Generator) -> GridView:
    """Return a frame of a room: a wall three metres ahead, and the floor."""
    rows, columns = np.mgrid[-0.6 : 0.6 : GRID[0] * 1j, -0.8 : 0.8 : GRID[1] * 1j].astype(np.float32)
    rows, columns = rows[::stride, ::stride], columns[::stride, ::stride]
    depth = np.minimum(3.0, 0.6 / np.maximum(rows, 1e-3)).astype(np.float32)
    vectors = torch.nn.functional.normalize(torch.randn(*depth.shape, dimensions, generator=random), dim=2)
    pose = np.array([[0, 0, 1.0, 0], [-1, 0, 0, 0], [0, -1, 0, 0.6], [0, 0, 0, 1]])
    colors = np.full((*depth.shape, 3), 128, np.uint8)
    return GridView(vectors.half(), colors, depth, np.stack([columns, rows]), pose, 0.0)


def _voxels(count: int, texts: Tensor, random: torch.Generator) -> Voxels:
    """Return a floor, a ceiling, and boxes on the floor, which are what the prompts ask for."""
    boxes = [_block((22 * (i // 5) - 16, 11 * (i % 5) - 26, 1), (8, 8, 6)) for i in range(PROMPTS)]
    side = int(np.ceil(np.sqrt((count - sum(map(len, boxes))) / 2)))
    corner = (-side // 2, -side // 2)
    cells = np.concatenate([*boxes, _block((*corner, 0), (side, side, 1)), _block((*corner, 40), (side, side, 1))])[
        :count
    ]
    vectors = torch.nn.functional.normalize(torch.randn(count, texts.shape[1], generator=random), dim=1)
    meaning = np.full(count, -1)
    meaning[: PROMPTS * len(boxes[0])] = np.repeat(np.arange(LABELS + 1, len(texts)), len(boxes[0]))
    meaning[cells[:, 2] == 0] = 1
    vectors[meaning >= 0] += 2 * texts[meaning[meaning >= 0]]
    ones = np.ones(count, np.float32)
    return Voxels(cells.astype(np.int32), 9 * ones, np.zeros((count, 3), np.uint8), ones.astype(float), vectors.half())


def _block(corner: tuple[int, int, int], size: tuple[int, int, int]) -> np.ndarray:
    axes = [np.arange(first, first + length) for first, length in zip(corner, size)]
    return np.stack(np.meshgrid(*axes, indexing='ij'), axis=-1).reshape(-1, 3)


def _median(function: Callable[[], object], repeats: int) -> float:
    """Return the median of the milliseconds of CPU time that `function` takes."""
    times = []
    for _ in range(repeats):
        started = time.process_time()
        function()
        times.append(1000 * (time.process_time() - started))
    return float(np.median(times))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--voxels', type=int, nargs='+', default=[10_000, 200_000, 1_000_000], help='sizes of the map (default: 3)'
    )
    parser.add_argument('--dimensions', type=int, default=161, help='length of a vector (default: 161, of lseg-lite)')
    parser.add_argument('--embedding-dims', type=int, default=0, help='numbers kept of a vector (default: all)')
    parser.add_argument('--stride', type=int, default=2, help='thinning of the grid (default: 2, as in the node)')
    parser.add_argument('--threads', type=int, default=1, help='threads of PyTorch (default: 1)')
    parser.add_argument('--repeats', type=int, default=50, help='frames per row (default: 50)')
    return parser


if __name__ == '__main__':
    main()
