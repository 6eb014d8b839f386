# SPDX-License-Identifier: Apache-2.0
"""Counts of long work on many items: shared by processes, saved regularly and resumable."""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from tqdm import tqdm

from lseg_ros.sharing.workers import Workers
from lseg_ros.whole_files import whole_file

SAVE_EVERY_S = 30.0
Settings = Mapping[str, str]
Item = TypeVar('Item')


class OtherRun(ValueError):
    """A saved state has other settings than this run."""


@dataclass
class Tally:
    """Counts of N items, int64 [N, ...], and which items are done, bool [N]."""

    settings: Settings
    done: np.ndarray
    counts: np.ndarray

    @classmethod
    def empty(cls, settings: Settings, items: int, shape: tuple[int, ...]) -> Tally:
        """Return a tally in which no item is done."""
        return cls(settings, np.zeros(items, bool), np.zeros((items, *shape), np.int64))

    def take(self, path: Path) -> None:
        """Add what an earlier run saved.

        Raise OtherRun if its settings differ, ValueError if the file is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                settings = json.loads(str(stored['settings']))
                done, counts = stored['done'], stored['counts']
        except (KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f'{path} is damaged; delete it to start again') from error
        differing = [
            f'{name} {settings.get(name)!r}, not {value!r}'
            for name, value in self.settings.items()
            if settings.get(name) != value
        ]
        if differing:
            raise OtherRun(
                f'{path} belongs to a run with {"; ".join(differing)}: finish that run, '
                'pass a different --state, or delete the file'
            )
        self.counts[done] = counts[done]
        self.done |= done

    def save(self, path: Path) -> None:
        """Write the tally; an interruption leaves either the old file or the new one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part, part.open('wb') as file:
            np.savez_compressed(file, settings=json.dumps(dict(self.settings)), done=self.done, counts=self.counts)


class Counting:
    """Counts the parts of one run and keeps their state until it is finished."""

    def __init__(self, workers: Workers, state: Path, *, unit: str = 'image', protect: bool = True) -> None:
        """Share the work among `workers`; all of them must see the folder `state`.

        `unit` names an item in the progress bar. Unless `protect`, a state with other settings is
        not refused but ignored, and overwritten.
        """
        self.workers, self.state = workers, state
        self._unit, self._protect = unit, protect
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

        The processes share the items that no earlier run of this `part` has counted. They save
        every half minute and when interrupted; a later run may use a different number of
        processes. Raise ValueError if the saved state is damaged, or has other settings and is
        protected.
        """
        settings = {**settings, 'items': _digest(items)}
        self._parts.append(part)
        tally = Tally.empty(settings, len(items), shape)
        for path in sorted(self.state.glob(f'{part}.*.npz')):
            try:
                tally.take(path)
            except OtherRun:
                if self._protect:
                    raise
        self.workers.barrier()  # no process may write before all have read
        known = tally.done.copy()
        self._count_share(part, tally, items, count)
        return self._together(tally, known)

    def finish(self) -> None:
        """Delete the state of all parts that were run, once their scores have been reported."""
        for part in self._parts:
            self.forget(part)
        if self.workers.is_first and self.state.is_dir() and not any(self.state.iterdir()):
            self.state.rmdir()

    def forget(self, part: str) -> None:
        """Delete the state of a part; all processes must call this."""
        self.workers.barrier()  # nobody needs it any more
        if self.workers.is_first:
            for path in self.state.glob(f'{part}.*.npz'):
                path.unlink()
        self.workers.barrier()  # nobody writes a new one before

    def _count_share(self, part: str, tally: Tally, items: Sequence[Item], count: Callable[[Item], np.ndarray]) -> None:
        path = self.state / f'{part}.{self.workers.rank}.npz'
        share = np.flatnonzero(~tally.done)[self.workers.rank :: self.workers.count]
        saved = time.monotonic()
        bar = tqdm(share, part, unit=self._unit, disable=None if self.workers.is_first else True)
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
        """Return the counts of all processes; `known` items were counted in an earlier run."""
        new = tally.counts.copy()
        new[known] = 0
        total = self.workers.sum(new)
        total[known] = tally.counts[known]
        return total


def _digest(items: Sequence[object]) -> str:
    return hashlib.sha256('\n'.join(map(repr, items)).encode()).hexdigest()[:16]
