# SPDX-License-Identifier: Apache-2.0
"""Adaptation: cameras, the teacher's embeddings on disk, samples, training and report."""

import argparse
import json

import bag_files
import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from lseg_lab.adaptation.agreement import Comparison, FrameAnswers
from lseg_lab.adaptation.cameras import check_distinct, find_cameras
from lseg_lab.adaptation.frame_store import Frame, open_store
from lseg_lab.adaptation.frame_stream import CELL, STEP, FrameStream
from lseg_lab.adaptation.imitation import ImitationRecipe
from lseg_lab.adaptation.report import draw_difference
from lseg_lab.adaptation.scene_checks import SceneChecks
from lseg_lab.adaptation.student import build_student, with_words
from lseg_lab.adaptation.teacher_pass import TeacherPass, choose_frames
from lseg_lab.commands import adapt
from lseg_lab.training.augment import crop_matrix
from lseg_lab.training.config import TrainingConfig
from lseg_lab.training.dataset import Sample
from lseg_lab.training.lite import LabelObjective
from lseg_lab.training.questions import Question
from lseg_ros.core.single_pass import SinglePassSegmenter
from lseg_ros.labels import LabelRegistry
from lseg_ros.media.videos import VideoWriter
from lseg_ros.model import LSegConfig, build, load, save

SIZE = (64, 96)
FRAMES = [Frame(0, number) for number in range(10)]
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
def store(folder, teacher, tmp_path):
    """Return the teacher's embeddings of the folder's frames."""
    cameras = find_cameras([str(folder)], tmp_path / 'store')
    store = open_store(tmp_path / 'store', teacher.model, cameras, 8)
    TeacherPass(teacher, cameras, store, 8).run(FRAMES)
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
def test_fine_grids_are_averaged_to_the_resolution_of_the_student(folder, teacher, tmp_path, least, cells):
    """The teacher reduces 64 x 96 pixels to 32 x 48, and its grid has 8 x 12 cells."""
    fine = SinglePassSegmenter(teacher.model, input_size=64)
    cameras = find_cameras([str(folder)], tmp_path / 'store')
    store = open_store(tmp_path / 'store', teacher.model, cameras, least)
    TeacherPass(fine, cameras, store, least).run(FRAMES[:1])
    stored = store.embedding(Frame(0, 0), SIZE)
    assert stored.grid.shape[1:] == cells
    whole = fine.embed(frame(0)).grid.mean((1, 2))
    assert torch.allclose(stored.grid.mean((1, 2)), whole, atol=1e-3)


def test_only_missing_embeddings_are_computed(store, folder, teacher, monkeypatch, tmp_path):
    (store.folder / '00_000007.npy').unlink()
    seen = []
    embed = teacher.embed
    monkeypatch.setattr(teacher, 'embed', lambda image: seen.append(1) or embed(image))
    cameras = find_cameras([str(folder)], tmp_path / 'store')
    assert TeacherPass(teacher, cameras, store, 8).run(FRAMES) == FRAMES
    assert len(seen) == 1


def test_embeddings_of_another_teacher_are_refused(store, folder, tmp_path):
    other = build(LSegConfig(name='other', width=8))
    with pytest.raises(ValueError, match='other teacher'):
        open_store(store.folder, other, find_cameras([str(folder)], tmp_path / 'store'), 8)


def test_a_disk_that_is_too_small_is_noticed_at_the_first_frame(folder, teacher, tmp_path, monkeypatch):
    usage = type('Usage', (), {'free': 10_000})
    monkeypatch.setattr('shutil.disk_usage', lambda path: usage)
    cameras = find_cameras([str(folder)], tmp_path / 'store')
    store = open_store(tmp_path / 'store', teacher.model, cameras, 8)
    with pytest.raises(OSError, match=r'9 more frames need .* fewer --frames'):
        TeacherPass(teacher, cameras, store, 8).run(FRAMES)


def stream(store, **options):
    return FrameStream(store, FRAMES[:8], crop=(64, 64), short_side=64, **options)


