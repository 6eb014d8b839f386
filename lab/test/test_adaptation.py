# SPDX-License-Identifier: Apache-2.0
"""Adaptation: cameras, the teacher's embeddings on disk, samples, training and report."""

import argparse
import json

import bag_files
import numpy as np
import pytest
import torch
from PIL import Image

from lseg_lab.adaptation.agreement import Comparison, FrameAnswers
from lseg_lab.adaptation.cameras import check_distinct, find_cameras
from lseg_lab.adaptation.frame_store import Frame, View, open_store
from lseg_lab.adaptation.imitation import ImitationRecipe
from lseg_lab.adaptation.report import draw_difference
from lseg_lab.adaptation.scene_checks import SceneChecks
from lseg_lab.adaptation.student import build_student, with_words
from lseg_lab.adaptation.teacher_pass import STEP, TeacherPass, choose_frames
from lseg_lab.adaptation.view_shape import ViewShape
from lseg_lab.adaptation.view_stream import ViewStream
from lseg_lab.commands import adapt, adapt_run
from lseg_lab.training.config import TrainingConfig
from lseg_lab.training.dataset import Sample
from lseg_lab.training.lite import LabelObjective
from lseg_lab.training.questions import Question
from lseg_ros.core.single_pass import SinglePassSegmenter
from lseg_ros.labels import LabelRegistry
from lseg_ros.media.videos import VideoWriter
from lseg_ros.model import LSegConfig, build, load, save

SIZE = (64, 96)
SHAPE = ViewShape((32, 64), student=32, teacher=32)
FRAMES = [Frame(0, number) for number in range(10)]
VIEWS = [View(0, number, index) for number in range(3) for index in (1, 2)]
LABELS = LabelRegistry().replace(['floor', 'wall', 'door'])
NO_SCENE = SceneChecks(LABELS, {}, 0.0)


def frame(index):
    """Return a frame: a grey floor, a wall whose brightness is `index`, and a red thing."""
    image = np.full((*SIZE, 3), 90, np.uint8)
    image[:32] = 20 * index
    image[20:44, 8 * index : 8 * index + 20] = (200, 30, 30)
    return image


@pytest.fixture
def folder(tmp_path):
    """Return a folder with ten frames of one camera."""
    root = tmp_path / 'front'
    root.mkdir()
    for index in range(10):
        Image.fromarray(frame(index)).save(root / f'{index:03}.png')
    return root


@pytest.fixture(scope='module')
def teacher():
    """Return a segmenter with a small network."""
    torch.manual_seed(0)
    config = LSegConfig(name='big', width=16, input_size=32)
    return SinglePassSegmenter(build(config).eval().requires_grad_(False))


@pytest.fixture
def open_pass(folder, teacher, tmp_path):
    """Return a function that opens a store of the folder's frames, and a pass that fills it."""

    def opened(segmenter=teacher, least=8, shape=SHAPE):
        cameras = find_cameras([str(folder)], tmp_path / 'store')
        store = open_store(tmp_path / 'store', teacher.model, cameras, least, shape)
        return store, TeacherPass(segmenter, cameras, store, least)

    return opened


@pytest.fixture
def store(open_pass):
    """Return the teacher's embeddings of the folder's frames."""
    store, teacher_pass = open_pass()
    teacher_pass.frames(FRAMES)
    return store


@pytest.fixture
def views(open_pass):
    """Return a store with two views of each of three frames."""
    store, teacher_pass = open_pass()
    assert teacher_pass.views(FRAMES[:3], 2, SHAPE) == VIEWS
    return store


def read_all(camera):
    return [(number, image.shape) for number, image in camera.read(range(camera.count))]


def test_each_folder_video_and_topic_is_a_camera(folder, tmp_path):
    video = tmp_path / 'drive.mp4'
    with VideoWriter(video, 10) as writer:
        for index in range(4):
            writer.write(frame(index))
    bag = tmp_path / 'bag'
    bag_files.write_bag(bag, {'/image': [bag_files.image(index, frame(index)) for index in range(3)]})
    cameras = find_cameras([str(folder.parent / 'front'), str(video), str(bag)], tmp_path / 'work')
    assert [camera.count for camera in cameras] == [10, 4, 3]
    assert [camera.name for camera in cameras] == [str(folder), str(video), f'{bag}:/image']
    for camera in cameras:
        assert read_all(camera) == [(number, (*SIZE, 3)) for number in range(camera.count)]
        assert [number for number, _ in camera.read([1, 2])] == [1, 2]


