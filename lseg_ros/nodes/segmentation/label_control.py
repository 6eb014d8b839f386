# SPDX-License-Identifier: Apache-2.0
"""Changes of the labels: checked, encoded and put into force, one after the other."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from lseg_ros.labels import LabelError, LabelRegistry, LabelSet
from lseg_ros.labels.files import LabelFile
from lseg_ros.nodes.segmentation.camera_stream import LabelTable
from lseg_ros.nodes.segmentation.stream import SegmentationStream
from lseg_ros.srv import SetLabels

REPLACE = SetLabels.Request.MODE_REPLACE
ADD = SetLabels.Request.MODE_ADD
REMOVE = SetLabels.Request.MODE_REMOVE


class LabelControl:
    """Owns the ids of the node's classes, and a thread in which its labels change.

    Text is encoded in that thread, so that neither the executor nor the stream waits for it. A
    change that fails at any point leaves ids and labels as they were. While there is no stream,
    labels are only kept, for the next one.
    """

    def __init__(self, registry: LabelRegistry) -> None:
        """Start without labels and without a stream; `registry` gives the ids."""
        self._registry = registry
        self._table: LabelTable | None = None
        self._stream: SegmentationStream | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix='labels')

    @property
    def table(self) -> LabelTable | None:
        """The table that the last change gave; None before the first."""
        return self._table

    def check(self, mode: str, labels: Sequence[str]) -> None:
        """Raise LabelError, with the label at fault, when this change would be refused now."""
        self._changed_registry(mode, labels)

    def preview(self, labels: Sequence[str]) -> LabelSet:
        """Return the set that replacing by `labels` would give now, and change nothing.

        Raises LabelError when it would be refused.
        """
        return self._changed_registry(REPLACE, labels).current

    def submit(self, mode: str, labels: Sequence[str]) -> Future[LabelTable]:
        """Change the labels when the changes before are done; returns at once.

        `mode` is REPLACE, ADD or REMOVE; empty means REPLACE. Names keep their groups. The result
        is the table that then holds. The future raises LabelError for a change that is refused.
        """
        labels = list(labels)
        return self._thread.submit(lambda: self._change(self._changed_registry(mode, labels)))

    def submit_file(self, file: LabelFile) -> Future[LabelTable]:
        """Replace labels and groups by those of a file; else as `submit`."""
        return self._thread.submit(self._replace_by_file, file)

    def open_stream(self, create: Callable[[LabelSet], SegmentationStream]) -> SegmentationStream:
        """Let changes act from now on on the stream that `create` makes for the present labels.

        Raises what `create` raises.
        """
        return self._thread.submit(self._open_stream, create).result()

    def close_stream(self) -> None:
        """Close the stream once the changes under way are done; nothing when there is none."""
        self._thread.submit(self._close_stream).result()

    def close(self) -> None:
        """Finish the changes under way and end the thread."""
        self._thread.shutdown()

    def _replace_by_file(self, file: LabelFile) -> LabelTable:
        registry = copy.deepcopy(self._registry)
        registry.replace(file.labels, file.groups)
        return self._change(registry)

    def _change(self, registry: LabelRegistry) -> LabelTable:
        table = LabelTable(registry.current)
        if self._stream is not None:
            table = self._stream.set_labels(self._stream.segmenter.prepare(registry.current))
        self._registry, self._table = registry, table
        return table

    def _open_stream(self, create: Callable[[LabelSet], SegmentationStream]) -> SegmentationStream:
        self._stream = create(self._registry.current)
        self._table = LabelTable(self._registry.current)
        return self._stream

    def _close_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _changed_registry(self, mode: str, labels: Sequence[str]) -> LabelRegistry:
        registry = copy.deepcopy(self._registry)
        changes = {
            '': registry.replace,
            REPLACE: registry.replace,
            ADD: registry.add,
            REMOVE: registry.remove,
        }
        if mode not in changes:
            raise LabelError(f'unknown mode {mode!r}: use {REPLACE}, {ADD} or {REMOVE}')
        changes[mode](labels)
        return registry
