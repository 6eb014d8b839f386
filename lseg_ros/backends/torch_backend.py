# SPDX-License-Identifier: Apache-2.0
"""The image side of a network run by PyTorch, with fewer operations and, on a GPU, one launch."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor

from lseg_ros.backends.folding import FoldedNetwork
from lseg_ros.model.lseg import LSeg

# Sizes of a batch whose graphs are kept: more cameras than that seldom share a GPU.
GRAPHS = 8
_WARM_UP_RUNS = 3


class TorchBackend:
    """The folded network; on a GPU it is recorded once for each size of a batch, and replayed."""

    name = 'torch'

    def __init__(self, model: LSeg) -> None:
        """Copy and fold `model`, on its device and in its dtype."""
        self._model = model
        network = FoldedNetwork(model, model.dtype).eval()
        self._network = network.to(memory_format=torch.channels_last)
        self.project = self._network.project
        self._graphs: OrderedDict[torch.Size, _Graph] = OrderedDict()

    def correlate(self, images: Tensor, text: Tensor) -> Tensor:
        """See Backend."""
        return self._model.correlate(self._encode(images), text)

    def _encode(self, images: Tensor) -> Tensor:
        """Return unit embeddings [B, E, h, w], which the next call may overwrite."""
        if not images.is_cuda:
            return self._network(images)
        graph = self._graphs.pop(images.shape, None) or _Graph(self._network, images)
        self._graphs[images.shape] = graph  # at the end: the one last used
        if len(self._graphs) > GRAPHS:
            self._graphs.popitem(last=False)
        return graph(images)


class _Graph:
    """The kernels of one run in a CUDA graph: Python and the driver have no part in a replay."""

    def __init__(self, network: FoldedNetwork, images: Tensor) -> None:
        """Record `network` for batches of the shape of `images`."""
        self._images = images.clone()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):  # libraries choose kernels and make workspaces meanwhile
            for _ in range(_WARM_UP_RUNS):
                network(self._images)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, capture_error_mode='thread_local'):
            self._embeddings = network(self._images)

    def __call__(self, images: Tensor) -> Tensor:
        """Return the embeddings of `images`, in memory that the next call overwrites."""
        self._images.copy_(images)
        self._graph.replay()
        return self._embeddings
