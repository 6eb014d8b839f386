# SPDX-License-Identifier: Apache-2.0
"""PyTorch running a folded network; on a GPU it is recorded and launched at once."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor

from lseg_ros.backends.folding import FoldedNetwork
from lseg_ros.backends.kept_files import kept_files
from lseg_ros.model.lseg import LSeg

# Recordings kept, one per batch shape; more cameras than this seldom share a GPU.
GRAPHS = 8
_WARM_UP_RUNS = 3
# One recording at a time: an operation on the whole device breaks those in progress.
_RECORDING = threading.Lock()


class TorchBackend:
    """Runs the folded network; on a GPU it is recorded once per batch shape and replayed."""

    name = 'torch'

    def __init__(self, model: LSeg, compiled: bool = False) -> None:
        """Copy and fold `model`, on its device and in its dtype.

        If `compiled`, Inductor compiles it for each batch shape, when that first comes; its code is
        kept for the next start. Raise ValueError if there is no folder to keep it in.
        """
        self._model = model
        network = FoldedNetwork(model, model.dtype).eval()
        self._network = network.to(memory_format=torch.channels_last)
        self.project = self._network.project
        on_gpu = model.device.type == 'cuda'
        run: Callable[[Tensor], Tensor] = _compile(self._network) if compiled else self._network
        self._run = RecordedRuns(run, _Graph) if on_gpu else run

    def correlate(self, images: Tensor, text: Tensor) -> Tensor:
        """See Backend."""
        return self._model.correlate(self.encode(images), text)

    def encode(self, images: Tensor) -> Tensor:
        """See Backend."""
        return self._run(images)

    def embed(self, images: Tensor) -> Tensor:
        """See Backend."""
        return self._network.restore(self.encode(images))


def _compile(network: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    # By default the code is kept in /tmp, which does not outlive the machine's next start.
    os.environ.setdefault('TORCHINDUCTOR_CACHE_DIR', str(kept_files('torch')))
    compiled: Callable[[Tensor], Tensor] = torch.compile(network, dynamic=False)
    return compiled


class RecordedRuns:
    """Runs a network directly on the first batch of a shape, and by a recording from the second.

    The `GRAPHS` recordings used last are kept. Recording takes as long as several runs, so it is
    not worth it for shapes seen once.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        record: Callable[[Callable[[Tensor], Tensor], Tensor], Callable[[Tensor], Tensor]],
    ) -> None:
        """Use `record` to turn `network` and a batch into a replay for that shape."""
        self._network = network
        self._record = record
        self._runs: OrderedDict[torch.Size, Callable[[Tensor], Tensor]] = OrderedDict()

    def __call__(self, images: Tensor) -> Tensor:
        """Return the network's result for `images`, which the next call may overwrite."""
        run = self._runs.pop(images.shape, None)
        if run is None:
            run = self._network
        elif run is self._network:
            run = self._record(self._network, images)
        self._runs[images.shape] = run  # the one used last is at the end
        if len(self._runs) > GRAPHS:
            self._runs.popitem(last=False)
        return run(images)


class _Graph:
    """The kernels of one run as a CUDA graph, replayed without Python in between."""

    def __init__(self, network: Callable[[Tensor], Tensor], images: Tensor) -> None:
        """Record `network` for batches of the shape of `images`, on their device."""
        self._images = images.clone()
        self._graph = torch.cuda.CUDAGraph()
        # Streams and graphs belong to the thread's current device, which may be another one.
        with _RECORDING, torch.cuda.device(images.device):
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):  # lets libraries choose kernels and allocate workspaces
                for _ in range(_WARM_UP_RUNS):
                    network(self._images)
            torch.cuda.current_stream().wait_stream(stream)
            with torch.cuda.graph(self._graph, stream=stream, capture_error_mode='thread_local'):
                self._embeddings = network(self._images)

    def __call__(self, images: Tensor) -> Tensor:
        """Return the embeddings of `images`, which the next call overwrites."""
        with torch.cuda.device(images.device):
            self._images.copy_(images)
            self._graph.replay()
        return self._embeddings
