# SPDX-License-Identifier: Apache-2.0
"""Rendered rooms: a seed gives the same pictures in any process and in any order."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest

from lseg_lab.evaluation.drive_truth import CAMERAS, DriveTruth
from lseg_lab.rooms import appliances, generate, sanitary, small_things, textures
from lseg_lab.rooms.assets import find_assets
from lseg_lab.rooms.catalogue import Model, load_catalogues, split_held_out
from lseg_lab.rooms.drive_recording import drive_cameras
from lseg_lab.rooms.meshes import Mesh, box, cushion, simplified
from lseg_lab.rooms.model_labels import CLASSES, label_of
from lseg_lab.rooms.plan import Opening, lower_part, make_room, rectangle, wall_mesh
from lseg_lab.rooms.scene import NEAR, Camera, perspective
from lseg_lab.rooms.style import Style
from lseg_lab.rooms.textures import Textures
from lseg_ros.cli import main
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.media.sources import recorded_drive

CUBE = """\
mtllib cube.mtl
v 0 0 0
v 2 0 0
v 2 2 0
v 0 2 0
usemtl oak
f 1 2 3 4
"""


@pytest.fixture(scope='module')
def egl() -> None:
    """Skip tests if rendering is impossible."""
    moderngl = pytest.importorskip('moderngl', reason='rooms are rendered with moderngl')
    try:
        moderngl.create_context(standalone=True, backend='egl').release()
    except Exception as error:
        pytest.skip(f'no EGL here (install libegl1 and libgl1-mesa-dri): {error}')


FEW = {kind: (draw, min(count, 4)) for kind, (draw, count) in textures._DRAWN.items()}
start_worker = generate._start_worker


def start_with_few_textures(folder: Path, settings: generate.Settings) -> None:
    """Start a worker without the ten seconds that all textures take."""
    with mock.patch.object(textures, '_DRAWN', FEW):
        start_worker(folder, settings)


def render(folder: Path, rooms: int, processes: int, seed: int = 3) -> Path:
    """Run `lseg rooms` with few small pictures, few textures and no furniture catalogues."""
    small = ['--built-only', '--size', '64x48', '--views', '2', '--depth', '--kind', 'rooms']
    numbers = {'--rooms': rooms, '--processes': processes, '--seed': seed}
    arguments = [str(part) for pair in numbers.items() for part in pair]
    with mock.patch.object(generate, '_start_worker', start_with_few_textures):
        assert main(['rooms', str(folder), *arguments, *small]) == 0
    return folder


@pytest.fixture(scope='module')
def rooms(egl: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three rooms rendered in one run by two processes."""
    return render(tmp_path_factory.mktemp('rooms'), 3, processes=2)


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files of a data set."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.slow
def test_a_resumed_run_of_one_process_equals_an_uninterrupted_one_of_two(rooms: Path, tmp_path: Path) -> None:
    render(tmp_path, 1, processes=1)
    first = {name: (tmp_path / name).stat().st_mtime_ns for name in contents(tmp_path)}
    render(tmp_path, 3, processes=1)
    assert contents(tmp_path) == contents(rooms)
    assert all((tmp_path / name).stat().st_mtime_ns == time for name, time in first.items())


@pytest.mark.slow
def test_another_seed_gives_other_rooms(rooms: Path, tmp_path: Path) -> None:
    render(tmp_path, 1, processes=1, seed=4)
    assert contents(tmp_path)['000000_0.jpg'] != contents(rooms)['000000_0.jpg']


@pytest.mark.slow
def test_a_folder_of_other_settings_is_refused(rooms: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['rooms', str(rooms), '--rooms', '3', '--built-only', '--seed', '9']) == 2
    assert 'different depth, kind, seed, size, views' in capsys.readouterr().err


@pytest.mark.slow
def test_masks_name_known_classes_and_fit_their_pictures(rooms: Path) -> None:
    classes = json.loads((rooms / 'dataset.json').read_text())['classes']
    seen = set()
    for path in rooms.glob('*.mask.png'):
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        stem = str(path)[: -len('.mask.png')]
        depth = cv2.imread(f'{stem}.depth.png', cv2.IMREAD_UNCHANGED)
        assert mask.shape == depth.shape == cv2.imread(f'{stem}.jpg').shape[:2] == (48, 64)
        assert depth.dtype == np.uint16 and (depth[mask != UNLABELLED] > 1000 * NEAR / 2).all()
        seen |= set(np.unique(mask).tolist())
    assert seen - {UNLABELLED} <= set(range(len(classes)))
    assert {'floor', 'wall'} < {classes[index] for index in seen - {UNLABELLED}}


