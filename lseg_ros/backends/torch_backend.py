# SPDX-License-Identifier: Apache-2.0
"""The image side of a network run by PyTorch, with fewer operations and, on a GPU, one launch."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor

from lseg_ros.backends.folding import FoldedNetwork
from lseg_ros.model.lseg import LSeg

# Sizes of a batch whose graphs are kept: more cameras than that seldom share a GPU.
GRAPHS = 8
_WARM_UP_RUNS = 3
# What a thread does to the whole device, such as waiting for it, breaks another one's recording.
_RECORDING = threading.Lock()


class TorchBackend:
    """The folded network; on a GPU it is recorded once for each size of a batch, and replayed."""

    name = 'torch'

    def __init__(self, model: LSeg) -> None:
        """Copy and fold `model`, on its device and in its dtype."""
        self._model = model
        network = FoldedNetwork(model, model.dtype).eval()
        self._network = network.to(memory_format=torch.channels_last)
        self.project = self._network.project
        on_gpu = model.device.type == 'cuda'
        self._encode = RecordedRuns(self._network, _Graph) if on_gpu else self._network

    def correlate(self, images: Tensor, text: Tensor) -> Tensor:
        """See Backend."""
        return self._model.correlate(self._encode(images), text)

    def embed(self, images: Tensor) -> Tensor:
        """See Backend."""
        return self._network.turn_back(self._encode(images))


class RecordedRuns:
    """Calls a network as it is for the first batch of a size, and by a recording from the second.

    The recordings last used are kept, `GRAPHS` of them. One takes as long as several runs: sizes
    that are seen but once, or that are too many, are not worth it.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        record: Callable[[Callable[[Tensor], Tensor], Tensor], Callable[[Tensor], Tensor]],
    ) -> None:
        """`record` makes of `network` and a batch what replays it for batches of that shape."""
        self._network = network
        self._record = record
        self._runs: OrderedDict[torch.Size, Callable[[Tensor], Tensor]] = OrderedDict()

    def __call__(self, images: Tensor) -> Tensor:
        """Return what the network makes of `images`, in memory that the next may overwrite."""
        run = self._runs.pop(images.shape, None)
        if run is None:
            run = self._network
        elif run is self._network:
            run = self._record(self._network, images)
        self._runs[images.shape] = run  # at the end: the one last used
        if len(self._runs) > GRAPHS:
            self._runs.popitem(last=False)
        return run(images)


class _Graph:
    """The kernels of one run in a CUDA graph: Python and the driver have no part in a replay."""

    def __init__(self, network: Callable[[Tensor], Tensor], images: Tensor) -> None:
        """Record `network` for batches of the shape of `images`, on their device."""
        self._images = images.clone()
        self._graph = torch.cuda.CUDAGraph()
        # Streams and graphs are made on the thread's device, which need not be that of the images.
        with _RECORDING, torch.cuda.device(images.device):
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):  # libraries choose kernels and make workspaces
                for _ in range(_WARM_UP_RUNS):
                    network(self._images)
            torch.cuda.current_stream().wait_stream(stream)
            with torch.cuda.graph(self._graph, stream=stream, capture_error_mode='thread_local'):
                self._embeddings = network(self._images)

    def __call__(self, images: Tensor) -> Tensor:
        """Return the embeddings of `images`, in memory that the next call overwrites."""
        with torch.cuda.device(images.device):
            self._images.copy_(images)
            self._graph.replay()
        return self._embeddings
