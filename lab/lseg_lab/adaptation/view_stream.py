# SPDX-License-Identifier: Apache-2.0
"""Views with the teacher's embeddings, as an endless stream of training samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lseg_lab.adaptation.frame_store import FrameStore, View
from lseg_lab.training.crops import Shuffle
from lseg_lab.training.dataset import Sample, SampleStream


@dataclass(frozen=True)
class ViewSample:
    """A view and the teacher's embeddings of what is in it.

    Attributes:
        image: uint8 [H, W, 3].
        first: row and column of the first cell of the student's grid that has a target; from
            there, every second cell has one.
        targets: float16 [h, w, D], not normalised.
    """

    image: np.ndarray
    first: tuple[int, int]
    targets: np.ndarray


class ViewStream:
    """Numbered samples: sample n depends only on the seed and n.

    Every view is seen once before any is seen again. A `share` of the samples comes from
    `labelled`, evenly spread, if there is such a stream.
    """

    def __init__(
        self,
        store: FrameStore,
        views: Sequence[View],
        *,
        seed: int = 0,
        labelled: SampleStream | None = None,
        share: float = 0.0,
    ) -> None:
        """Prepare the stream.

        Args:
            store: holds the views and embeddings.
            views: those to draw from.
            seed: of the order.
            labelled: stream of labelled samples to mix in.
            share: of the labelled samples, below 1.
        """
        self.store, self.views = store, views
        self.labelled, self.share = labelled, share if labelled else 0.0
        self._order = Shuffle(len(views), seed)

    def __getitem__(self, number: int) -> ViewSample | Sample:
        """Return sample `number`, counted from 0 without end."""
        labelled = int(number * self.share)
        if self.labelled is not None and int((number + 1) * self.share) > labelled:
            return self.labelled[labelled]
        view = self.views[self._order(number - labelled)]
        return ViewSample(self.store.image(view), view.first, self.store.targets(view))
