# SPDX-License-Identifier: Apache-2.0
"""Places other than furnished rooms: stairs, furniture from above, doors close by and streets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from lseg_lab.rooms import textures
from lseg_lab.rooms.close_views import spots_above
from lseg_lab.rooms.generate import photographed
from lseg_lab.rooms.meshes import merge, stadium
from lseg_lab.rooms.model_labels import CLASSES, ROOM_CLASSES
from lseg_lab.rooms.places import KINDS, random_place
from lseg_lab.rooms.scene import Camera
from lseg_lab.rooms.staircases import Staircase, random_staircase, straight
from lseg_lab.rooms.stairs import Steps, flight, random_look
from lseg_lab.rooms.streets import passersby, patterns, vehicles
from lseg_lab.rooms.style import Style
from lseg_lab.rooms.textures import Textures, build_textures
from lseg_ros.labels.ids import UNLABELLED

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from lseg_lab.rooms.renderer import Renderer, View

_TEXTURES = (
    'wood planks parquet tiles brick carpet stone plaster wallpaper fabric picture outdoors paper'
    ' screen metal cardboard'
).split()
GREY = Textures(np.full((1, 1, 1, 4), 128, np.uint8), dict.fromkeys((*_TEXTURES, *patterns.DRAWN), (0,)))
TABLE_LIKE = ('table', 'desk', 'coffee table', 'counter', 'game table')


def style(seed: int) -> Style:
    return Style(np.random.default_rng(seed), GREY)


def staircases(count: int) -> list[Staircase]:
    drawn = [style(seed) for seed in range(count)]
    return [random_staircase(each, each.paint()) for each in drawn]


def of_class(label: str, drawn: list[Staircase]) -> list[Staircase]:
    return [each for each in drawn if each.label == label]


def test_steps_have_real_measures() -> None:
    for stairs in of_class('stairs', staircases(60)):
        for _, steps in stairs.runs:
            assert 0.14 <= steps.rise <= 0.21 and 1 <= steps.count <= 16
            assert 0.05 <= steps.going <= 0.34 and 0.7 <= steps.width <= 2.5


def test_a_staircase_ends_at_the_upper_floor_and_stays_on_its_footprint() -> None:
    for stairs in of_class('stairs', staircases(40)):
        treads = [item.mesh.moved(item.matrix).bounds for item in stairs.items if item.label == 'stairs']
        low, high = np.array(treads).min(axis=(0, 1)), np.array(treads).max(axis=(0, 1))
        x0, z0, x1, z1 = stairs.bounds
        assert low[0] > x0 - 0.1 and high[0] < x1 + 0.1 and low[2] > z0 - 0.1 and high[2] < z1 + 0.1
        assert low[1] > -0.05
        climbed = sum(steps.height for _, steps in stairs.runs)
        winders = stairs.height - climbed  # a quarter turn climbs two risers or none
        assert min(abs(winders), abs(winders - 2 * stairs.runs[0][1].rise)) < 1e-6


def test_ramps_are_as_steep_as_wheels_can_climb_and_escalators_as_deep_as_real_ones() -> None:
    drawn = staircases(120)
    ramps, escalators = of_class('ramp', drawn), of_class('escalator', drawn)
    assert len(ramps) > 5 and len(escalators) > 5
    for built in ramps:
        surface = built.items[0]
        low, high = surface.mesh.bounds
        slope = (high[1] - low[1] - 0.15) / (high[2] - low[2])  # it is 0.15 m thick
        assert surface.label == 'ramp' and 1 / 14.01 <= slope <= 1 / 4.99
        assert high[1] == pytest.approx(built.height, abs=1e-5)
    for built in escalators:
        ((_, steps),) = built.runs
        assert {item.label for item in built.items} == {'escalator'}
        assert 0.35 <= steps.going <= 0.4 and 0.19 <= steps.rise <= 0.22


def test_each_tread_of_a_flight_is_one_rise_higher_and_one_going_further() -> None:
    steps = Steps(1.0, 0.17, 0.28, 6)
    for seed in range(12):
        look = random_look(style(seed))
        mesh = merge([item.mesh for item in flight(look, steps)])
        corners = mesh.vertices[:, :3].reshape(-1, 3, 3)
        level = np.ptp(corners[..., 1], axis=1) < 1e-5
        for index in range(steps.count - 1):
            at_height = np.abs(corners[:, 0, 1] - (index + 1) * steps.rise) < 1e-4
            treads = corners[level & at_height]
            assert treads[..., 2].min() == pytest.approx(index * steps.going, abs=0.05)
            assert treads[..., 2].max() >= (index + 1) * steps.going - 1e-4


def test_walls_beside_a_flight_have_handrails_or_none() -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        look = random_look(style(seed))
        built = straight(look, Steps(1.0, 0.17, 0.28, 8), (True, True), rng)
        rails = [item for item in built.items if item.label == 'railing']
        assert all(np.abs(item.mesh.moved(item.matrix).vertices[:, 0]).max() <= 0.5 for item in rails)


@pytest.mark.parametrize('kind', [kind for kind in KINDS if kind != 'places'])  # which needs models
def test_a_seed_gives_the_same_place(kind: str) -> None:
    first, second = (random_place(kind, np.random.default_rng(7), GREY, ()) for _ in range(2))
    assert len(first.scene.items) == len(second.scene.items) > 4
    for one, other in zip(first.scene.items, second.scene.items):
        assert one.label == other.label and one.surface == other.surface
        np.testing.assert_array_equal(one.mesh.vertices, other.mesh.vertices)


def test_cameras_above_furniture_look_steeply_down_from_a_persons_height() -> None:
    rng = np.random.default_rng(1)
    spots = spots_above(random_place('above', np.random.default_rng(5), GREY, ()))
    assert spots
    for spot in spots:
        eye, target = rng.uniform(*spot.eye), rng.uniform(*spot.target)
        assert 1.2 <= eye[1] <= 1.8 and eye[1] - target[1] > 0.3


@pytest.fixture(scope='module')
def renderer() -> Renderer:
    """Open a renderer of tiny pictures; skip tests if rendering is impossible."""
    module = pytest.importorskip('lseg_lab.rooms.renderer', reason='needs moderngl')
    try:
        opened: Renderer = module.Renderer(GREY.layers, 64, 48)
    except OSError as error:
        pytest.skip(str(error))
    return opened


def pictures(renderer: Renderer, kind: str, places: int) -> list[tuple[Camera, View]]:
    """Render up to three pictures of each of a few places."""
    found = []
    for number in range(places):
        rng = np.random.default_rng((11, number))
        found += photographed(rng, random_place(kind, rng, GREY, ()), renderer, 3)
    assert len(found) >= 2 * places
    return found


def test_round_table_tops_are_closed() -> None:
    for roundness in (2.0, 12.0, 19.0):
        top = stadium(1.6, 0.9, 0.03, roundness).vertices[:, :3].reshape(-1, 3, 3)
        upper = top[np.ptp(top[..., 1], axis=1) < 1e-6][..., [0, 2]]
        sides = np.diff(upper, axis=1)
        area = np.abs(np.linalg.det(sides)).sum() / 2
        outline = upper.reshape(-1, 2)
        across = outline[np.abs(outline[:, 1] - 0.45) < 1e-4, 0]
        assert across.max() == pytest.approx(-across.min(), abs=1e-5)
        assert 0.7 * 1.6 * 0.9 < area < 1.6 * 0.9


def share(view: View, *names: str) -> float:
    return float(np.isin(view.mask, [CLASSES.index(name) for name in names]).mean())


def test_pictures_of_stairs_show_stairs_on_which_depth_grows_upwards(renderer: Renderer) -> None:
    views = [view for _, view in pictures(renderer, 'stairs', 12)]
    shown = [share(view, 'stairs') for view in views]
    assert np.mean(shown) > 0.2 and min(shown) >= 0.03
    assert max((view.mask == UNLABELLED).mean() for view in views) <= 0.02
    farther = []
    for view in views:
        stairs = view.mask == CLASSES.index('stairs')
        for u in range(0, stairs.shape[1], 3):
            rows = np.flatnonzero(stairs[:, u])
            if len(rows) > 12:
                farther.append(view.depth[rows[0], u] > view.depth[rows[-1], u])
    assert len(farther) > 100 and np.mean(farther) > 0.75


def test_stairs_in_pictures_lie_between_the_two_floors(renderer: Renderer) -> None:
    """Depth, K and pose place them there, on treads that are level and one rise apart."""
    rng = np.random.default_rng(4)
    building = random_place('stairs', rng, GREY, ())
    stairs = [item for item in building.scene.items if item.label == 'stairs']
    bounds = np.array([item.mesh.moved(item.matrix).bounds for item in stairs])
    views = photographed(rng, building, renderer, 4)
    assert views
    for camera, view in views:
        v, u = np.nonzero(view.mask == CLASSES.index('stairs'))
        rays = np.linalg.inv(camera.intrinsics(64, 48)) @ np.stack([u, v, np.ones_like(u)])
        points = camera.optical_pose() @ np.vstack([rays * view.depth[v, u], np.ones_like(u)])
        low, high = bounds[:, 0].min(axis=0), bounds[:, 1].max(axis=0)
        slack = 0.1 + 0.03 * view.depth[v, u]
        assert (low - slack[:, None] < points[:3].T).all()
        assert (high + slack[:, None] > points[:3].T).all()


def test_pictures_from_above_and_of_doors_show_their_subject(renderer: Renderer) -> None:
    above = [view for _, view in pictures(renderer, 'above', 6)]
    assert np.mean([share(view, *TABLE_LIKE, 'chair', 'cabinet') for view in above]) > 0.35
    doors = [view for _, view in pictures(renderer, 'doors', 4)]
    assert min(share(view, 'door') for view in doors) > 0.15


def test_pictures_of_things_show_one_of_them_close_by(renderer: Renderer) -> None:
    shell = ('floor', 'wall', 'ceiling', 'window', 'door')
    things = [1 - share(view, *shell) for _, view in pictures(renderer, 'things', 6)]
    assert np.mean(things) > 0.2 and min(things) >= 0.015


def test_street_pictures_show_ground_below_sky_and_nothing_unlabelled(renderer: Renderer) -> None:
    shots = pictures(renderer, 'streets', 6)
    ground = ('road', 'pavement', 'grass', 'gravel', 'crosswalk', 'kerb', 'manhole cover')
    assert np.mean([share(view, *ground) for _, view in shots]) > 0.25
    assert np.mean([share(view, 'sky') for _, view in shots]) > 0.08
    assert max((view.mask == UNLABELLED).mean() for _, view in shots) <= 0.02
    for camera, view in shots:
        rows = {name: np.nonzero(view.mask == CLASSES.index(name))[0] for name in ('sky', 'road')}
        if abs(camera.roll) < 0.1 and min(map(len, rows.values())) > 50:
            assert rows['sky'].mean() < rows['road'].mean()
        if len(rows['sky']):
            assert view.depth[view.mask == CLASSES.index('sky')].min() > 100


def test_vehicles_and_people_outdoors_have_real_measures() -> None:
    for seed in range(20):
        items = vehicles.car(style(seed)).items
        bounds = np.array([item.mesh.moved(item.matrix).bounds for item in items])
        width, height, length = bounds[:, 1].max(axis=0) - bounds[:, 0].min(axis=0)
        assert 1.6 < width < 2.4 and 1.3 < height < 2.5 and 3.5 < length < 6.0
        assert {item.label for item in items} <= {'car', 'van'}
        walker = np.array([item.mesh.bounds for item in passersby.person(style(seed))])
        assert 0.9 < walker[:, 1, 1].max() < 2.1 and -0.1 < walker[:, 0, 1].min() < 0.25


def test_mixed_sets_stay_indoors_and_keep_their_classes() -> None:
    """Masks of indoor sets rendered earlier or later have the same values."""
    labels = {
        item.label
        for number in range(12)
        for item in random_place('mixed', np.random.default_rng(number), GREY, ()).scene.items
    }
    assert labels <= set(ROOM_CLASSES) and CLASSES[: len(ROOM_CLASSES)] == ROOM_CLASSES


def test_both_splits_have_every_kind_of_outdoor_texture(monkeypatch: pytest.MonkeyPatch) -> None:
    # Drawing them all takes 20 s, and their number alone decides.
    monkeypatch.setattr(textures, '_draw_layer', lambda _draw, _seed: GREY.layers[0])
    for held_out in (False, True):
        kinds = build_textures(GREY.layers[:0], (), held_out, outdoors=True).kinds
        assert set(patterns.DRAWN) <= set(kinds)


@pytest.mark.parametrize('kind', patterns.DRAWN)
def test_outdoor_texture_has_colours_and_may_have_holes(kind: str) -> None:
    draw, _ = patterns.DRAWN[kind]
    image = draw(np.random.default_rng(0))
    assert image.shape[:2] == (256, 256) and image.shape[2] in (3, 4)
    assert image.min() >= 0 and image.max() <= 1
    assert np.ptp(image) > 0.1