def test_targets_are_the_embeddings_of_what_the_sample_shows(store, monkeypatch):
    """Without a change of light, a cell's target is the teacher's embedding at its place."""
    kept = {}

    def remember(*args):
        kept['matrix'] = crop_matrix(*args)
        return kept['matrix']

    monkeypatch.setattr('lseg_lab.training.augment.crop_matrix', remember)
    monkeypatch.setattr('lseg_lab.training.augment.photometric', lambda image, rng: image)
    samples = stream(store)
    for number in range(5):
        sample = samples[number]
        source = int(np.random.default_rng((0, number)).integers(8))
        rows = store.embedding(Frame(0, source), SIZE).rows(0, 64).numpy()
        row, column = 5, 6
        place = (np.array([[column, row]]) * STEP + sample.first[::-1] + 0.5) * CELL - 0.5
        x, y = cv2.perspectiveTransform(place[None], np.linalg.inv(kept['matrix']))[0, 0]
        assert sample.inside[row, column] == (-0.5 < x < 95.5 and -0.5 < y < 63.5)
        if sample.inside[row, column]:
            near = rows[np.clip(round(y), 0, 63), np.clip(round(x), 0, 95)]
            target = sample.targets[row, column].numpy()
            assert near @ target / np.linalg.norm(target) > 0.98


def test_samples_depend_on_seed_and_number_alone(store):
    first, again, other = stream(store)[3], stream(store)[3], stream(store, seed=1)[3]
    assert np.array_equal(first.image, again.image) and torch.equal(first.targets, again.targets)
    assert not np.array_equal(first.image, other.image)


def test_embeddings_and_answers_are_compared_inside_the_frame(store, teacher):
    """A network that gives every pixel one vector has a loss that can be computed by hand."""
    model = build_student(teacher.model, 'tf_efficientnet_lite0', 8, 32)
    recipe = ImitationRecipe(model, TrainingConfig(), ['wall', 'floor', 'door'])
    samples = [stream(store)[number] for number in range(3)]
    vector = torch.randn(384)
    recipe.embed = lambda images: vector[None, :, None, None].expand(len(images), -1, 16, 16)
    targets = torch.cat([sample.targets[torch.from_numpy(sample.inside)] for sample in samples])
    targets = targets / targets.norm(dim=1, keepdim=True)
    student = vector / vector.norm()
    ours, theirs = (torch.softmax(each @ text(model).T / 0.07, -1) for each in (student, targets))
    divergence = (theirs * (theirs / ours).log()).sum(1).mean()
    expected = 1 - (targets @ student).mean() + divergence
    assert recipe.loss(recipe.collate(samples)).item() == pytest.approx(expected.item(), abs=1e-4)


def text(model):
    """Return the vectors of the words that the test above compares by."""
    return model.encode_text(['wall', 'floor', 'door'])


class Labelled:
    """A stream whose samples are floor everywhere."""

    def __getitem__(self, number):
        question = Question(np.array([1, 0]), np.array([[True, False]]))
        return Sample(np.full((64, 64, 3), number, np.uint8), np.zeros((64, 64), np.uint8), question)


def test_labelled_samples_are_mixed_in_evenly(store):
    samples = stream(store, labelled=Labelled(), share=0.25)
    labelled = [isinstance(samples[number], Sample) for number in range(8)]
    assert labelled == [False, False, False, True] * 2
    assert samples[7].image[0, 0, 0] == 1


def test_both_losses_count_by_their_share_of_the_batch(store, teacher):
    model = build_student(teacher.model, 'tf_efficientnet_lite0', 8, 32)
    objective = LabelObjective(model, ['wall', 'floor'], torch.ones(1))
    recipe = ImitationRecipe(model, TrainingConfig(), ['wall', 'floor'], objective)
    vector = torch.randn(384)
    recipe.embed = lambda images: vector[None, :, None, None].expand(len(images), -1, 16, 16)
    one, other = stream(store)[0], Labelled()[0]
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


@pytest.mark.slow
def test_the_command_learns_resumes_and_reports(folder, teacher, tmp_path, capsys, monkeypatch):
    """The student comes closer to its teacher; a second run finds everything done."""
    monkeypatch.setattr('lseg_ros.backends.find_spec', lambda name: None)  # no OpenVINO: torch starts sooner
    save(teacher.model, tmp_path / 'teacher.safetensors')
    arguments = (
        *('--teacher', tmp_path / 'teacher.safetensors', '--images', folder, '--out', tmp_path / 'mine.safetensors'),
        *('--steps', 6, '--batch', 2, '--workers', 0, '--crop', 64, 64, '--width', 16, '--input-size', 64),
        *('--words', '--device', 'cpu', '--every', 3),
    )
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
