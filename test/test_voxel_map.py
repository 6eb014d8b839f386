# SPDX-License-Identifier: Apache-2.0
"""Voxels: what frames add to them, what clears them, and how many there may be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from map_scene import AHEAD, LIMITS, SIZE_M, WORDS, seen, vector_of, wall_ahead

from lseg_ros.mapping import observation
from lseg_ros.mapping.observation import DepthLimits, Observation, Rays, observe
from lseg_ros.mapping.voxel_index import VoxelIndex, cells_of, keys_of
from lseg_ros.mapping.voxel_map import MapSettings, VoxelMap

NO_RAYS = Rays(np.zeros(3), np.zeros((0, 3)), np.zeros(0), np.zeros(0))


def new_map(**settings):
    return VoxelMap(MapSettings(**{'voxel_size': SIZE_M} | settings), len(WORDS))


def points_at(places, word='sofa', stamp_s=1.0, weight=1.0):
    """Return an observation of single points, without rays."""
    places = np.array(places, np.float32).reshape(-1, 3)
    count = len(places)
    return Observation(
        stamp_s,
        places,
        vector_of(word).expand(count, -1),
        np.full((count, 3), 200, np.uint8),
        np.full(count, weight, np.float32),
        NO_RAYS,
    )


def test_index_finds_what_was_added_and_not_what_was_removed():
    random = np.random.default_rng(0)
    cells = np.unique(random.integers(-(2**20), 2**20, (50_000, 3)), axis=0)
    keys = keys_of(cells)
    assert np.array_equal(cells_of(keys), cells)
    index = VoxelIndex(len(keys))
    slots = random.permutation(len(keys))
    for part in np.array_split(np.arange(len(keys)), 7):
        index.add(keys[part], slots[part])
    assert np.array_equal(index.find(keys), slots)
    index.remove(slots[::2])
    assert (index.find(keys[::2]) == -1).all()
    assert np.array_equal(index.find(keys[1::2]), slots[1::2])
    index.add(keys[::2], slots[::2])
    assert index.count == len(keys)
    assert np.array_equal(index.find(keys), slots)


def test_wall_becomes_voxels_where_it_stands_with_its_vector_and_color():
    grid = new_map()
    grid.integrate(seen(wall_ahead(2.0)))
    voxels = grid.voxels()
    assert len(voxels) == len(grid) > 300
    x, y, z = (voxels.cells.T + 0.5) * SIZE_M
    assert np.abs(x - 2.0).max() <= SIZE_M  # the camera looks along x, from a height of 0.5 m
    assert (y.min(), y.max()) == pytest.approx((-1.6, 1.6), abs=SIZE_M)
    assert (z.min(), z.max()) == pytest.approx((-0.7, 1.7), abs=SIZE_M)
    assert torch.equal(voxels.vectors.float(), vector_of('wall').expand(len(voxels), -1))
    assert (voxels.colors == 100).all() and (voxels.seen_s == 1.0).all()


def test_vectors_and_colors_are_means_over_frames_and_a_frame_counts_once():
    grid = new_map()
    grid.integrate(points_at([(1.01, 0, 0)] * 5, 'sofa'))
    grid.integrate(points_at([(1.02, 0, 0)], 'lamp', stamp_s=2.0))
    voxels = grid.voxels()
    assert voxels.weights.tolist() == [2.0] and voxels.seen_s.tolist() == [2.0]
    half = (vector_of('sofa') + vector_of('lamp')) / 2
    torch.testing.assert_close(voxels.vectors[0].float(), half, atol=1e-3, rtol=0)


def test_weight_is_capped_so_that_the_mean_follows_changes():
    grid = new_map(most_weight=4.0)
    for _ in range(50):
        grid.integrate(points_at([(1, 0, 0)], 'sofa'))
    for _ in range(8):
        grid.integrate(points_at([(1, 0, 0)], 'lamp'))
    voxels = grid.voxels()
    assert voxels.weights.tolist() == [4.0]
    assert voxels.vectors[0, WORDS.index('lamp')] > 0.75


def test_who_walked_away_is_cleared_once_the_wall_behind_is_seen():
    grid = new_map()
    for number in range(6):
        grid.integrate(seen(wall_ahead(1.5, 'lamp', stamp_s=number)))
    assert len(grid) > 300
    for number in range(60):
        grid.integrate(seen(wall_ahead(3.0, 'wall', stamp_s=10 + number * 0.033)))
    voxels = grid.voxels()
    distances = (voxels.cells[:, 0] + 0.5) * SIZE_M
    assert (distances < 2).sum() < 0.02 * len(voxels)
    assert (distances > 2.9).sum() > 300


def test_many_rays_clear_in_parts_what_they_clear_at_once(monkeypatch):
    at_once, in_parts = new_map(), new_map()
    for grid in (at_once, in_parts):
        grid.integrate(seen(wall_ahead(1.0, 'sofa')))
        grid.integrate(seen(wall_ahead(3.0, stamp_s=2.0)))
        monkeypatch.setattr(observation, '_SAMPLES_AT_ONCE', 100)  # for the second map
    assert np.array_equal(at_once.voxels().cells, in_parts.voxels().cells)
    assert (in_parts.voxels().cells[:, 0] > 2.0 / SIZE_M).any()
    places = [*observation.samples_along(seen(wall_ahead(3.0)).rays, SIZE_M)]
    assert len(places) > 10 and max(map(len, places)) < 200


def test_without_clearing_everything_stays():
    grid = new_map(clearing=0.0)
    grid.integrate(seen(wall_ahead(1.5)))
    before = len(grid)
    for number in range(20):
        grid.integrate(seen(wall_ahead(3.0, stamp_s=number)))
    assert ((grid.voxels().cells[:, 0] + 0.5) * SIZE_M < 2).sum() == before


def test_surface_in_view_stays_however_long_it_is_seen():
    """A floor seen at a flat angle: rays pass close over voxels before they end."""
    grid = new_map()
    view = wall_ahead(2.0, 'floor')
    down = view.rays[1]
    with np.errstate(divide='ignore'):
        depth = np.where(down > 0.12, 0.5 / down, np.nan).astype(np.float32)  # the camera is 0.5 m above it
    sizes = []
    for number in range(40):
        grid.integrate(seen(replace(view, depth=depth, stamp_s=number * 0.033)))
        sizes.append(len(grid))
    assert sizes[-1] >= 0.98 * sizes[3] > 100


def test_depth_out_of_range_unknown_or_at_an_edge_adds_nothing():
    view = wall_ahead(2.0)
    depth = view.depth.copy()
    depth[:, :8], depth[:, 8:16], depth[:, 16:24] = np.nan, 9.0, 0.1
    places = seen(replace(view, depth=depth)).points
    assert len(places) == 24 * 7  # the column beside the jump in depth is left out
    assert len(seen(replace(view, depth=np.full_like(depth, np.nan))).points) == 0
    noisy = observe(wall_ahead(3.5), DepthLimits(noise=0.05), SIZE_M)
    assert (noisy.weights < 0.5).all()


def test_pose_that_is_not_finite_is_refused():
    pose = AHEAD.copy()
    pose[0, 3] = np.nan
    with pytest.raises(ValueError, match='not finite'):
        seen(wall_ahead(2.0, pose=pose))


def test_vectors_of_another_length_change_nothing():
    known = new_map()
    known.integrate(points_at([[1, 1, 1]]))
    longer = replace(points_at([[2, 2, 2]]), vectors=torch.ones(1, len(WORDS) + 1))
    with pytest.raises(ValueError, match='vectors of 6 dimensions in a map of 5'):
        known.integrate(longer)
    assert len(known) == len(known.voxels()) == 1


def test_map_that_is_full_forgets_the_oldest_voxels():
    grid = new_map(max_voxels=100)
    for number in range(30):
        places = [(number, side * SIZE_M + 0.01, 0) for side in range(10)]
        grid.integrate(points_at(places, stamp_s=number))
        assert len(grid) <= 100
    kept = set(grid.voxels().seen_s)
    assert 29.0 in kept and 0.0 not in kept
    assert grid.evicted >= 200
    grid.integrate(points_at([(number, 5, 5) for number in range(300)], stamp_s=99.0))
    assert len(grid) == 100 and set(grid.voxels().seen_s) == {99.0}


def test_what_is_new_is_kept_after_the_clock_was_set_back():
    grid = new_map(max_voxels=100)
    for number in range(10):
        grid.integrate(points_at([(number, side * SIZE_M + 0.01, 0) for side in range(10)], stamp_s=100.0 + number))
    for number in range(5):
        grid.integrate(points_at([(number, side * SIZE_M + 0.01, 2) for side in range(10)], stamp_s=5.0 + number))
    kept = grid.voxels()
    assert len(kept) <= 100
    assert (kept.cells[:, 2] > 0).sum() == 50


def test_points_beyond_the_reach_of_a_map_are_left_out():
    grid = new_map()
    grid.integrate(points_at([(1e6, 0, 0), (1, 0, 0)]))
    assert len(grid) == 1


@pytest.mark.parametrize('wrong', [{'voxel_size': 0}, {'max_voxels': 0}, {'clearing': -1}, {'voxel_size': np.nan}])
def test_settings_out_of_range_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MapSettings(**wrong)
    with pytest.raises(ValueError, match='2 to 1 m'):
        DepthLimits(least=2, most=1)
    assert LIMITS.least < LIMITS.most
