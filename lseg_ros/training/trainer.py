# SPDX-License-Identifier: Apache-2.0
"""The training loop: frozen text encoder, frozen or late-tuned image encoder, exact resume."""
from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from lseg_ros.model import LSeg, save
from lseg_ros.training.averaging import WeightAverage
from lseg_ros.training.config import TrainingConfig
from lseg_ros.training.dataset import Sample, SampleStream
from lseg_ros.training.objective import label_set_loss
from lseg_ros.training.precision import mixed_precision
from lseg_ros.training.questions import Question
from lseg_ros.training.regularisation import LevelDropout, StyleRandomisation

STATE_FILE = 'state.pt'
LOG_FILE = 'log.jsonl'
WEIGHTS_FILE = 'weights.safetensors'
BEST_FILE = 'best.safetensors'


@dataclass(frozen=True)
class Batch:
    """Images uint8 [B, H, W, 3], masks uint8 [B, H, W] and a question for each."""

    images: Tensor
    masks: Tensor
    questions: tuple[Question, ...]


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples."""
    return Batch(
        torch.from_numpy(np.stack([sample.image for sample in samples])),
        torch.from_numpy(np.stack([sample.mask for sample in samples])),
        tuple(sample.question for sample in samples),
    )


class Trainer:
    """Trains a model's image side on a stream of samples, in a directory of its own."""

    def __init__(
        self,
        model: LSeg,
        samples: SampleStream,
        class_weights: Tensor,
        config: TrainingConfig,
        directory: str | Path,
    ) -> None:
        """Prepare; if the directory holds an interrupted run, go on where it was last saved.

        Raises ValueError when that run had another config.
        """
        self.model, self.samples, self.config = model, samples, config
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.step = 0
        self.best = -math.inf
        self._weights = class_weights.to(model.device)
        self._texts = model.encode_text(samples.questions.texts).float()
        self._tuned = _unfreeze(model, config.encoder_learning_rate > 0)
        self._optimizer = torch.optim.AdamW(_groups(model, config))
        self._image_side = nn.ModuleList([model.image_encoder, model.decoder])
        self._average = WeightAverage(self._image_side, config.average_decay)
        if (self.directory / STATE_FILE).is_file():
            self._restore()
        # A frozen encoder is run from a bfloat16 copy: three times as fast as under autocast.
        self._encoder = model.image_encoder
        if not self._tuned:
            self._encoder = copy.deepcopy(model.image_encoder).to(torch.bfloat16).eval()

    def run(
        self,
        until: int | None = None,
        every: int = 500,
        evaluate: Callable[[LSeg], Mapping[str, float]] | None = None,
    ) -> None:
        """Train to step `until`, by default to the end; save every `every` steps and at the end.

        `evaluate` scores the averaged model at each save; the best "miou" is kept in BEST_FILE.
        """
        until = min(until or self.config.steps, self.config.steps)
        started, first = time.monotonic(), self.step
        losses: list[float] = []
        with tqdm(total=self.config.steps, initial=self.step, unit='step') as bar:
            for batch in self._batches(until):
                losses.append(self._train_step(batch))
                bar.update()
                bar.set_postfix(loss=f'{np.mean(losses[-50:]):.3f}', refresh=False)
                if self.step % every == 0 or self.step == until:
                    images = (self.step - first) * self.config.batch
                    rate = images / (time.monotonic() - started)
                    record = {'loss': np.mean(losses), 'images_per_second': rate}
                    self._checkpoint(record, evaluate)
                    losses.clear()

    @contextmanager
    def _regularised(self) -> Iterator[None]:
        """Within the block feature maps are randomised; evaluation must stay outside of it."""
        config, encoder, decoder = self.config, self._encoder, self.model.decoder
        stages = [encoder.net.blocks[i] for i in range(3)]
        hooks = (
            StyleRandomisation(stages, config.style_probability, config.style_strength),
            LevelDropout([decoder.laterals[0], decoder.laterals[1]], config.level_dropout),
        )
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _batches(self, until: int) -> Iterator[Batch]:
        size = self.config.batch
        return iter(
            DataLoader(
                self.samples,
                batch_size=size,
                sampler=range(self.step * size, until * size),
                collate_fn=collate,
                num_workers=self.config.workers,
                worker_init_fn=_one_thread,
                prefetch_factor=4 if self.config.workers else None,
            )
        )

    def _train_step(self, batch: Batch) -> float:
        # Everything random follows from the seed and the step: that is what makes a resumed
        # run equal to an uninterrupted one.
        torch.manual_seed(self.config.seed * 1_000_003 + self.step)
        self._schedule()
        self.model.decoder.train()
        self.model.image_encoder.eval()
        raw = self._decode(normalise(self.model, batch.images))
        masks = _nearest(batch.masks.to(raw.device), raw.shape[-2:])
        # Neighbours say much the same: every second pixel in each direction is enough.
        row, column = torch.randint(2, (2,)).tolist()
        loss = label_set_loss(
            nn.functional.normalize(raw[:, :, row::2, column::2].float(), dim=1),
            masks[:, row::2, column::2],
            batch.questions,
            self._texts,
            self.model.temperature,
            self._weights,
        )
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        trained = [p for group in self._optimizer.param_groups for p in group['params']]
        nn.utils.clip_grad_norm_(trained, 2.0)
        self._optimizer.step()
        self._average.update(self.step)
        self.step += 1
        return loss.item()

    def _decode(self, pixels: Tensor) -> Tensor:
        """Embeddings [B, D, h, w], not yet of unit length."""
        with self._regularised(), mixed_precision(self.model.decoder, pixels.device.type):
            if self._tuned:
                maps = self._encoder(pixels)
            else:
                with torch.no_grad():
                    maps = self._encoder(pixels.to(torch.bfloat16))
            return self.model.decoder(maps)

    def _schedule(self) -> None:
        done = self.step / self.config.steps
        factor = min(1.0, (self.step + 1) / self.config.warm_up)
        factor *= 0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * done))
        for group in self._optimizer.param_groups:
            group['lr'] = group['full_lr'] * factor

    def _checkpoint(
        self,
        record: Mapping[str, float],
        evaluate: Callable[[LSeg], Mapping[str, float]] | None,
    ) -> None:
        with self._average.applied():
            self.model.eval()
            scores = dict(evaluate(self.model)) if evaluate else {}
            save(self.model, self.directory / WEIGHTS_FILE)
            if scores.get('miou', -math.inf) > self.best:
                self.best = scores['miou']
                save(self.model, self.directory / BEST_FILE)
        row = {'step': self.step, **{k: round(float(v), 5) for k, v in record.items()}, **scores}
        with (self.directory / LOG_FILE).open('a', encoding='utf-8') as log:
            log.write(json.dumps(row) + '\n')
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
        torch.save(state, path.with_suffix('.new'))
        os.replace(path.with_suffix('.new'), path)

    def _restore(self) -> None:
        path = self.directory / STATE_FILE
        state = torch.load(path, map_location=self.model.device, weights_only=True)
        ours = asdict(self.config)
        changed = [key for key, value in state['config'].items() if ours.get(key) != value]
        if changed:
            raise ValueError(
                f"{path} is a run with another {', '.join(changed)}; "
                'use its settings to go on, or another directory to begin'
            )
        self._image_side.load_state_dict(state['model'])
        self._optimizer.load_state_dict(state['optimizer'])
        self._average.state = state['average']
        self.step, self.best = state['step'], state['best']