def test_a_folder_is_searched_for_videos_and_bags(folder, tmp_path):
    """Files inside a bag are not bags of their own."""
    root = tmp_path / 'recordings'
    (root / 'monday').mkdir(parents=True)
    with VideoWriter(root / 'monday' / 'drive.mp4', 10) as writer:
        writer.write(frame(0))
    bag_files.write_bag(root / 'bag', {'/image': [bag_files.image(0, frame(0))]})
    names = [camera.name for camera in find_cameras([str(root)], tmp_path / 'work')]
    assert names == [f'{root}/bag:/image', f'{root}/monday/drive.mp4']
    folder.rename(root / 'front')
    assert [camera.name for camera in find_cameras([str(root)], tmp_path / 'work')] == [f'{root}/front', *names]


def test_depth_and_masks_of_a_recording_are_no_cameras(tmp_path):
    for part in ('rgb', 'depth', 'mask'):
        (tmp_path / 'left' / part).mkdir(parents=True)
        Image.fromarray(frame(0)).save(tmp_path / 'left' / part / '000.png')
    (tmp_path / 'left' / 'camera.json').write_text('{}')
    for argument in (tmp_path, tmp_path / 'left'):
        assert [camera.name for camera in find_cameras([str(argument)], tmp_path / 'w')] == [str(tmp_path / 'left')]


def test_a_frame_that_cannot_be_read_is_reported_and_skipped(folder, tmp_path, capsys):
    (folder / '003.png').write_bytes(b'no image')
    (camera,) = find_cameras([str(folder)], tmp_path / 'work')
    assert [number for number, _ in camera.read([2, 3, 4])] == [2, 4]
    assert 'skipped' in capsys.readouterr().err


def test_frames_are_spread_evenly(folder, tmp_path):
    (camera,) = find_cameras([str(folder)], tmp_path / 'work')
    assert [each.number for each in choose_frames([camera], 4)] == [0, 3, 6, 9]
    assert len(choose_frames([camera, camera], 100)) == 20


def test_images_given_twice_count_once(folder, tmp_path):
    (camera,) = find_cameras([str(folder), str(folder / '00*.png')], tmp_path / 'work')
    assert camera.count == 10


def test_a_camera_is_trained_on_or_left_out(folder, tmp_path):
    (camera,) = find_cameras([str(folder)], tmp_path / 'work')
    with pytest.raises(ValueError, match='front is given twice'):
        check_distinct([camera, camera])


def test_the_stored_embedding_is_the_teachers(store, teacher):
    image = frame(4)
    assert np.array_equal(store.image(Frame(0, 4)), image)
    stored = store.embedding(Frame(0, 4), SIZE)
    assert torch.allclose(stored.rows(0, 64), teacher.embed(image).rows(0, 64), atol=2e-3)
    theirs = teacher.segment([image], teacher.prepare(LABELS))[0].ids
    assert np.mean(teacher.segment_embedding(stored, LABELS).ids == theirs) > 0.99


@pytest.mark.parametrize(('least', 'cells'), [(9, (16, 24)), (8, (8, 12)), (1, (2, 3))])
def test_fine_grids_are_averaged_to_the_resolution_of_the_student(open_pass, teacher, least, cells):
    """The teacher reduces 64 x 96 pixels to 32 x 48, and its grid has 8 x 12 cells."""
    fine = SinglePassSegmenter(teacher.model, input_size=64)
    store, teacher_pass = open_pass(fine, least)
    teacher_pass.frames(FRAMES[:1])
    stored = store.embedding(Frame(0, 0), SIZE)
    assert stored.grid.shape[1:] == cells
    whole = fine.embed(frame(0)).grid.mean((1, 2))
    assert torch.allclose(stored.grid.mean((1, 2)), whole, atol=1e-3)


def test_only_missing_embeddings_are_computed(store, views, open_pass, teacher, monkeypatch):
    (store.folder / '00_000007.npy').unlink()
    (store.folder / '00_000001_02.npy').unlink()
    seen = []
    embed = teacher.embed
    monkeypatch.setattr(teacher, 'embed', lambda image: seen.append(1) or embed(image))
    _, teacher_pass = open_pass()
    assert teacher_pass.frames(FRAMES) == FRAMES
    assert teacher_pass.views(FRAMES[:3], 2, SHAPE) == VIEWS
    assert len(seen) == 2


