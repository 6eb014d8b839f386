# SPDX-License-Identifier: Apache-2.0
"""What lseg-lab promises as a distribution: its version, its data files and light commands."""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import lseg_lab
from lseg_lab.evaluation.names import benchmark_names
from lseg_lab.training.vocabulary import load_vocabulary

LAB = Path(__file__).parents[1]
PROJECT = (LAB / 'pyproject.toml').read_text()
COMMANDS = re.findall(r'^\w+ = "(lseg_lab\.commands\.\w+)"$', PROJECT, re.M)


def test_the_version_is_that_of_lseg_ros():
    version = ElementTree.parse(LAB.parent / 'package.xml').findtext('version')
    assert re.findall(r'^version = "(.*?)"', PROJECT, re.M) == [version]
    assert f'\nlseg_ros=={version}\n' in (LAB / 'requirements.txt').read_text()


def test_every_command_has_an_entry_point():
    modules = {path.stem for path in (LAB / 'lseg_lab' / 'commands').glob('*.py')}
    parts = {'__init__', 'adapt_run', 'train_options', 'train_runs'}
    assert {name.rpartition('.')[2] for name in COMMANDS} == modules - parts


def test_every_data_file_is_declared():
    """A wheel lacks any data file that pyproject.toml does not declare: extend both lists."""
    package = Path(lseg_lab.__file__).parent
    data = {
        str(path.relative_to(package))
        for path in package.rglob('*')
        if path.is_file() and path.suffix not in ('.py', '.pyc')
    }
    classes = {'ade20k': 150, 'cityscapes': 19, 'coco': 80, 'coco_stuff': 171, 'pascal': 20, 'pascal_context': 59}
    names = {f'evaluation/names/{name}.txt' for name in classes}
    models = {'rooms/model_files.tsv', 'rooms/model_index.tsv'}
    assert data == {'training/vocabulary.yaml', *names, *models}
    assert {name: len(benchmark_names(name)) for name in classes} == classes
    assert load_vocabulary().concepts


@pytest.mark.parametrize('module', COMMANDS)
def test_a_command_and_its_help_load_without_torch(module):
    """`lseg --help` must answer at once."""
    program = (
        'import argparse, importlib, sys\n'
        f'module = importlib.import_module({module!r})\n'
        'parser = argparse.ArgumentParser(description=module.DESCRIPTION)\n'
        'module.add_arguments(parser)\n'
        'assert parser.format_help() and module.HELP and module.run\n'
        'sys.exit("torch" in sys.modules)\n'
    )
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