def normalise(model: LSeg, images: Tensor) -> Tensor:
    """uint8 [B, H, W, 3] to the model's normalised float32 [B, 3, H, W], channels last."""
    pixels = images.to(model.device).permute(0, 3, 1, 2).float().div_(255.0)
    mean, std = (torch.tensor(v, device=pixels.device) for v in (model.mean, model.std))
    pixels = (pixels - mean[:, None, None]) / std[:, None, None]
    return pixels.contiguous(memory_format=torch.channels_last)


def _nearest(masks: Tensor, grid: torch.Size) -> Tensor:
    """Masks [B, H, W] at the decoder's resolution."""
    small = nn.functional.interpolate(masks[:, None].float(), size=grid, mode='nearest-exact')
    return small[:, 0].to(torch.uint8)


def _unfreeze(model: LSeg, tune: bool) -> bool:
    """Make the decoder and, if `tune`, the encoder's convolutions from stage 3 on trainable."""
    model.image_encoder.requires_grad_(False)
    model.decoder.requires_grad_(True)
    for name, module in model.image_encoder.named_modules():
        late = name.startswith(('net.blocks.3', 'net.blocks.4', 'net.blocks.5', 'net.blocks.6'))
        if tune and isinstance(module, nn.Conv2d) and (late or name == 'net.conv_head'):
            module.requires_grad_(True)
    return tune


def _groups(model: LSeg, config: TrainingConfig) -> list[dict]:
    parts = (
        (model.decoder, config.learning_rate),
        (model.image_encoder, config.encoder_learning_rate),
    )
    groups = []
    for part, rate in parts:
        trained = [p for p in part.parameters() if p.requires_grad]
        if trained:
            decay = config.weight_decay
            groups.append({'params': trained, 'lr': rate, 'full_lr': rate, 'weight_decay': decay})
    return groups


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