def test_embeddings_of_another_teacher_or_other_views_are_refused(store, open_pass, folder, tmp_path):
    other = build(LSegConfig(name='other', width=8))
    with pytest.raises(ValueError, match='other teacher'):
        open_store(store.folder, other, find_cameras([str(folder)], tmp_path / 'store'), 8, SHAPE)
    with pytest.raises(ValueError, match='other views'):
        open_pass(shape=ViewShape((32, 32), student=32, teacher=32))


def test_a_disk_that_is_too_small_is_noticed_at_the_first_view(open_pass, monkeypatch):
    usage = type('Usage', (), {'free': 10_000})
    monkeypatch.setattr('shutil.disk_usage', lambda path: usage)
    with pytest.raises(OSError, match=r'9 more views need .* fewer --frames or --views'):
        open_pass()[1].views(FRAMES[:5], 2, SHAPE)


def test_the_first_view_is_the_frame_as_the_student_sees_it(views, teacher):
    """64 x 96 pixels are reduced to 32 x 48, and 16 columns of padding are seen."""
    for number in range(3):
        ours = teacher.embed(frame(number)).grid
        row, column = View(0, number, 1).first
        targets = torch.from_numpy(views.targets(View(0, number, 1))).float()
        cosine = (targets * ours[:, row::STEP, column::STEP].permute(1, 2, 0)).sum(2)
        assert cosine.min() > 0.98
    assert (views.image(View(0, 0, 1))[:, 48:] == 128).all()


def test_targets_are_what_the_teacher_sees_in_the_same_picture(views, teacher):
    for view in VIEWS:
        image, (row, column) = views.image(view), view.first
        expected = teacher.embed(image).grid[:, row::STEP, column::STEP].permute(1, 2, 0)
        assert image.shape == (32, 64, 3)
        assert torch.allclose(torch.from_numpy(views.targets(view)).float(), expected, atol=2e-3)


def test_every_cell_has_a_target_in_some_view():
    assert {View(0, 0, index).first for index in range(1, 5)} == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_each_network_sees_a_view_at_its_own_scale(open_pass, teacher):
    """Of frames 64 pixels high, a teacher that reduces to 64 sees twice what the student does."""
    fine, shape = SinglePassSegmenter(teacher.model, input_size=64), ViewShape((32, 64), student=32, teacher=64)
    ours, theirs = shape.draw(frame(5), 2, np.random.default_rng(0))
    assert (ours.shape, theirs.shape) == ((32, 64, 3), (64, 128, 3))
    half = theirs.reshape(32, 2, 64, 2, 3).mean((1, 3))
    assert np.abs(half - ours).max() < 1
    store, teacher_pass = open_pass(fine, shape=shape)
    teacher_pass.views(FRAMES[:1], 1, shape)
    grid = fine.embed(np.pad(frame(0), ((0, 0), (0, 32), (0, 0)), constant_values=128)).grid
    coarse = torch.nn.functional.avg_pool2d(grid, 2)[:, ::STEP, 1::STEP].permute(1, 2, 0)
    assert torch.allclose(torch.from_numpy(store.targets(View(0, 0, 1))).float(), coarse, atol=2e-3)


def test_every_view_is_seen_before_any_is_seen_again(views):
    samples = ViewStream(views, VIEWS, seed=1)
    images = [samples[number].image.tobytes() for number in range(12)]
    assert set(images[:6]) == set(images[6:]) == {views.image(view).tobytes() for view in VIEWS}
    assert images == [ViewStream(views, VIEWS, seed=1)[number].image.tobytes() for number in range(12)]
    assert images != [ViewStream(views, VIEWS, seed=2)[number].image.tobytes() for number in range(12)]


