# SPDX-License-Identifier: Apache-2.0
"""Label files: what they may hold, and the shipped ones."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lseg_ros import shared_files
from lseg_ros.labels import LabelError, LabelRegistry, read_label_file
from lseg_ros.labels.files import shipped_label_files
from lseg_ros.labels.syntax import parse_label

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / 'config' / 'labels'
SIZES = {
    'ade20k': 150,
    'cityscapes': 19,
    'coco': 80,
    'coco_stuff': 91,
    'pascal_voc': 20,
    'indoor': 24,
    'navigation': 7,
    'outdoor': 29,
}


def names(labels):
    return [parse_label(label)[0] for label in labels]


def test_shipped_files_are_those_in_config():
    assert {name: path.resolve() for name, path in shipped_label_files().items()} == {
        path.stem: path for path in CONFIG.glob('*.yaml')
    }
    assert set(shipped_label_files()) == set(SIZES)


def test_files_that_pip_installs_are_found_without_a_checkout(tmp_path, monkeypatch):
    subprocess.run(
        [sys.executable, 'setup.py', '-q', 'install_data', '--install-dir', tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    package = tmp_path / 'lib' / 'python3' / 'site-packages' / 'lseg_ros'
    monkeypatch.setattr(shared_files, '_PACKAGE', package)
    found = shipped_label_files()
    assert set(found) == set(SIZES)
    assert all(path.is_relative_to(tmp_path / 'share') for path in found.values())


@pytest.mark.parametrize('name', SIZES)
def test_shipped_file_is_accepted_whole_in_its_order_and_reads_back(name):
    file = read_label_file(name)
    read = file.labels
    labels = LabelRegistry().replace(read, file.groups)
    assert len(read) == SIZES[name]
    assert list(labels.names[1:]) == names(read)
    assert labels.ids == tuple(range(len(read) + 1))
    specs = [label.spec for label in labels.classes]
    assert LabelRegistry().replace(specs, file.groups) == labels


@pytest.mark.parametrize(
    'name, places',
    [
        (
            'ade20k',
            {
                1: 'wall',
                4: 'floor',
                13: 'person',
                15: 'door',
                20: 'chair',
                54: 'stairs',
                66: 'toilet',
                90: 'television receiver',
                120: 'ball',
                150: 'flag',
            },
        ),
        ('coco', {1: 'person', 12: 'stop sign', 57: 'chair', 80: 'toothbrush'}),
        ('coco_stuff', {1: 'banner', 27: 'floor-wood', 80: 'wall-brick', 91: 'wood'}),
        ('cityscapes', {1: 'road', 7: 'traffic light', 12: 'person', 19: 'bicycle'}),
        ('pascal_voc', {1: 'aeroplane', 9: 'chair', 15: 'person', 20: 'tvmonitor'}),
    ],
)
def test_ids_are_the_indices_of_the_data_set(name, places):
    labels = LabelRegistry().replace(read_label_file(name).labels)
    assert {i: labels.by_id(i).name for i in places} == places


def test_name_that_is_not_shipped_is_refused_with_those_that_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LabelError, match="no label file 'indor': .*did you mean 'indoor'"):
        read_label_file('indor')
    with pytest.raises(LabelError, match='ade20k, cityscapes, coco'):
        read_label_file('kitchen')


def test_file_of_the_user_is_found_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('mine', 'indoor'):
        (tmp_path / name).write_text('[sofa]')
    for path in ('mine', './mine', './indoor', tmp_path / 'indoor'):
        assert read_label_file(path).labels == ('sofa',)
    with pytest.raises(FileNotFoundError, match=re.escape('none.yaml')):
        read_label_file('none.yaml')


@pytest.mark.parametrize('name', ['coco', 'indoor', 'ade20k'])
@pytest.mark.parametrize('make', [Path.mkdir, Path.touch, lambda path: path.write_text('[sofa]')])
def test_shipped_name_means_the_shipped_file_in_any_working_directory(tmp_path, monkeypatch, name, make):
    shipped = read_label_file(name)
    monkeypatch.chdir(tmp_path)
    make(tmp_path / name)
    assert read_label_file(name) == shipped


@pytest.mark.parametrize(
    'text, expected',
    [
        ('labels: [floor, door=door|doorway]', ['floor', 'door=door|doorway']),
        ('- floor\n- wall', ['floor', 'wall']),
        ('floor: [floor, ground]\nwall:\ndoor: doorway', ['floor=floor|ground', 'wall=wall', 'door=doorway']),
    ],
)
def test_label_file_forms(tmp_path, text, expected):
    path = tmp_path / 'labels.yaml'
    path.write_text(text, encoding='utf-8')
    assert read_label_file(path).labels == tuple(expected)


@pytest.mark.parametrize('name', ['indoor', 'navigation', 'outdoor'])
def test_robot_sets_say_where_to_drive_and_what_moves(name):
    file = read_label_file(name)
    groups = LabelRegistry().replace(file.labels, file.groups).groups
    assert {'traversable', 'hazard', 'dynamic'} <= set(groups)
    assert not set(groups['traversable']) & {i for group in groups.keys() - {'traversable'} for i in groups[group]}


def test_outdoor_file_for_large_models_warns_of_stairs_water_and_snow():
    assert read_label_file('outdoor').groups['hazard'] == ('stairs', 'water', 'snow')


def test_label_file_may_have_groups(tmp_path):
    path = tmp_path / 'labels.yaml'
    path.write_text('labels: [floor, rug, cat]\ngroups: {ground: [floor, rug], moving: [cat]}')
    file = read_label_file(path)
    assert file.groups == {'ground': ('floor', 'rug'), 'moving': ('cat',)}
    assert LabelRegistry().replace(file.labels, file.groups).groups == {'ground': (1, 2), 'moving': (3,)}


def test_names_of_groups_are_normalised(tmp_path):
    path = tmp_path / 'labels.yaml'
    path.write_text("labels: [floor, cat]\ngroups: {' Traversable': [floor], 'in  motion': [cat]}")
    assert read_label_file(path).groups == {'traversable': ('floor',), 'in motion': ('cat',)}


@pytest.mark.parametrize(
    'content, reason',
    [
        (b'just text', 'holds no labels'),
        (b'', 'holds no labels'),
        (b'labels: 3', 'holds no labels'),
        (b'floor: [no, 3]', "'floor' has a name or prompt that is not text"),
        (b'floor: {a: b}', 'not text'),
        (b'floor: 3', 'not text'),
        (b'a: [b', 'not a YAML label file'),
        (b'labels: [a]\ngroups: [a]', 'groups must be name'),
        (b'labels: [a]\ngroups: {g: a}', "group 'g' must be a list of names"),
        (b'labels: [a]\ngroups: {g: [1]}', "group 'g' must be a list of names"),
        (b"labels: [a]\ngroups: {g: [a], ' g': [a]}", "group 'g' is listed twice"),
        (b'\xff\xfe\x00', 'not a YAML label file'),
        (b'!!python/object/apply:os.getcwd []', 'not a YAML label file'),
        (b'[' * 100_000, 'not a YAML label file'),
        (b'- ' + b'x' * (1 << 20), 'more than 1 MB'),
        (b'[yes, floor]', 'label .True. is not text: quote it'),
        (b'- 12', 'label .12. is not text: quote it'),
        (b'- 2001-99-99', 'not a YAML label file'),
        (b'- ' + b'9' * 5000, 'not a YAML label file'),
        (b'- !!int ""', 'not a YAML label file'),
        (b'- !!timestamp x', 'not a YAML label file'),
        (b'- !!bool x', 'not a YAML label file'),
        (b'[' + b'a, ' * 300 + b'b]', 'holds 301 labels; at most 254'),
        (b'labels: [a]\ngroups: {g: [' + b'a, ' * 300 + b'b]}', "group 'g' has 301 members; at most 254"),
    ],
)
def test_label_file_with_other_content_is_refused(tmp_path, content, reason):
    path = tmp_path / 'labels.yaml'
    path.write_bytes(content)
    with pytest.raises(LabelError, match=reason):
        read_label_file(path)


def test_texts_that_multiply_through_aliases_are_refused_before_they_are_joined(tmp_path):
    path = tmp_path / 'labels.yaml'
    path.write_text(f'a: &text {"x" * 1000}\nb: [{", ".join(["*text"] * 3000)}]')
    with pytest.raises(LabelError, match="label 'b' has 3000 prompts; at most 32"):
        read_label_file(path)
    path.write_text(f'floor: {"x" * 2000}')
    with pytest.raises(LabelError, match='prompt of more than 256 characters'):
        read_label_file(path)


def test_lists_that_multiply_through_aliases_are_refused_in_few_words(tmp_path):
    # Written out, the last list has 9 ** 10 entries.
    lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]']
    lines += [f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 9)}]' for i in range(1, 10)]
    path = tmp_path / 'labels.yaml'
    path.write_text('\n'.join([*lines, 'labels: [*a9]']))
    with pytest.raises(LabelError, match='is not text: quote it') as error:
        LabelRegistry().replace(read_label_file(path).labels)
    assert len(str(error.value)) < 200
