# SPDX-License-Identifier: Apache-2.0
"""Maps as files: whole or refused, and of the right model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from limited_disk import room
from map_scene import MODEL, SIZE_M, WORDS, labels_of, seen, texts_of, wall_ahead
from safetensors.torch import save_file

from lseg_ros.mapping import language_map
from lseg_ros.mapping.language_map import LanguageMap
from lseg_ros.mapping.map_files import write_map
from lseg_ros.mapping.voxel_map import MapSettings

SETTINGS = MapSettings(voxel_size=SIZE_M)


@pytest.fixture
def walls():
    """A map of two walls, seen one after the other."""
    known = LanguageMap(SETTINGS)
    for distance, word, stamp_s in ((2.0, 'wall', 1.0), (3.0, 'sofa', 2.0)):
        known.add(MODEL, seen(wall_ahead(distance, word, stamp_s)))
    return known


def test_map_comes_back_from_its_file(walls, tmp_path):
    path = tmp_path / 'maps' / 'flat.safetensors'
    assert walls.save(path) == len(walls)
    again = LanguageMap(SETTINGS)
    assert again.load(path) == len(walls)
    assert (again.model, again.stamp_s) == (MODEL, 2.0)
    mine, theirs = (sorted_by_cell(each.voxels()) for each in (walls, again))
    for name, values in mine.items():
        assert np.array_equal(values, theirs[name]), name
    again.add(MODEL, seen(wall_ahead(2.0, 'wall', 3.0)))


def test_shorter_vectors_answer_as_whole_ones_do_if_they_span_what_was_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(language_map, 'LEARNING_VOXELS', 1800)  # of three of the walls
    short = LanguageMap(replace(SETTINGS, embedding_dims=3))
    whole = LanguageMap(SETTINGS)
    labels = labels_of('wall', 'sofa', 'lamp')
    for known in (short, whole):
        for number, word in enumerate(('wall', 'sofa', 'lamp', 'wall')):
            known.add(MODEL, seen(wall_ahead(2.0 + 0.5 * number, word, stamp_s=float(number))))
        known.use_labels(labels)
    short.save(tmp_path / 'map')
    again = LanguageMap(SETTINGS)
    again.load(tmp_path / 'map')
    again.use_labels(labels)
    expected = by_cell(whole)
    for known in (short, again):
        voxels = known.voxels()
        assert voxels.vectors.shape == (len(whole), 3)
        for found, wanted in zip(by_cell(known), expected, strict=True):
            assert np.allclose(found, wanted, atol=0.01)
    again.add(MODEL, seen(wall_ahead(2.0, 'sofa', stamp_s=9.0)))  # whole vectors go into a short map
    assert again.voxels().vectors.shape[1] == 3


def test_short_map_that_is_shortened_further_still_answers_and_saves_its_axes(tmp_path, monkeypatch):
    monkeypatch.setattr(language_map, 'LEARNING_VOXELS', 100)
    wall, sofa = (seen(wall_ahead(distance, word, 1.0)) for distance, word in ((2.0, 'wall'), (3.0, 'sofa')))
    known = LanguageMap(replace(SETTINGS, embedding_dims=4))
    whole = LanguageMap(SETTINGS)
    for each in (known, whole):
        each.add(MODEL, wall)
        each.add(MODEL, sofa)
        each.use_labels(labels_of('wall', 'sofa'))
    expected = by_cell(whole)
    for dimensions in (3, 2):  # each map learns from the file of a longer one
        known.save(tmp_path / 'map')
        known = LanguageMap(replace(SETTINGS, embedding_dims=dimensions))
        known.load(tmp_path / 'map')
        known.use_labels(labels_of('wall', 'sofa'))
        assert known.voxels().vectors.shape[1] == dimensions
        assert known.facts.axes.shape == (len(WORDS), dimensions)
        for found, wanted in zip(by_cell(known), expected, strict=True):
            assert np.allclose(found, wanted, atol=0.01)
    known.add(MODEL, sofa)  # whole vectors still go into it
    assert known.voxels().vectors.shape[1] == 2


def test_loaded_axes_do_not_change_with_their_file(walls, tmp_path):
    path = tmp_path / 'map'
    write_map(path, walls.voxels(), replace(walls.facts, axes=torch.eye(len(WORDS))))
    again = LanguageMap(SETTINGS)
    again.load(path)
    with path.open('r+b') as file:  # in place, as cp does; cutting the file would end the process here
        file.write(bytes(path.stat().st_size))
    assert torch.equal(again.facts.axes, torch.eye(len(WORDS)))


def test_axes_that_do_not_fit_the_model_are_said(walls):
    facts = replace(walls.facts, axes=torch.eye(3))
    with pytest.raises(ValueError, match=f'axes of the map are of 3 dimensions, but {MODEL} has 5'):
        facts.project(texts_of('sofa'))


def by_cell(known):
    """Return the ids, their confidence and the relevance of a word, in the order of the cells."""
    voxels = known.voxels()
    labels = known.label(voxels)
    order = np.lexsort(voxels.cells.T)
    return labels.ids[order], labels.confidence[order], labels.relevance(['sofa'], texts_of('sofa'))[0][order]


def test_vectors_stay_whole_until_there_are_enough_to_learn_from():
    known = LanguageMap(replace(SETTINGS, embedding_dims=3))
    known.add(MODEL, seen(wall_ahead(2.0)))
    assert known.voxels().vectors.shape[1] == len(WORDS)
    with pytest.raises(ValueError, match='vectors of 4 dimensions in a map of 5'):
        known.add(MODEL, seen(replace(wall_ahead(2.0), vectors=torch.zeros(24, 32, 4))))


def sorted_by_cell(voxels):
    order = np.lexsort(voxels.cells.T)
    return {name: np.asarray(getattr(voxels, name))[order] for name in voxels.__dataclass_fields__}


def test_frame_beyond_the_reach_of_voxels_is_refused_and_leaves_an_empty_map_to_any_model():
    known = LanguageMap(MapSettings(voxel_size=SIZE_M))
    observation = seen(wall_ahead(2.0))
    far = replace(observation, points=observation.points + np.float32(6e5))
    with pytest.raises(ValueError, match='farther than 104.858 km from the origin of the map: set map_frame'):
        known.add('lost-5', far)
    known.add(MODEL, observation)
    assert len(known) and known.model == MODEL
    with pytest.raises(ValueError, match='farther than'):
        known.add(MODEL, far)


def test_vectors_with_other_dimensions_than_texts_are_refused(walls):
    narrow = replace(wall_ahead(2.0), vectors=torch.eye(4)[0].expand(24, 32, 4))
    known = LanguageMap(SETTINGS)
    known.add(MODEL, seen(narrow))
    known.use_labels(labels_of('wall'))
    with pytest.raises(ValueError, match='vectors of 4 dimensions in the map, but 5 in texts of'):
        known.label(known.voxels())
    walls.use_labels(labels_of('wall'))
    with pytest.raises(ValueError, match='vectors of 4 dimensions, but texts of .* have 5'):
        walls.add(MODEL, seen(narrow))


def test_vectors_of_another_model_are_refused_with_both_names(walls, tmp_path):
    walls.save(tmp_path / 'map')
    other = LanguageMap(SETTINGS)
    labels = labels_of('floor', 'wall')
    strange = replace(labels, texts=replace(labels.texts, model='other-5-89abcdef'))
    other.use_labels(strange)
    for attempt in (
        lambda: walls.add('other-5-89abcdef', seen(wall_ahead(1.0))),
        lambda: walls.use_labels(strange),
        lambda: other.load(tmp_path / 'map'),
    ):
        with pytest.raises(ValueError, match=f'{MODEL}.*other-5-89abcdef'):
            attempt()
    assert len(other) == 0 and LanguageMap(SETTINGS).load(tmp_path / 'map') == len(walls)


def test_map_of_another_frame_is_refused_with_both_names(walls, tmp_path):
    walls.save(tmp_path / 'map')
    other = LanguageMap(SETTINGS, 'odom')
    with pytest.raises(ValueError, match='in the frame map, and the map in odom: set map_frame'):
        other.load(tmp_path / 'map')
    assert len(other) == 0


@pytest.mark.parametrize('kept', [0, 7, 100, 0.5, 0.999])
def test_truncated_file_is_refused_and_the_map_kept(walls, tmp_path, kept):
    path = tmp_path / 'map'
    walls.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    before = len(walls)
    with pytest.raises(ValueError, match='map is not a map, or cut short'):
        walls.load(path)
    assert len(walls) == before


def test_files_that_hold_something_else_are_refused(walls, tmp_path):
    save_file({'cells': torch.zeros(2, 3)}, tmp_path / 'weights')
    with pytest.raises(ValueError, match='weights is not a map of this version'):
        walls.load(tmp_path / 'weights')
    with pytest.raises(FileNotFoundError, match='no such map'):
        walls.load(tmp_path / 'nothing')
    walls.save(tmp_path / 'map')
    with pytest.raises(ValueError, match=r'voxels of 0.1 m, and the map of 0.2 m'):
        LanguageMap(MapSettings(voxel_size=0.2)).load(tmp_path / 'map')
    with pytest.raises(ValueError, match='the map is empty'):
        LanguageMap(SETTINGS).save(tmp_path / 'empty')


@pytest.mark.parametrize(
    ('name', 'place', 'value', 'fault'),
    [
        ('cells', 0, -(2**31), 'voxels too far'),  # whose absolute value is negative
        ('cells', slice(None), 0, 'there twice'),
        ('weights', 0, float('inf'), 'weights'),
        ('weights', 0, 0.0, 'weights'),
        ('seen_s', 0, float('nan'), 'times'),
        ('seen_s', 0, 1e300, 'times'),
        ('vectors', 0, float('nan'), 'vectors'),
        ('vectors', 0, 6e4, 'vectors'),
    ],
)
def test_file_with_impossible_voxels_is_refused(walls, tmp_path, name, place, value, fault):
    voxels = walls.voxels()
    getattr(voxels, name)[place] = value
    write_map(tmp_path / 'map', voxels, walls.facts)
    with pytest.raises(ValueError, match=f'map is damaged: .*{fault}'):
        LanguageMap(SETTINGS).load(tmp_path / 'map')


def test_full_disk_leaves_the_former_file_and_names_it(walls, tmp_path):
    path = tmp_path / 'map'
    walls.save(path)
    before = path.read_bytes()
    with room(1000), pytest.raises(OSError, match='map'):
        walls.save(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ['map']