def test_embeddings_and_answers_are_compared_where_the_targets_are(views, teacher):
    """A network whose vectors are known has a loss that can be computed by hand."""
    model = build_student(teacher.model, 'tf_efficientnet_lite0', 8, 32)
    recipe = ImitationRecipe(model, TrainingConfig(), ['wall', 'floor', 'door'])
    samples = [ViewStream(views, VIEWS)[number] for number in range(3)]
    features = torch.randn(3, 384, 8, 16)
    recipe.embed = lambda images, choose: choose(features)
    ours, theirs = [], []
    for image, sample in zip(features, samples):
        row, column = sample.first
        ours.append(image[:, row::2, column::2].flatten(1).T)
        theirs.append(torch.from_numpy(sample.targets).float().flatten(0, 1))
    ours, theirs = (each / each.norm(dim=1, keepdim=True) for each in map(torch.cat, (ours, theirs)))
    student, teachers = (torch.softmax(each @ text(model).T / 0.07, -1) for each in (ours, theirs))
    divergence = (teachers * (teachers / student).log()).sum(1).mean()
    expected = 1 - (theirs * ours).sum(1).mean() + divergence
    assert recipe.loss(recipe.collate(samples)).item() == pytest.approx(expected.item(), abs=1e-4)


def test_only_the_chosen_cells_are_embedded(teacher):
    """They are those of the whole embedding, and an untrained class prior adds nothing to them."""
    model = build_student(teacher.model, 'tf_efficientnet_lite0', 8, 32)
    recipe = ImitationRecipe(model, TrainingConfig(style_probability=0.0), ['wall', 'floor'])
    recipe.start()
    images = torch.randint(256, (2, 32, 64, 3), dtype=torch.uint8)
    whole = recipe.embed(images)
    chosen = recipe.embed(images, lambda features: features[:, :, ::2, 1::2])
    assert torch.allclose(chosen, whole[:, :, ::2, 1::2], atol=0.02 * whole.abs().max().item())
    model.decoder.class_prior = None
    assert torch.equal(recipe.embed(images), whole)


def text(model):
    """Return the vectors of the words that the test above compares by."""
    return model.encode_text(['wall', 'floor', 'door'])


class Labelled:
    """A stream whose samples are floor everywhere."""

    def __getitem__(self, number):
        question = Question(np.array([1, 0]), np.array([[True, False]]))
        return Sample(np.full((64, 64, 3), number, np.uint8), np.zeros((64, 64), np.uint8), question)


def test_labelled_samples_are_mixed_in_evenly(views):
    samples = ViewStream(views, VIEWS, labelled=Labelled(), share=0.25)
    labelled = [isinstance(samples[number], Sample) for number in range(8)]
    assert labelled == [False, False, False, True] * 2
    assert samples[7].image[0, 0, 0] == 1


def test_both_losses_count_by_their_share_of_the_batch(views, teacher):
    model = build_student(teacher.model, 'tf_efficientnet_lite0', 8, 32)
    objective = LabelObjective(model, ['wall', 'floor'], torch.ones(1))
    recipe = ImitationRecipe(model, TrainingConfig(), ['wall', 'floor'], objective)
    vector = torch.randn(384)
    features = vector[None, :, None, None]
    recipe.embed = lambda images, choose=lambda same: same: choose(features.expand(len(images), -1, 8, 16))
    one, other = ViewStream(views, VIEWS)[0], Labelled()[0]
    losses = [recipe.loss(recipe.collate([each])).item() for each in (one, other)]
    assert recipe.loss(recipe.collate([one, other, other])).item() == pytest.approx(np.dot([1 / 3, 2 / 3], losses))
    cosine = vector @ model.encode_text(['floor', 'wall']).T / vector.norm()
    assert losses[1] == pytest.approx(-torch.log_softmax(cosine / 0.07, 0)[0].item(), abs=1e-4)


def test_a_teacher_agrees_with_itself(store, teacher):
    result = Comparison(teacher, teacher, store, LABELS).over([Frame(0, 8), Frame(0, 9)], 'end', NO_SCENE)
    assert result.cosine == pytest.approx(1, abs=1e-3)
    assert result.share > 0.99
    assert sum(row['teacher'] for row in result.classes().values()) == pytest.approx(1)


def test_the_teacher_is_asked_again_about_mirrored_frames(store, teacher):
    result = Comparison(teacher, teacher, store, LABELS).over([Frame(0, 8), Frame(0, 9)], 'end', NO_SCENE)
    prepared, shares = teacher.prepare(LABELS), []
    for index in (8, 9):
        plain, mirrored = (teacher.segment([image], prepared)[0].ids for image in (frame(index), frame(index)[:, ::-1]))
        shares.append(np.mean(plain == mirrored[:, ::-1]))
    assert min(shares) < 0.97, 'the frames tell nothing'
    assert result.mirrored == pytest.approx(np.mean(shares), abs=0.01)


