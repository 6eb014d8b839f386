# SPDX-License-Identifier: Apache-2.0
"""Which labels a map of embeddings has: those of the segmentation node, or its own."""

from __future__ import annotations

import copy
import time
from collections.abc import Awaitable, Callable

from rclpy.node import Node
from rclpy.task import Task

from lseg_ros.core.query import with_other
from lseg_ros.error_text import one_line
from lseg_ros.labels import LabelRegistry, LabelSet
from lseg_ros.mapping.labelling import EncodedLabels
from lseg_ros.nodes.label_modes import ADD, REMOVE, change_labels
from lseg_ros.nodes.map.text_client import TextClient
from lseg_ros.srv import SetLabels

RETRY_S = 1.0  # between attempts to encode the labels
FOLLOWED_GROUPS = (
    'this map follows the labels of the segmentation node: change the groups there, or give the map its own labels '
    'with the groups'
)


class MapLabels:
    """Follows the labels that are announced until it is given its own.

    For the executor's thread only.
    """

    def __init__(
        self, texts: TextClient, use: Callable[[EncodedLabels], Awaitable[None]], on_problem: Callable[[str], None]
    ) -> None:
        """Encode labels by `texts` and put them into force by `use`, which raises if it fails.

        `on_problem` is called with why announced labels are not in force.
        """
        self._texts = texts
        self._use = use
        self._on_problem = on_problem
        self._registry: LabelRegistry | None = None  # None: follow the segmentation node
        self._announced: LabelSet | None = None  # by the segmentation node
        self._wanted: LabelSet | None = None  # announced, and not in force yet
        self._encoding: Task | None = None
        self._encode_at = 0.0  # time.monotonic() before which it is not tried again

    @property
    def in_force(self) -> LabelSet | None:
        """Its own labels or, without any, those announced last; None before the first."""
        return self._registry.current if self._registry else self._announced

    def announce(self, labels: LabelSet) -> None:
        """Take note of the labels of the segmentation node."""
        self._announced = labels
        if self._registry is None:
            self._wanted = labels

    def follow(self, node: Node) -> None:
        """Start to put announced labels into force, on the executor of `node`, if it is time."""
        is_idle = self._encoding is None or self._encoding.done()
        is_due = is_idle and time.monotonic() >= self._encode_at
        if self._wanted is not None and is_due and self._texts.is_ready and node.executor:
            self._encoding = node.executor.create_task(self._adopt, self._wanted)

    async def change(self, request: SetLabels.Request) -> None:
        """Give the map its own labels; raise ValueError for a request that cannot be met.

        If they cannot be put into force, raise the reason and follow what was followed before.
        """
        registry = self._registry_to_change(request)
        encoded = await self._encode(change_labels(registry, request.mode, request.labels, request.groups))
        before, wanted, announced = self._registry, self._wanted, self._announced
        self._registry, self._wanted = registry, None  # announced labels come too late from now on
        try:
            await self._use(encoded)
        except Exception:
            self._registry = before
            is_late = before is None and self._announced is not announced  # it arrived meanwhile
            self._wanted = self._announced if is_late else wanted
            raise

    def _registry_to_change(self, request: SetLabels.Request) -> LabelRegistry:
        """Return a copy of its own labels or, without any, of those of the segmentation node.

        Raise ValueError if it has neither to change, and if only groups are to change of labels
        that it follows: copied, they would not follow any more.
        """
        if self._registry is not None:
            return copy.deepcopy(self._registry)
        only_groups = bool(request.groups and not request.labels)
        if self._announced is None and (only_groups or request.mode in (ADD, REMOVE)):
            raise ValueError('the labels of the segmentation node have not arrived yet: try again, or replace them')
        if only_groups:
            raise ValueError(FOLLOWED_GROUPS)
        return LabelRegistry() if self._announced is None else LabelRegistry.of(self._announced)

    async def _adopt(self, labels: LabelSet) -> None:
        """Put labels that the segmentation node announced into force."""
        try:
            encoded = await self._encode(labels)
        except Exception as error:  # the segmentation node may be busy, or gone
            self._on_problem(f'labels not changed yet: {one_line(error)}')
            self._encode_at = time.monotonic() + RETRY_S
            return
        try:
            if self._wanted is labels:  # no others have been announced or set meanwhile
                await self._use(encoded)
        except Exception as error:
            self._on_problem(f'labels not changed: {one_line(error)}')
        if self._wanted is labels:
            self._wanted = None

    async def _encode(self, labels: LabelSet) -> EncodedLabels:
        labels = with_other(labels)
        return EncodedLabels(labels, await self._texts.encode(labels.prompts))