@pytest.mark.slow
def test_depth_and_camera_agree_on_the_floor(rooms: Path) -> None:
    """Floor pixels projected with depth, K and pose lie at y = 0."""
    checked = 0
    for path in rooms.glob('*.mask.png'):
        stem = str(path)[: -len('.mask.png')]
        camera = json.loads(Path(f'{stem}.json').read_text())
        floor = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) == CLASSES.index('floor')
        z = cv2.imread(f'{stem}.depth.png', cv2.IMREAD_UNCHANGED)[floor] / 1000
        v, u = np.nonzero(floor)
        rays = np.linalg.inv(camera['K']) @ np.stack([u, v, np.ones_like(u)])
        points = np.array(camera['pose']) @ np.vstack([rays * z, np.ones_like(z)])
        near = z < 3
        assert np.abs(points[1][near]).max(initial=0) < 0.08
        checked += near.sum()
    assert checked > 100


def test_missing_furniture_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='apt install sweethome3d-furniture'):
        find_assets([tmp_path / 'nowhere'], [])
    with pytest.raises(FileNotFoundError, match='no furniture catalogue'):
        find_assets([tmp_path], [])


def test_a_catalogue_gives_models_of_their_stated_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    properties = (
        'name#1=Oak table\nmodel#1=/a/cube.obj\nwidth#1=120\ndepth#1=80\nheight#1=75\n'
        'creator#1=Somebody\nname#2=Fork lift\nmodel#2=/a/cube.obj\nwidth#2=1\ndepth#2=1\n'
        'height#2=1\n'
    )
    path = tmp_path / 'Scopia.sh3f'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('PluginFurnitureCatalog.properties', properties)
        archive.writestr('a/Cube.OBJ', CUBE)
        archive.writestr('a/cube.mtl', 'newmtl oak\nKd 0.6 0.4 0.2\n')
    for _ in range(2):  # read, then from the cache
        (table,) = load_catalogues([path]).models
        low, high = table.mesh.bounds
        assert (table.label, table.creator, table.licence) == ('table', 'Somebody', 'CC-BY-3.0')
        np.testing.assert_allclose((high - low)[:2], [1.2, 0.75], rtol=1e-5)
        assert low[1] == pytest.approx(0) and low[0] == pytest.approx(-0.6)


def model(key: str, label: str) -> Model:
    return Model(key, key, label, '', 'CC0-1.0', np.ones(3), 0.0, 1.0, box(1, 1, 1))


def test_held_out_models_are_a_fifth_and_no_others() -> None:
    models = [model(f'A#{number}', 'chair') for number in range(20)] + [model('A#99', 'safe')]
    kept, held_out = split_held_out(models)
    assert len(held_out) == 4 and not set(kept) & set(held_out)
    assert models[-1] in kept  # its class is too small to split
    assert split_held_out(models[::-1])[1] == held_out


@pytest.mark.parametrize(
    ('name', 'label'),
    [
        ('Oak table', 'table'),
        ('Coffee table', 'coffee table'),
        ('Sofa 3 seats', 'sofa'),
        ('Double French window 3 panes', 'window'),
        ('Kitchen upper cabinet', 'cabinet'),
        ('Ford Focus', None),
        ('Lying down male', None),
    ],
)
def test_names_of_models_give_their_class(name: str, label: str | None) -> None:
    assert label_of(name) == label


@pytest.mark.parametrize(
    'build',
    [appliances.refrigerator, appliances.television, small_things.trash_can, sanitary.toilet, sanitary.washbasin],
)
def test_built_fixtures_stand_on_the_floor_within_the_room_they_claim(build) -> None:
    kinds = ('wood', 'planks', 'stone', 'metal', 'screen', 'picture', 'outdoors')
    grey = Textures(np.full((1, 1, 1, 4), 128, np.uint8), dict.fromkeys(kinds, (0,)))
    for seed in range(20):
        piece = build(Style(np.random.default_rng(seed), grey))
        low, high = np.array([item.mesh.moved(item.matrix).bounds for item in piece.items]).swapaxes(0, 1)
        width, height, depth = piece.size
        assert low.min(axis=0)[1] == pytest.approx(0, abs=1e-6)
        assert (np.abs([low, high])[..., 0] <= width / 2 + 0.05).all()
        assert (np.abs([low, high])[..., 2] <= depth / 2 + 0.05).all()
        assert height - 0.01 <= high[:, 1].max() <= height + 0.25
        assert piece.label in {item.label for item in piece.items} <= set(CLASSES)


def test_simplifying_keeps_the_shape() -> None:
    mesh = cushion(1.0, 0.5, 0.8, cells=60)
    fewer = simplified(mesh, 3000)
    assert len(fewer.vertices) <= 3 * 3000 < len(mesh.vertices)
    np.testing.assert_allclose(fewer.bounds, mesh.bounds, atol=0.02)


def area(mesh: Mesh) -> float:
    """Return the total area of all triangles in square metres."""
    triangles = mesh.vertices[:, :3].reshape(-1, 3, 3)
    sides = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    return float(np.linalg.norm(sides, axis=1).sum() / 2)


