# SPDX-License-Identifier: Apache-2.0
"""Maps of votes for labels: what they answer, keep and refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from map_scene import MODEL, SIZE_M, seen, wall_ahead
from torch.profiler import ProfilerActivity, profile

from lseg_ros.labels import LabelRegistry
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.mapping import vote_map
from lseg_ros.mapping.language_map import LanguageMap
from lseg_ros.mapping.vote_map import VoteMap
from lseg_ros.mapping.voxel_map import MapSettings

SETTINGS = MapSettings(voxel_size=SIZE_M)


@pytest.fixture
def registry():
    return LabelRegistry()


def frame(class_id, stamp_s=1.0, distance=2.0):
    """Return what a camera sees of a wall, all of it with one id."""
    ids = torch.full((24, 32, 1), class_id, dtype=torch.uint8)
    return seen(replace(wall_ahead(distance, stamp_s=stamp_s), vectors=ids))


def labels_of(known):
    """Return the ids and the confidences that the voxels have, each once."""
    labels = known.label(known.voxels())
    return set(labels.ids.tolist()), sorted({round(float(value), 2) for value in labels.confidence})


def test_voxel_has_the_label_with_most_votes_and_their_share_as_confidence(registry):
    labels = registry.replace(['floor', 'sofa'])
    known = VoteMap(SETTINGS)
    for stamp_s, class_id in enumerate((2, 1, 2, 2)):
        known.add(labels, frame(class_id, float(stamp_s)))
    assert labels_of(known) == ({UNLABELLED}, [0.0])  # no labels are in force yet
    known.use_labels(labels)
    assert labels_of(known) == ({2}, [0.75])


def test_votes_belong_to_names_whatever_ids_they_have(registry):
    known = VoteMap(SETTINGS)
    known.add(registry.replace(['floor', 'sofa']), frame(2))
    renumbered = LabelRegistry().replace(['sofa', 'lamp', 'floor'])
    known.use_labels(renumbered)
    assert labels_of(known) == ({1}, [1.0])
    known.add(renumbered, frame(2, 2.0))  # lamp, a name that is new to the map
    assert labels_of(known)[1] == [0.5]
    known.use_labels(LabelRegistry().replace(['lamp']))
    assert labels_of(known) == ({1}, [0.5])
    known.use_labels(LabelRegistry().replace(['door']))
    assert labels_of(known) == ({UNLABELLED}, [0.0])


def test_unlabelled_pixels_become_voxels_without_votes(registry):
    known = VoteMap(SETTINGS)
    labels = registry.replace(['floor'])
    known.use_labels(labels)
    known.add(labels, frame(UNLABELLED))
    assert len(known) > 300 and labels_of(known) == ({UNLABELLED}, [0.0])
    known.add(labels, frame(1, 2.0))
    assert labels_of(known) == ({1}, [1.0])


def test_votes_of_a_dense_image_take_no_row_of_all_names_for_each_pixel(registry):
    names = [f'name {number}' for number in range(250)]
    labels = registry.replace(names)
    ids = torch.tensor(labels.ids)[torch.arange(120 * 160) % len(labels.ids)].to(torch.uint8)
    view = replace(
        wall_ahead(2.0),
        vectors=ids.view(120, 160, 1),
        colors=np.zeros((120, 160, 3), np.uint8),
        depth=np.full((120, 160), 2.0, np.float32),
        rays=np.stack(np.meshgrid(np.linspace(-0.8, 0.8, 160), np.linspace(-0.6, 0.6, 120))).astype(np.float32),
    )
    known = VoteMap(SETTINGS)
    known.add(labels, frame(1))  # which makes room for the names
    dense = seen(view)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as taken:
        known.add(labels, dense)
    largest = max(event.self_cpu_memory_usage for event in taken.events())
    assert 0 < largest < len(dense.points) * len(names)  # bytes
    shares = known.voxels().vectors.float()
    assert torch.allclose(shares.sum(1), torch.ones(len(shares)), atol=0.01)


def test_words_are_answered_if_they_name_a_label_and_refused_otherwise(registry):
    known = VoteMap(SETTINGS)
    labels = registry.replace(['floor', 'sofa=sofa|couch'])
    known.use_labels(labels)
    known.add(labels, frame(2))
    known.add(labels, frame(1, 2.0))
    scores = known.label(known.voxels()).relevance(['sofa', 'couch', 'floor', 'other'], None)
    assert np.allclose(scores, np.array([[0.5], [0.5], [0.5], [0.0]]), atol=1e-3)
    with pytest.raises(ValueError, match="'lamp' is no label of this map.*'other', 'floor', 'sofa'"):
        known.label(known.voxels()).relevance(['lamp'], None)


def test_votes_come_back_from_their_file_and_no_kind_of_map_takes_the_other(registry, tmp_path):
    known = VoteMap(SETTINGS)
    labels = registry.replace(['floor', 'sofa'])
    known.add(labels, frame(2))
    known.save(tmp_path / 'votes')
    again = VoteMap(SETTINGS)
    assert again.load(tmp_path / 'votes') == len(known)
    again.use_labels(LabelRegistry().replace(['sofa']))
    assert labels_of(again) == ({1}, [1.0])
    embedded = LanguageMap(SETTINGS)
    embedded.add(MODEL, seen(wall_ahead(2.0)))
    embedded.save(tmp_path / 'embeddings')
    with pytest.raises(ValueError, match='votes has votes for labels, not embeddings: set input to label_image'):
        embedded.load(tmp_path / 'votes')
    with pytest.raises(ValueError, match='embeddings has embeddings, not votes for labels: set input to embedding'):
        again.load(tmp_path / 'embeddings')
    assert len(again) == len(known)


def test_names_are_bounded(registry, monkeypatch):
    monkeypatch.setattr(vote_map, 'MOST_NAMES', 3)
    known = VoteMap(SETTINGS)
    known.add(registry.replace(['floor', 'sofa']), frame(1))
    with pytest.raises(ValueError, match='votes for more than 3 names of labels'):
        known.add(registry.replace(['lamp']), frame(3))
    assert len(known) > 300
