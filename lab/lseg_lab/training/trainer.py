# SPDX-License-Identifier: Apache-2.0
"""The training loop of all recipes: steps, checkpoints, exact resume, several processes."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, cast

import cv2
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from lseg_lab.training.averaging import LatestWeights, WeightAverage
from lseg_lab.training.recipe import Recipe
from lseg_ros.model import LSeg, save
from lseg_ros.sharing.workers import Workers
from lseg_ros.whole_files import append_whole, whole_file, write_error

STATE_FILE = 'state.pt'
LOG_FILE = 'log.jsonl'
WEIGHTS_FILE = 'weights.safetensors'
BEST_FILE = 'best.safetensors'


class Stream(Protocol):
    """Numbered samples, from 0 without end; sample n depends only on n and the seed."""

    def __getitem__(self, number: int) -> Any:
        """Return sample `number`."""


class Trainer:
    """Trains the image side of a model on a stream of samples, in its own directory.

    Each step handles `batch` samples per process, `accumulate` times. The processes of `workers`
    share the samples of a step and must see the same directory.
    """

    def __init__(
        self, recipe: Recipe[Any], samples: Stream, directory: str | Path, workers: Workers | None = None
    ) -> None:
        """Prepare the run; resume it if the directory holds an interrupted one.

        Raise ValueError if that run had a different config.
        """
        self.recipe, self.samples = recipe, samples
        self.model, self.config = recipe.model, recipe.config
        self.workers = workers or Workers(recipe.model.device)
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.step = 0
        self.best = -math.inf
        self._optimizer = recipe.optimizer()
        self._image_side = recipe.image_side()
        decay = recipe.average_decay
        self._average = WeightAverage(self._image_side, decay) if decay else LatestWeights()
        if (self.directory / STATE_FILE).is_file():
            self._restore()
        recipe.start()

    def run(
        self, until: int | None = None, every: int = 500, evaluate: Callable[[LSeg], Mapping[str, float]] | None = None
    ) -> None:
        """Train to step `until` (default: the end), saving every `every` steps and at the end.

        `evaluate` scores the model at each save; the weights with the best "miou" go to BEST_FILE.
        """
        until = min(until or self.config.steps, self.config.steps)
        started, first = time.monotonic(), self.step
        losses: list[float] = []
        batches = self._batches(until)
        with tqdm(
            total=self.config.steps, initial=self.step, unit='step', disable=None if self.workers.is_first else True
        ) as bar:
            while self.step < until:
                losses.append(self._train_step(batches))
                bar.update()
                bar.set_postfix(loss=f'{np.mean(losses[-50:]):.3f}', refresh=False)
                if self.step % every == 0 or self.step == until:
                    images = (self.step - first) * self._images_per_step
                    rate = images / (time.monotonic() - started)
                    loss = float(self.workers.sum(np.array(np.mean(losses)))) / self.workers.count
                    if self.workers.is_first:
                        self._checkpoint({'loss': loss, 'images_per_second': rate}, evaluate)
                    self.workers.barrier()  # the checkpoint is complete when `run` returns
                    losses.clear()

    @property
    def _images_per_step(self) -> int:
        return self.config.batch * self.config.accumulate * self.workers.count

    def _batches(self, until: int) -> Iterator[Any]:
        """Yield this process' batches from the current step on, `accumulate` for each step."""
        size, count = self.config.batch, self.workers.count
        parts = range(self.step * self.config.accumulate, until * self.config.accumulate)
        starts = ((part * count + self.workers.rank) * size for part in parts)
        return iter(
            DataLoader(
                cast('Dataset[Any]', self.samples),
                batch_sampler=[list(range(start, start + size)) for start in starts],
                collate_fn=self.recipe.collate,
                num_workers=self.config.workers,
                worker_init_fn=_one_thread,
                prefetch_factor=4 if self.config.workers else None,
            )
        )

    def _train_step(self, batches: Iterator[Any]) -> float:
        # All random numbers follow from seed and step, so a resumed run equals an uninterrupted
        # one.
        torch.manual_seed(self.config.seed * 1_000_003 + self.step + 7919 * self.workers.rank)
        factor = self.recipe.rate_factor(self.step)
        for group in self._optimizer.param_groups:
            group['lr'] = group['full_lr'] * factor
        self._optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for part in range(self.config.accumulate):
            with self.recipe.synchronised(part + 1 == self.config.accumulate):
                loss = self.recipe.loss(next(batches)) / self.config.accumulate
                loss.backward()
            total += loss.item()
        if math.isfinite(self.recipe.max_gradient_norm):
            trained = [p for group in self._optimizer.param_groups for p in group['params']]
            nn.utils.clip_grad_norm_(trained, self.recipe.max_gradient_norm)
        self._optimizer.step()
        self._average.update(self.step)
        self.step += 1
        return total

    def _checkpoint(self, record: Mapping[str, float], evaluate: Callable[[LSeg], Mapping[str, float]] | None) -> None:
        with self._average.applied():
            self.model.eval()
            scores = dict(evaluate(self.model)) if evaluate else {}
            save(self.model, self.directory / WEIGHTS_FILE)
            if scores.get('miou', -math.inf) > self.best:
                self.best = scores['miou']
                save(self.model, self.directory / BEST_FILE)
        row = {'step': self.step, **{k: round(float(v), 5) for k, v in record.items()}, **scores}
        append_whole(self.directory / LOG_FILE, json.dumps(row) + '\n')
        tqdm.write(json.dumps(row))
        self._store()

    def _store(self) -> None:
        state = {
            'config': asdict(self.config),
            'step': self.step,
            'best': self.best,
            'model': self._image_side.state_dict(),
            'optimizer': self._optimizer.state_dict(),
            'average': self._average.state,
        }
        path = self.directory / STATE_FILE
        with whole_file(path) as part:
            try:
                torch.save(state, part)
            except RuntimeError as error:
                raise write_error(part, error) from error

    def _restore(self) -> None:
        path = self.directory / STATE_FILE
        state = torch.load(path, map_location=self.model.device, weights_only=True)
        ours = asdict(self.config)
        changed = [key for key, value in state['config'].items() if ours.get(key) != value]
        if changed:
            raise ValueError(
                f'{path} holds a run with a different {", ".join(changed)}; '
                'use the same settings to resume it, or choose another directory'
            )
        self._image_side.load_state_dict(state['model'])
        self._optimizer.load_state_dict(state['optimizer'])
        self._average.state = state['average']
        self.step, self.best = state['step'], state['best']


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
