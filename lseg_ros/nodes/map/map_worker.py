# SPDX-License-Identifier: Apache-2.0
"""The thread that owns the map: frames go in, and labelled voxels and answers come out."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from rclpy.time import Time
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from lseg_ros.error_text import one_line
from lseg_ros.labels import LabelSet
from lseg_ros.labels.syntax import TRAVERSABLE_GROUP
from lseg_ros.mapping.asking import Question
from lseg_ros.mapping.labelled_map import LabelledMap
from lseg_ros.mapping.labelling import EncodedLabels, EncodedTexts
from lseg_ros.mapping.language_map import LanguageMap
from lseg_ros.mapping.observation import observe
from lseg_ros.mapping.unusable import Unusable
from lseg_ros.mapping.vote_map import VoteMap
from lseg_ros.msg import Embedding, MapAnswer
from lseg_ros.nodes.map.frame_views import FrameViews
from lseg_ros.nodes.map.map_inputs import CameraFrame
from lseg_ros.nodes.map.map_messages import answer_to_message, voxels_to_cloud
from lseg_ros.nodes.map.map_settings import MapNodeSettings

Result = TypeVar('Result')
MOST_QUEUED = 4  # frames; further ones are dropped
NO_OTHER_LABELS = (
    'this map has votes for the labels of the segmentation node instead of embeddings: change them there, '
    'or set input to embedding'
)


class MapWorker:
    """Runs all that reads or changes the map, one after the other, in a thread of its own."""

    def __init__(self, settings: MapNodeSettings) -> None:
        """Start with an empty map; raise ValueError for a setting that cannot be used."""
        self._settings = settings
        settings.check()
        self._depth = settings.depth
        self._map: LanguageMap | VoteMap
        self._map = (VoteMap if settings.uses_votes else LanguageMap)(settings.voxel_map, settings.map_frame)
        self._views = FrameViews(settings.rectified, settings.label_step)
        self._room = threading.BoundedSemaphore(MOST_QUEUED)
        self._labelled: LabelledMap | None = None  # of the present map and labels
        self._loaded: Time | None = None  # when; None once a frame has been added
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
            'model': self._map.facts.model,
            'frames integrated': str(self.integrated),
        } | ({'traversable by name': self.named_floor} if self.named_floor else {})

    @property
    def named_floor(self) -> str:
        """The labels taken for the floor by their names, as none is in the group traversable."""
        known = self._map.labels
        if known is None or TRAVERSABLE_GROUP in known.groups:
            return ''
        return ', '.join(name for name in known.names if name in self._settings.traversable)

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
        """Label a map of embeddings anew; raise ValueError if another model encoded the labels."""
        if isinstance(self._map, VoteMap):
            raise ValueError(NO_OTHER_LABELS)
        self._map.use_labels(labels)
        self._changed()

    def follow(self, labels: LabelSet) -> None:
        """Put the labels of the segmentation node into force in a map of votes."""
        if isinstance(self._map, VoteMap):
            self._map.use_labels(labels)
            self._changed()

    def labelled(self) -> LabelledMap:
        """Return the labelled map; in the map's thread."""
        if self._labelled is None:
            voxels, settings = self._map.voxels(), self._settings
            known, labels = self._map.labels, self._map.label(voxels)
            self._labelled = LabelledMap(
                voxels, settings.voxel_size, known, labels, settings.traversable, settings.ground
            )
        return self._labelled

    def header(self) -> Header:
        """Return the frame of the labelled map and when it was so; in the map's thread."""
        stamp_s = self._map.stamp_s if math.isfinite(self._map.stamp_s) else 0.0
        stamp = self._loaded or Time(nanoseconds=int(stamp_s * 1e9))
        return Header(stamp=stamp.to_msg(), frame_id=self._settings.map_frame)

    def ask(
        self, prompts: Sequence[str], texts: EncodedTexts | None, top_k: int, minimum: float
    ) -> tuple[list[MapAnswer], PointCloud2]:
        """Return the answers to `prompts`, and the relevance of the voxels to the first of them.

        Raise ValueError if the map is empty or of another model, or if it has no labels yet.
        """
        if self._map.labels is None or not len(self._map):
            raise ValueError('the map is empty' if self._map.labels else 'the map has no labels yet to compare with')
        now, settings = self.labelled(), self._settings
        question = Question(minimum or settings.minimum_score, top_k or 1, settings.approach)
        answers, scores = now.ask(prompts, texts, question)
        cloud = voxels_to_cloud(now.voxels, now.labels.ids, scores[0], now.voxel_size, self.header())
        return [answer_to_message(answer, settings.floor_height) for answer in answers], cloud

    def save(self, path: str) -> int:
        """Write the map to a file; return the number of voxels. Raise OSError or ValueError."""
        count = self._map.save(self._path(path))
        self.unsaved = False
        return count

    def load(self, path: str, now: Time) -> int:
        """Replace the map by a file; return the number of voxels. Raise OSError or ValueError.

        Until a frame is added, what is published has the stamp `now`: tf has forgotten older ones.
        """
        count = self._map.load(self._path(path))
        self._loaded = now
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
            self._add(frame)
        except Unusable as error:
            self.drops[error.kind] += 1
            on_problem(f'frame not used: {one_line(error)}')
            return
        except Exception as error:  # whatever a library raises, the map goes on
            self.drops['failed'] += 1
            on_problem(f'frame failed: {error!r}')
            return
        self._loaded = None
        self.integrated += 1
        self.unsaved = True
        self._changed()

    def _add(self, frame: CameraFrame) -> None:
        observation = observe(self._views.view(frame), self._depth, self._settings.voxel_size)
        if isinstance(self._map, VoteMap) and frame.labels is not None:
            self._map.add(frame.labels, observation)
        elif isinstance(self._map, LanguageMap) and isinstance(frame.image, Embedding):
            self._map.add(frame.image.model, observation)

    def _changed(self) -> None:
        self._labelled = None
        self.changes += 1