def test_a_wall_and_its_lower_part_have_a_hole_where_its_door_is() -> None:
    wall = make_room(rectangle(0, 0, 4, 3), 2.5).walls[0]
    wall.openings += [Opening(2.0, 0.9, 0.0, 2.0, depth=0.0), Opening(3.2, 0.6, 1.3, 0.5, depth=0)]
    assert area(wall_mesh(wall)) == pytest.approx(4 * 2.5 - 0.9 * 2.0 - 0.6 * 0.5, rel=1e-4)
    assert area(wall_mesh(lower_part(wall, 1.2))) == pytest.approx((4 - 0.9) * 1.2, rel=1e-4)


def test_normals_of_walls_point_into_the_room() -> None:
    room = make_room(rectangle(-1, -2, 3, 2), 2.5)
    inside = [wall.start + wall.along * wall.length / 2 + wall.normal * 0.1 for wall in room.walls]
    assert room.contains(np.array(inside)).all()


def test_pose_and_view_of_a_camera_agree() -> None:
    """A point ahead projects to one pixel by K and pose and by OpenGL."""
    camera = Camera((0.3, 1.2, -0.5), 0.7, -0.2, 0.1, 0.9)
    optical = np.array([0.2, -0.1, 2.0, 1.0])
    world = camera.optical_pose() @ optical
    u, v, w = camera.intrinsics(64, 48) @ optical[:3]
    clip = perspective(0.9, 64 / 48, 0.05, 40) @ camera.view_matrix() @ world
    x, y = clip[:2] / clip[3]
    np.testing.assert_allclose([(x + 1) * 32 - 0.5, (1 - y) * 24 - 0.5], [u / w, v / w], atol=1e-6)


def test_the_drive_is_smooth() -> None:
    for cameras in drive_cameras().values():
        positions = np.array([camera.position for camera in cameras])
        steps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
        assert steps.max() < 0.3 and steps.max() < 1.6 * np.median(steps)
        turns = np.angle(np.exp(1j * np.diff([camera.yaw for camera in cameras])))
        assert np.abs(turns).max() < 0.3


@pytest.mark.parametrize('camera', CAMERAS)
def test_the_shipped_drive_is_whole(camera: str) -> None:
    folder, truth = recorded_drive() / camera, DriveTruth(camera)
    facts = json.loads((folder / 'camera.json').read_text())
    names = [f'{number:03d}' for number in range(len(truth))]
    for kind, suffix in (('rgb', 'jpg'), ('depth', 'png'), ('mask', 'png')):
        assert sorted(path.name for path in (folder / kind).iterdir()) == [f'{name}.{suffix}' for name in names]
    size = (facts['height'], facts['width'])
    for number in range(0, len(truth), 20):
        depth = cv2.imread(str(folder / f'depth/{names[number]}.png'), cv2.IMREAD_UNCHANGED)
        mask = truth.mask(number)
        image = cv2.imread(str(folder / f'rgb/{names[number]}.jpg'))
        assert image.shape[:2] == depth.shape == mask.shape == size
        assert depth.dtype == np.uint16 and mask[mask != UNLABELLED].max() < len(truth.classes)


def test_the_shipped_drive_is_small() -> None:
    assert sum(path.stat().st_size for path in recorded_drive().rglob('*') if path.is_file()) <= 6_000_000


@pytest.mark.parametrize('camera', CAMERAS)
def test_the_true_floor_of_the_drive_lies_at_height_zero(camera: str) -> None:
    """Depth, K, poses and masks agree for each camera."""
    truth = DriveTruth(camera)
    facts = json.loads((recorded_drive() / camera / 'camera.json').read_text())
    heights = []
    for number in range(0, len(truth), 9):
        depth = cv2.imread(str(recorded_drive() / camera / f'depth/{number:03d}.png'), cv2.IMREAD_UNCHANGED)
        v, u = np.nonzero(truth.mask(number) == truth.classes.index('floor'))
        rays = np.linalg.inv(facts['K']) @ np.stack([u, v, np.ones(len(u))])
        points = truth.poses[number][:3, :3] @ (rays * depth[v, u] / 1000)
        heights.append(points[2] + truth.poses[number][2, 3])
    assert np.abs(np.concatenate(heights)).max() < 0.03


def test_the_cameras_of_the_drive_look_ahead_left_and_back() -> None:
    front, left, rear = (DriveTruth(camera).poses[:, :3, :3] for camera in CAMERAS)
    ahead, leftwards, back = (axes[:, :2, 2] for axes in (front, left, rear))
    np.testing.assert_allclose(leftwards, np.stack([-ahead[:, 1], ahead[:, 0]], 1), atol=1e-3)
    np.testing.assert_allclose(back, -ahead, atol=1e-3)
