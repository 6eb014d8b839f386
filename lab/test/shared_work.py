# SPDX-License-Identifier: Apache-2.0
"""What the processes of torchrun do in the tests: two commands and a training, in one folder.

Each keeps what it prints in COMMAND.RANK.txt, and the weights that it has trained in two/RANK.pt.
"""

import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from unittest import mock

import torch
from test_paper_training import crops, tiny
from torch import distributed

from lseg_lab.training.config import PaperConfig
from lseg_lab.training.paper import PaperRecipe
from lseg_lab.training.trainer import Trainer
from lseg_ros import cli
from lseg_ros.sharing.workers import workers


def run(arguments):
    """Run a command of lseg, and end the process if it fails."""
    with open(f'{arguments[0]}.{os.environ["RANK"]}.txt', 'w') as said, redirect_stdout(said):
        status = cli.main(arguments)
    if status:
        sys.exit(f'{arguments[0]} returned {status}')


def train(photos, out):
    """Train for one step."""
    with workers('cpu') as team:
        config = PaperConfig(steps=1, batch=1, processes=team.count, workers=0)
        trainer = Trainer(PaperRecipe(tiny(dropout=0.0), config, team), crops(photos), out, team)
        trainer.run()
        torch.save(dict(trainer.model.named_parameters()), out / f'{team.rank}.pt')


if __name__ == '__main__':
    torch.set_num_threads(1)
    # Once for all: processes that connect again might find each other's old addresses.
    connect, leave = mock.Mock(), mock.Mock()
    with workers('cpu'), mock.patch.multiple(distributed, init_process_group=connect, destroy_process_group=leave):
        for command in json.loads(sys.argv[1]):
            run(command)
        train(Path('photos'), Path('two'))
    assert connect.call_count == leave.call_count == 3
