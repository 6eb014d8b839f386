# SPDX-License-Identifier: Apache-2.0
"""Segments images, videos and bags on disk; writes overlays and class ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from lseg_ros.core.segmenter import Segmentation, Segmenter, check_threshold
from lseg_ros.labels import LabelSet
from lseg_ros.media.images import read_image, write_ids, write_image
from lseg_ros.media.inputs import Input, Kind
from lseg_ros.media.overlay import overlay_with_legend
from lseg_ros.media.videos import Video, VideoWriter
from lseg_ros.whole_files import is_disk_full

Frame = TypeVar('Frame')


class PartlyRead(OSError):
    """Part of a video or bag cannot be read: the message says what, and where the results are."""


class FileSegmenter:
    """Segments files with one set of labels; videos and bags show a progress bar."""

    def __init__(self, segmenter: Segmenter, labels: LabelSet, threshold: float = 0.0, bag_topic: str = '') -> None:
        """Encode the labels.

        Pixels with a confidence below `threshold` become 255. `bag_topic` is that of
        BagReader.image_topic. Raise ValueError unless the threshold is 0..1.
        """
        check_threshold(threshold)
        self._segmenter = segmenter
        self._labels = labels
        self._prepared = segmenter.prepare(labels)
        self._threshold = threshold
        self._bag_topic = bag_topic
        self._segmented = 0  # images

    def segment(self, item: Input) -> None:
        """Write the results for a file to paths that start with `item.target`.

        Raise PartlyRead with the reason if there are results, but not of the whole file, and
        another OSError if there are none.
        """
        item.target.parent.mkdir(parents=True, exist_ok=True)
        if item.kind is Kind.IMAGE:
            self._segment_image(item.path, item.target)
        elif item.kind is Kind.VIDEO:
            with self._telling_of(Path(f'{item.target}.overlay.mp4')):
                self._segment_video(item.path, item.target)
        else:
            with self._telling_of(results := Path(f'{item.target}.labels')):
                self._segment_bag(item.path, results)

    @contextmanager
    def _telling_of(self, results: Path) -> Iterator[None]:
        """Turn an error into PartlyRead if there are results of what came before it."""
        before = self._segmented
        try:
            yield
        except OSError as error:
            if self._segmented == before or not results.exists() or is_disk_full(error):
                raise
            raise PartlyRead(f'{error}; results in {results}') from error

    def _segment_image(self, path: Path, target: Path) -> None:
        image = read_image(path)
        ids = self._result(image).ids
        write_ids(Path(f'{target}.ids.png'), ids, self._labels)
        write_image(Path(f'{target}.overlay.png'), overlay_with_legend(image, ids, self._labels))

    def _segment_video(self, path: Path, target: Path) -> None:
        video = Video(path)
        folder = Path(f'{target}.ids')
        folder.mkdir(exist_ok=True)
        with VideoWriter(f'{target}.overlay.mp4', video.rate) as overlays:
            for frame, image in enumerate(_shown(video, video.frame_count, path)):
                ids = self._result(image).ids
                write_ids(folder / f'{frame:06}.png', ids, self._labels)
                overlays.write(overlay_with_legend(image, ids, self._labels))
        video.check_whole()

    def _segment_bag(self, path: Path, target: Path) -> None:
        # Only bags need rosbags.
        from lseg_ros.media.bags import BagReader
        from lseg_ros.media.label_bag import LabelBagWriter, storage_of

        faults: list[str] = []
        with BagReader(path) as bag:
            topic = bag.image_topic(self._bag_topic)
            total = bag.count(topic)
            with LabelBagWriter(target, self._labels, self._threshold, storage_of(path)) as results:
                for image in _shown(bag.images(topic, faults), total, path):
                    results.write(image.header, image.recorded_ns, self._result(image.pixels))
            problems = list(bag.damaged)
        if faults:
            reasons = '; '.join(list(dict.fromkeys(faults))[:3])
            problems.append(f'{len(faults)} of {total} images could not be read: {topic}: {reasons}')
        if problems:
            raise OSError('; '.join(problems))

    def _result(self, image: np.ndarray) -> Segmentation:
        result = self._segmenter.segment([image], self._prepared, threshold=self._threshold)[0]
        self._segmented += 1
        return result


def _shown(frames: Iterable[Frame], total: int | None, path: Path) -> Iterator[Frame]:
    """Yield `frames` and show a progress bar."""
    return iter(tqdm(frames, total=total, desc=path.name, unit='frame', leave=False, disable=None))
