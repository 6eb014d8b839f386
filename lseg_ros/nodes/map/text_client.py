# SPDX-License-Identifier: Apache-2.0
"""Texts encoded by the segmentation node, so that the map node needs no network of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future

from lseg_ros.mapping.labelling import EncodedTexts
from lseg_ros.nodes.service_qos import SERVICE_QOS
from lseg_ros.nodes.steady import steady_timer
from lseg_ros.srv import EncodeText

TIMEOUT_S = 90.0  # the most texts that a set of labels may have take a minute


class TextClient:
    """Calls ~/encode_text of the segmentation node."""

    def __init__(self, node: Node, target: str) -> None:
        """Create the client of the node called `target`."""
        self._node = node
        self._is_destroyed = False
        self._awaited: set[Future[EncodeText.Response]] = set()
        self._client = node.create_client(
            EncodeText, f'{target}/encode_text', qos_profile=SERVICE_QOS, callback_group=ReentrantCallbackGroup()
        )

    @property
    def is_ready(self) -> bool:
        """Whether the service exists."""
        return bool(self._client.service_is_ready())

    async def encode(self, prompts: Sequence[str]) -> EncodedTexts:
        """Return the rows of `prompts`; raise ValueError, with the reason, if there are none."""
        if not self.is_ready:
            raise ValueError(f'no service {self._client.srv_name}: is the segmentation node running?')
        answer = await self._call(EncodeText.Request(prompts=list(prompts)))
        if answer is None:
            why = 'the map was dropped meanwhile' if self._is_destroyed else f'no answer in {TIMEOUT_S:g} s'
            raise ValueError(f'{self._client.srv_name}: {why}')
        if not answer.success:
            raise ValueError(f'{self._client.srv_name}: {answer.message}')
        rows = torch.from_numpy(np.array(answer.rows, np.float32).reshape(len(prompts), answer.dim))
        return EncodedTexts(rows, answer.logit_scale, answer.model)

    async def _call(self, request: EncodeText.Request) -> EncodeText.Response | None:
        """Return the answer, or None if there is none in TIMEOUT_S or before `destroy`."""
        answer: Future[EncodeText.Response] = self._client.call_async(request)
        timer = steady_timer(self._node, TIMEOUT_S, answer.cancel, self._client.callback_group)
        self._awaited.add(answer)
        try:
            response: EncodeText.Response | None = await answer
        finally:
            self._awaited.discard(answer)
            self._node.destroy_timer(timer)
        return response

    def destroy(self) -> None:
        """Remove the client, and end the calls that wait for an answer, which raise ValueError."""
        self._is_destroyed = True
        self._node.destroy_client(self._client)
        for answer in tuple(self._awaited):
            answer.cancel()
