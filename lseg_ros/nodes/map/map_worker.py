# SPDX-License-Identifier: Apache-2.0
"""The thread that owns the map: frames go in, and labelled voxels and answers come out."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from rclpy.time import Time
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from lseg_ros.error_text import one_line
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.mapping.asking import Question, Thing, answers_to, find_things
from lseg_ros.mapping.ground_grid import GroundGrid, ground_grid, traversable_ids
from lseg_ros.mapping.labelling import EncodedLabels, EncodedTexts, Labelling, label_voxels, relevance
from lseg_ros.mapping.language_map import LanguageMap
from lseg_ros.mapping.map_files import check_model
from lseg_ros.mapping.observation import observe
from lseg_ros.mapping.voxel_map import Voxels
from lseg_ros.msg import MapAnswer
from lseg_ros.nodes.map.frame_views import FrameViews
from lseg_ros.nodes.map.map_inputs import CameraFrame
from lseg_ros.nodes.map.map_messages import answer_to_message, voxels_to_cloud
from lseg_ros.nodes.map.map_settings import MapNodeSettings

Result = TypeVar('Result')
MOST_QUEUED = 4  # frames; further ones are dropped


@dataclass(frozen=True)
class LabelledMap:
    """The voxels of the map with their labels and confidence, the ground, and when it was so.

    `labelling` is None if the map has no labels yet, or only some of another model.
    """

    voxels: Voxels
    labelling: Labelling | None
    ids: np.ndarray
    confidence: np.ndarray
    ground: GroundGrid
    header: Header


class MapWorker:
    """Runs all that reads or changes the map, one after the other, in a thread of its own."""

    def __init__(self, settings: MapNodeSettings) -> None:
        """Start with an empty map; raise ValueError for a setting that cannot be used."""
        self._settings = settings
        settings.check()
        self._depth = settings.depth
        self._map = LanguageMap(settings.voxel_map, settings.map_frame)
        self._views = FrameViews(settings.rectified)
        self._labels: EncodedLabels | None = None
        self._room = threading.BoundedSemaphore(MOST_QUEUED)
        self._labelled: LabelledMap | None = None  # of the present map and labels
        self.changes = 0  # of the map and its labels
        self.unsaved = False
        self.integrated = 0
        self.drops: Counter[str] = Counter()  # by reason
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix='map')

    @property
    def settings(self) -> MapNodeSettings:
        """The settings in force."""
        return self._settings

    @property
    def values(self) -> dict[str, str]:
        """Counts, as diagnostics show them."""
        return {
            'voxels': str(len(self._map)),
            'voxels forgotten': str(self._map.evicted),
            'model': self._map.model,
            'frames integrated': str(self.integrated),
        }

    def run(self, function: Callable[[], Result]) -> Future[Result]:
        """Run a function after what is queued; its future raises what it raises."""
        return self._thread.submit(function)

    def offer(self, frame: CameraFrame, on_problem: Callable[[str], None]) -> None:
        """Integrate a frame soon; drop it if too many wait. Unusable ones go to `on_problem`."""
        if not self._room.acquire(blocking=False):
            self.drops['the map is behind'] += 1
            return
        self._thread.submit(self._integrate, frame, on_problem)

    def close(self) -> None:
        """Finish what runs and end the thread."""
        self._thread.shutdown(cancel_futures=True)

    def use(self, settings: MapNodeSettings) -> None:
        """Put parameters that apply at once into force; in the map's thread."""
        self._settings = settings
        self._changed()

    def set_labels(self, labels: EncodedLabels) -> None:
        """Label the map anew; raise ValueError if another model encoded them than the map's."""
        if self._map.model:
            check_model(self._map.facts, labels.texts.model)
        self._labels = labels
        self._changed()

    def labelled(self) -> LabelledMap:
        """Return the labelled map; in the map's thread."""
        if self._labelled is None:
            voxels = self._map.voxels()
            ids = np.full(len(voxels), UNLABELLED, np.uint8)
            confidence = np.zeros(len(voxels), np.float32)
            traversable: tuple[int, ...] = ()
            labelling = None
            # Vectors of two models may not be compared, even if they are of one length.
            if self._labels is not None and self._labels.texts.model == self._map.model:
                labelling = label_voxels(voxels.vectors, self._labels)
                ids, confidence = labelling.ids, labelling.confidence
                traversable = traversable_ids(self._labels.labels, self._settings.traversable)
            ground = ground_grid(voxels, ids, traversable, self._settings.voxel_size, self._settings.ground)
            self._labelled = LabelledMap(voxels, labelling, ids, confidence, ground, self._header())
        return self._labelled

    def objects(self) -> list[tuple[str, Thing]]:
        """Return the connected voxels of each label with its name."""
        now = self.labelled()
        labels = self._labels.labels.classes if self._labels else ()
        return [
            (label.name, thing)
            for label in labels
            for thing in find_things(
                now.voxels, np.where(now.ids == label.id, now.confidence, -1), 0.0, self._settings.voxel_size
            )
        ]

    def ask(
        self, prompts: Sequence[str], texts: EncodedTexts, top_k: int, minimum: float
    ) -> tuple[list[MapAnswer], PointCloud2]:
        """Return the answers to `prompts`, and the relevance of the voxels to the first of them.

        Raise ValueError if the map is empty or of another model, or if it has no labels yet.
        """
        if self._labels is None or not len(self._map):
            raise ValueError('the map is empty' if self._labels else 'the map has no labels yet to compare with')
        for model in (texts.model, self._labels.texts.model):
            check_model(self._map.facts, model)
        now, size = self.labelled(), self._settings.voxel_size
        assert now.labelling is not None  # since the models agree
        scores = relevance(now.voxels.vectors, prompts, texts, now.labelling)
        question = Question(minimum or self._settings.minimum_score, top_k or 1, self._settings.approach)
        found = answers_to(prompts, scores, now.voxels, size, now.ground, question)
        answers = [answer_to_message(answer, self._settings.floor_height) for answer in found]
        return answers, voxels_to_cloud(now.voxels, now.ids, scores[0], size, now.header)

    def save(self, path: str) -> int:
        """Write the map to a file; return the number of voxels. Raise OSError or ValueError."""
        count = self._map.save(self._path(path))
        self.unsaved = False
        return count

    def load(self, path: str) -> int:
        """Replace the map by a file; return the number of voxels. Raise OSError or ValueError."""
        known = self._map.model or (self._labels.texts.model if self._labels else '')
        count = self._map.load(self._path(path), known)
        self._changed()
        return count

    def _path(self, path: str) -> Path:
        path = path or self._settings.map_file
        if not path:
            raise ValueError('no path: give one, or set the parameter map_file')
        return Path(path).expanduser()

    def _integrate(self, frame: CameraFrame, on_problem: Callable[[str], None]) -> None:
        self._room.release()
        try:
            view = self._views.view(frame)
            self._map.add(frame.embedding.model, observe(view, self._depth, self._settings.voxel_size))
        except ValueError as error:
            self.drops[_kind(one_line(error))] += 1
            on_problem(f'frame not used: {one_line(error)}')
            return
        except Exception as error:  # whatever a library raises, the map goes on
            self.drops['failed'] += 1
            on_problem(f'frame failed: {error!r}')
            return
        self.integrated += 1
        self.unsaved = True
        self._changed()

    def _changed(self) -> None:
        self._labelled = None
        self.changes += 1

    def _header(self) -> Header:
        stamp_s = self._map.stamp_s if math.isfinite(self._map.stamp_s) else 0.0
        return Header(stamp=Time(nanoseconds=int(stamp_s * 1e9)).to_msg(), frame_id=self._settings.map_frame)


def _kind(problem: str) -> str:
    """Return what kind of problem it is, for counting: the sentence up to its particulars."""
    for kind in ('camera_info', 'depth', 'pose', 'vectors of', 'embedding'):
        if kind in problem:
            return {'vectors of': 'another model'}.get(kind, f'bad {kind}')
    return 'bad frame'
