# SPDX-License-Identifier: Apache-2.0
"""The running session: the one owner of model, labels, text and stream."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from rclpy.node import Node

from lseg_ros.backends.device import free_memory
from lseg_ros.core.factory import open_segmenter
from lseg_ros.core.segmenter import Segmenter
from lseg_ros.labels import LabelRegistry, LabelSet, read_label_file
from lseg_ros.nodes.label_modes import REPLACE, change_labels
from lseg_ros.nodes.segmentation.frames import LabelTable, Terms
from lseg_ros.nodes.segmentation.settings import Settings
from lseg_ros.nodes.segmentation.stream import SegmentationStream, create_stream

WARM_UP_SIZE = (480, 640)


@dataclass(frozen=True)
class _State:
    """What the session holds at one moment; a registry is never changed once it is in here."""

    registry: LabelRegistry
    table: LabelTable | None = None
    stream: SegmentationStream | None = None


class Session:
    """Opens and closes the stream, and changes its labels.

    All changes run one after the other in a thread of the session's own, so that encoding text
    holds up neither the executor nor the stream. A change that fails leaves everything as it was.
    Without a stream, label changes are kept for the next one. Any thread may call any method.
    """

    def __init__(self, node: Node, settings: Settings, on_problem: Callable[[str], None]) -> None:
        """Start without labels and without a stream.

        Streams publish on `node` and pass each problem to `on_problem`, in any thread.
        """
        self._node = node
        self._on_problem = on_problem
        self._lock = threading.Lock()
        self._state = _State(LabelRegistry(include_other=settings.include_other, other_prompts=settings.other_prompts))
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix='session')

    @property
    def table(self) -> LabelTable | None:
        """The labels in force and since when; None before the first labels."""
        return self._snapshot().table

    @property
    def stream(self) -> SegmentationStream | None:
        """The stream; None while the node is unconfigured."""
        return self._snapshot().stream

    def preview(self, mode: str, labels: Sequence[str]) -> LabelSet:
        """Return the labels that this change would give now, without making it.

        Raise LabelError, naming the label at fault, if the change would be refused.
        """
        return self._changed(mode, labels)[1]

    def change_labels(self, mode: str, labels: Sequence[str], groups: Sequence[str] = ()) -> Future[LabelTable]:
        """Change the labels once earlier changes are done; return at once.

        `mode`, `labels` and `groups` are those of SetLabels. The future gives the table then in
        force; it raises LabelError if the change is refused.
        """
        labels, groups = list(labels), list(groups)
        return self._thread.submit(lambda: self._accept(*self._changed(mode, labels, groups)))

    def open(self, settings: Settings) -> SegmentationStream:
        """Load and warm up the model, latch the tables and return the stream, paused.

        Raise ValueError for a setting or label that cannot be used, and whatever loading the
        model raises.
        """
        return self._thread.submit(self._open, settings).result()

    def apply(self, settings: Settings) -> None:
        """Put the settings that apply at once into force from the next batch on."""
        if stream := self.stream:
            stream.apply(settings)

    def release(self) -> None:
        """Close the stream, if there is one, and free the model; keep the labels and their ids."""
        self._thread.submit(self._close_stream).result()
        self._thread.submit(free_memory).result()

    def close(self) -> None:
        """Close the stream, if there is one, and end the thread."""
        self._thread.submit(self._close_stream)
        self._thread.shutdown()

    def _open(self, settings: Settings) -> SegmentationStream:
        registry, labels = self._initial_labels(settings)
        segmenter = _open_segmenter(settings)
        terms = Terms(segmenter.prepare(labels), settings)
        stream = create_stream(self._node, segmenter, terms, self._on_problem)
        self._swap(registry=registry, table=LabelTable(labels), stream=stream)
        return stream

    def _initial_labels(self, settings: Settings) -> tuple[LabelRegistry, LabelSet]:
        if settings.labels_file:
            file = read_label_file(settings.labels_file)
            registry = copy.deepcopy(self._snapshot().registry)
            return registry, registry.replace(file.labels, registry.with_no_other(file.groups))
        if table := self.table:
            return self._snapshot().registry, table.labels
        return self._changed(REPLACE, settings.labels)

    def _accept(self, registry: LabelRegistry, labels: LabelSet) -> LabelTable:
        table = LabelTable(labels)
        if stream := self.stream:
            table = stream.set_labels(stream.segmenter.prepare(labels))
        self._swap(registry=registry, table=table)
        return table

    def _close_stream(self) -> None:
        if stream := self.stream:
            self._swap(stream=None)
            stream.close()

    def _changed(self, mode: str, labels: Sequence[str], groups: Sequence[str] = ()) -> tuple[LabelRegistry, LabelSet]:
        """Return a changed copy of the registry, and its labels."""
        registry = copy.deepcopy(self._snapshot().registry)
        return registry, change_labels(registry, mode, labels, groups)

    def _snapshot(self) -> _State:
        with self._lock:
            return self._state

    def _swap(self, **changes: Any) -> None:
        with self._lock:
            self._state = replace(self._state, **changes)


def _open_segmenter(settings: Settings) -> Segmenter:
    segmenter = open_segmenter(
        settings.model,
        device=settings.device,
        precision=settings.precision,
        backend=settings.backend,
        threads=settings.cpu_threads,
        openvino_device=settings.openvino_device,
        compiled=settings.compile,
        input_size=settings.input_size or None,
        text_model=settings.text_model or None,
    )
    segmenter.warm_up(*WARM_UP_SIZE)
    return segmenter
