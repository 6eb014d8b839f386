# SPDX-License-Identifier: Apache-2.0
"""Two processes of torchrun share the work of a command, and give the results of one.

One run of torchrun does everything, as it takes long to start.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch
from benchmark_data import picture, write_fss
from test_paper_training import crops, tiny, write_photos

from lseg_lab.training.config import PaperConfig
from lseg_lab.training.paper import PaperRecipe
from lseg_lab.training.trainer import Trainer
from lseg_ros import cli

pytestmark = pytest.mark.slow

TORCHRUN = '-m torch.distributed.run --standalone --nproc-per-node 2'


@pytest.fixture(scope='module')
def evaluate(weights):
    """Return the arguments of an evaluation."""
    return [*'evaluate --dataset fss1000 --root fss --state state --device cpu --model'.split(), str(weights)]


@pytest.fixture(scope='module')
def folder(weights, evaluate, tmp_path_factory):
    """Return the folder in which two processes have done their work."""
    folder = tmp_path_factory.mktemp('torchrun')
    for name in ('a', 'b', 'c'):
        picture(folder / 'in' / f'{name}.png')
    write_fss(folder / 'fss')
    write_photos(folder / 'photos')
    segment = [*'segment in --device cpu --backend eager --labels floor,wall --model'.split(), str(weights)]
    commands = json.dumps([segment, [*evaluate, '--json', 'two.json']])
    done = subprocess.run(
        [sys.executable, *TORCHRUN.split(), Path(__file__).with_name('shared_work.py'), commands],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    return folder


def said(folder, command):
    """Return what each process printed."""
    return [(folder / f'{command}.{rank}.txt').read_text() for rank in range(2)]


def test_files_to_segment_are_shared(folder):
    assert said(folder, 'segment') == ['3 of 3 images segmented into lseg_output\n', '']
    results = sorted((folder / 'lseg_output').glob('*.ids.png'))
    assert [path.name for path in results] == ['a.ids.png', 'b.ids.png', 'c.ids.png']
    assert all(cv2.imread(str(path)).shape == (48, 48, 3) for path in results)


def test_images_to_evaluate_are_shared(folder, evaluate, monkeypatch, one_thread):
    monkeypatch.chdir(folder)
    assert [text.count('ViT-L/16 (published)') for text in said(folder, 'evaluate')] == [1, 0]
    assert cli.main([*evaluate, '--json', 'one.json']) == 0
    one, two = (json.loads((folder / f'{name}.json').read_text()) for name in ('one', 'two'))
    assert one == two and one['images'] == {'test': 3}
    assert one['published']['ResNet-101'] == {'mIoU': 84.7}
    assert not (folder / 'state').exists()


def test_processes_train_as_one_with_the_same_samples(folder, tmp_path, one_thread):
    """Both end with the weights of one process.

    That process accumulates the gradients of their batches.
    """
    first, second = (torch.load(folder / 'two' / f'{rank}.pt') for rank in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    config = PaperConfig(steps=1, batch=1, accumulate=2, workers=0)
    one = Trainer(PaperRecipe(tiny(dropout=0.0), config), crops(folder / 'photos'), tmp_path)
    one.run()
    start = dict(tiny().named_parameters())
    for name, tensor in one.model.named_parameters():
        moved = float((tensor - start[name]).detach().abs().max())
        assert torch.allclose(first[name], tensor, atol=1e-7 + 1e-3 * moved), name
    logs = [json.loads((run / 'log.jsonl').read_text()) for run in (tmp_path, folder / 'two')]
    assert logs[0]['loss'] == pytest.approx(logs[1]['loss'], rel=1e-4)