def test_the_mean_cosine_is_that_of_the_rows(store, teacher):
    other = SinglePassSegmenter(build(LSegConfig(name='other', width=8, input_size=32)).eval())
    found = Comparison(teacher, other, store, LABELS).answers(Frame(0, 3))
    theirs, ours = (each.embed(frame(3)).rows(0, SIZE[0]) for each in (teacher, other))
    assert found.cosine == pytest.approx((theirs * ours).sum(-1)[4::8].mean().item(), abs=2e-3)


def test_differences_are_magenta():
    image = np.full((40, 60, 3), 90, np.uint8)
    theirs, ours = np.ones((40, 60), np.uint8), np.ones((40, 60), np.uint8)
    ours[:, 30:] = 2
    picture = draw_difference(FrameAnswers(image, theirs, ours, 0.5), LABELS)
    assert picture.shape == (80, 120, 3)
    assert tuple(picture[5, 100]) == (255, 0, 160)
    assert tuple(picture[5, 70]) == (30, 30, 30)


def test_a_table_of_words_answers_as_the_text_encoder(teacher, tmp_path):
    student = build_student(teacher.model, 'tf_efficientnet_lite0', 8, 32)
    save(with_words(student, ['floor', 'wall', 'floor']), tmp_path / 'words.safetensors')
    loaded = load(tmp_path / 'words.safetensors')
    assert loaded.config.text == 'words:2x384'
    expected = student.encode_text(['wall', 'floor'])
    assert torch.allclose(loaded.encode_text(['wall', 'floor']), expected, atol=1e-3)
    with pytest.raises(ValueError, match="'giraffe' is none of the 2 words"):
        loaded.encode_text(['giraffe'])


def run_command(*arguments):
    """Run `lseg adapt`."""
    parser = argparse.ArgumentParser()
    adapt.add_arguments(parser)
    return adapt.run(parser.parse_args([str(argument) for argument in arguments]))


@pytest.fixture
def arguments(folder, teacher, tmp_path, monkeypatch):
    """Return arguments of a small adaptation that learns few words, as hundreds take seconds."""
    monkeypatch.setattr(adapt_run, 'shipped_label_files', dict)
    monkeypatch.setattr('lseg_ros.backends.find_spec', lambda name: None)  # no OpenVINO: torch starts sooner
    save(teacher.model, tmp_path / 'teacher.safetensors')
    (tmp_path / 'labels.yaml').write_text('labels: {floor: [floor], wall: [wall], door: [door]}\n')
    return (
        *('--teacher', tmp_path / 'teacher.safetensors', '--images', folder, '--out', tmp_path / 'mine.safetensors'),
        *('--steps', 6, '--batch', 2, '--workers', 0, '--width', 16, '--input-size', 32, '--views', 2),
        *('--words', '--device', 'cpu', '--every', 3, '--labels-file', tmp_path / 'labels.yaml'),
    )


@pytest.mark.slow
def test_the_command_learns_resumes_and_reports(arguments, tmp_path, capsys):
    """The student comes closer to its teacher; a second run finds everything done.

    By default, views have the size of the frames, which need not be a multiple of the stride.
    """
    assert run_command(*arguments) == 0
    log = [json.loads(line) for line in (tmp_path / 'mine.adapt' / 'run' / 'log.jsonl').open()]
    assert [row['step'] for row in log] == [3, 6] and log[1]['loss'] < log[0]['loss']
    report = json.loads((tmp_path / 'mine.adapt' / 'report' / 'report.json').read_text())
    assert report['end of each camera']['frames'] == 2
    assert len(list((tmp_path / 'mine.adapt' / 'report').glob('*.png'))) == 2
    model = load(tmp_path / 'mine.safetensors')
    assert model.name == 'big-adapted' and model.encode_text(['floor']).shape == (1, 384)
    capsys.readouterr()
    assert run_command(*arguments) == 0
    assert 'end of each camera' in capsys.readouterr().out
    assert len((tmp_path / 'mine.adapt' / 'run' / 'log.jsonl').read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        (('--crop', 240, 320), '--crop 240 320: both must be multiples of 32'),
        (('--encoder', 'resnet101'), '--encoder resnet101: use one of tf_efficientnet_lite0'),
    ],
)
def test_unusable_arguments_are_refused_before_the_teacher_works(arguments, tmp_path, option, message):
    with pytest.raises(ValueError, match=message):
        run_command(*arguments, *option)
    assert not (tmp_path / 'mine.adapt').exists()
