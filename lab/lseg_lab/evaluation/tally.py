# SPDX-License-Identifier: Apache-2.0
"""Counts of a long evaluation: shared among processes, saved on the way, taken up again."""

from __future__ import annotations

import hashlib
import json
import os
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from tqdm import tqdm

from lseg_lab.distributed import Workers
from lseg_ros.model import LSeg

SAVE_EVERY_S = 30.0
Settings = Mapping[str, str]
Item = TypeVar('Item')


@dataclass
class Tally:
    """Counts of each of N items, int64 [N, ...], and which are there, bool [N]."""

    settings: Settings
    done: np.ndarray
    counts: np.ndarray

    @classmethod
    def empty(cls, settings: Settings, items: int, shape: tuple[int, ...]) -> Tally:
        """Return a tally of which nothing is there yet."""
        return cls(settings, np.zeros(items, bool), np.zeros((items, *shape), np.int64))

    def take(self, path: Path) -> None:
        """Add what an earlier run saved; raises ValueError unless its settings were these."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                settings = json.loads(str(stored['settings']))
                done, counts = stored['done'], stored['counts']
        except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f'{path} is damaged; delete it to start over') from error
        differing = [
            f'{name} {settings.get(name)!r}, not {value!r}'
            for name, value in self.settings.items()
            if settings.get(name) != value
        ]
        if differing:
            raise ValueError(
                f'{path} is of a run with {"; ".join(differing)}: finish that run, '
                'give another --state, or delete the file'
            )
        self.counts[done] = counts[done]
        self.done |= done

    def save(self, path: Path) -> None:
        """Write all there is; an interruption leaves the old file or the new one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix('.part')
        with open(temporary, 'wb') as file:
            np.savez_compressed(
                file, settings=json.dumps(dict(self.settings)), done=self.done, counts=self.counts
            )
        os.replace(temporary, path)


class Counting:
    """Counts the parts of one evaluation, and keeps their state until all is finished."""

    def __init__(self, workers: Workers, state: Path) -> None:
        """Share the work among `workers`; `state` is a folder that all of them see."""
        self.workers, self.state = workers, state
        self._parts: list[str] = []

    def run(
        self,
        part: str,
        items: Sequence[Item],
        count: Callable[[Item], np.ndarray],
        shape: tuple[int, ...],
        settings: Settings,
    ) -> np.ndarray:
        """Return count(item), int64 of `shape`, for every item: [N, *shape].

        The processes share the items that no earlier run of this `part` has counted, and save
        every half minute and when interrupted. The number of processes may change in between.
        Raises ValueError for a state of a run with other settings.
        """
        settings = {**settings, 'items': _digest(items)}
        self._parts.append(part)
        tally = Tally.empty(settings, len(items), shape)
        for path in sorted(self.state.glob(f'{part}.*.npz')):
            tally.take(path)
        self.workers.barrier()  # nobody writes before everybody has read
        known = tally.done.copy()
        self._count_share(part, tally, items, count)
        return self._together(tally, known)

    def finish(self) -> None:
        """Remove the state of the parts that have been run: their numbers are written down."""
        self.workers.barrier()
        if not self.workers.is_first:
            return
        for part in self._parts:
            for path in self.state.glob(f'{part}.*.npz'):
                path.unlink()
        if self.state.is_dir() and not any(self.state.iterdir()):
            self.state.rmdir()

    def _count_share(
        self, part: str, tally: Tally, items: Sequence[Item], count: Callable[[Item], np.ndarray]
    ) -> None:
        path = self.state / f'{part}.{self.workers.rank}.npz'
        share = np.flatnonzero(~tally.done)[self.workers.rank :: self.workers.count]
        saved = time.monotonic()
        bar = tqdm(share, part, unit='image', disable=None if self.workers.is_first else True)
        try:
            for index in bar:
                tally.counts[index] = count(items[index])
                tally.done[index] = True
                if time.monotonic() - saved > SAVE_EVERY_S:
                    tally.save(path)
                    saved = time.monotonic()
        finally:
            if len(share):
                tally.save(path)

    def _together(self, tally: Tally, known: np.ndarray) -> np.ndarray:
        """Return the counts of all processes; `known` are those that each had before."""
        new = tally.counts.copy()
        new[known] = 0
        total = self.workers.sum(new)
        total[known] = tally.counts[known]
        return total


def fingerprint(model: LSeg) -> str:
    """A digest of all weights: a state belongs to the network that it was made with."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        raw = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
        digest.update(raw.numpy())
    return digest.hexdigest()[:16]


def _digest(items: Sequence[object]) -> str:
    return hashlib.sha256('\n'.join(map(repr, items)).encode()).hexdigest()[:16]
