# SPDX-License-Identifier: Apache-2.0
"""Training: vocabulary, label sets, augmentation, objective, and exact resume."""

import argparse
import json

import cv2
import numpy as np
import pytest
import torch
from limited_disk import room
from safetensors.torch import load_file

from lseg_lab.commands import train as train_command
from lseg_lab.training import augment
from lseg_lab.training.averaging import WeightAverage, mean_state
from lseg_lab.training.config import TrainingConfig
from lseg_lab.training.dataset import SampleStream, class_shares, open_folders
from lseg_lab.training.initial_weights import load_imagenet
from lseg_lab.training.lite import LiteRecipe
from lseg_lab.training.objective import class_weights, label_set_loss
from lseg_lab.training.precision import computes_in_bfloat16
from lseg_lab.training.questions import Question, QuestionSampler
from lseg_lab.training.regularisation import LevelDropout, randomise_style
from lseg_lab.training.sampling import ImageSampler, Part
from lseg_lab.training.trainer import Trainer
from lseg_lab.training.vocabulary import load_vocabulary
from lseg_ros.labels.ids import UNLABELLED
from lseg_ros.model import LSegConfig, build, save

VOCABULARY = load_vocabulary()
CLASSES = ('floor', 'wall', 'armchair', 'desk', 'box', 'crib')


def write_rooms(root, classes=('floor', 'wall', 'box'), images=6, seed=0):
    """Write a folder like those of `lseg rooms`: grey floor, blue wall, a red box."""
    rng = np.random.default_rng(seed)
    root.mkdir()
    (root / 'dataset.json').write_text(json.dumps({'classes': classes, 'size': [80, 64]}))
    for number in range(images):
        horizon, left = rng.integers(24, 40), rng.integers(8, 50)
        image = np.zeros((64, 80, 3), np.uint8)
        mask = np.zeros((64, 80), np.uint8)
        image[:], image[:horizon], mask[:horizon] = (90, 90, 90), (200, 60, 30), 1
        image[horizon - 10 : horizon + 12, left : left + 20] = (20, 20, 220)
        mask[horizon - 10 : horizon + 12, left : left + 20] = 2
        mask[:, :2] = 255
        cv2.imwrite(str(root / f'{number:06d}_0.jpg'), image)
        cv2.imwrite(str(root / f'{number:06d}_0.mask.png'), mask)
    return root


@pytest.fixture(scope='module')
def rooms(tmp_path_factory):
    """Return a folder of six tiny rooms."""
    return write_rooms(tmp_path_factory.mktemp('data') / 'rooms')


def stream(root, seed=0, **options):
    """Return samples of a folder."""
    folder = open_folders([root])
    questions = QuestionSampler(VOCABULARY, folder.classes)
    sampler = ImageSampler(class_shares(folder))
    return SampleStream(folder, questions, sampler, crop=(64, 64), seed=seed, **options)


@pytest.mark.parametrize(
    ('name', 'asked', 'right'),
    [
        ('desk', {'desk', 'table'}, ('desk',)),
        ('desk', {'table', 'furniture'}, ('table',)),
        ('desk', {'furniture', 'other'}, ('furniture',)),
        ('armchair', {'chair', 'sofa', 'furniture'}, ('chair', 'sofa')),
        ('rug', {'floor', 'wall'}, ('floor',)),
        ('box', {'floor', 'other'}, ('other',)),
        ('box', {'floor', 'obstacle'}, ('obstacle',)),
        ('box', {'floor'}, ()),
        ('crib', {'bed', 'crib', 'other'}, ()),
        ('gizmo', {'gizmo', 'other'}, ('gizmo',)),
    ],
)
def test_nearest_asked_name_is_right(name, asked, right):
    """The object's own name, else the nearest broader level, else other.

    A class excluded from training has no right answer.
    """
    assert VOCABULARY.answers(name, asked) == right


def test_vocabulary_refuses_a_text_with_two_meanings(tmp_path):
    """The error names both concepts."""
    file = tmp_path / 'v.yaml'
    file.write_text('concepts: {a: {names: [x]}, b: {names: [b, x]}}')
    with pytest.raises(ValueError, match="'x' names both 'a' and 'b'"):
        load_vocabulary(file)


def test_vocabulary_refuses_a_held_out_name_in_training(tmp_path):
    """A trained name would not test unseen names."""
    file = tmp_path / 'v.yaml'
    file.write_text('concepts: {a: {names: [a]}, b: {names: [b], held_out: [a]}}')
    with pytest.raises(ValueError, match="'a' is held out for 'b'"):
        load_vocabulary(file)


def questions(count=300, **options):
    """Return a sampler and many questions about an image that shows CLASSES."""
    sampler = QuestionSampler(VOCABULARY, CLASSES, **options)
    rng = np.random.default_rng(0)
    return sampler, [sampler.sample(range(len(CLASSES)), rng) for _ in range(count)]


def test_questions_follow_the_vocabulary():
    """Every question agrees with the vocabulary and uses training names."""
    sampler, asked = questions()
    concept = {t: n for n in sampler.names for t in VOCABULARY.concept(n).names}
    concept['other'] = 'other'
    for question in asked:
        names = [concept[sampler.texts[row]] for row in question.texts]
        assert len(set(names)) == len(names) > 0
        for row, name in zip(question.accepted, CLASSES):
            right = VOCABULARY.answers(name, names)
            assert {names[k] for k in np.flatnonzero(row)} == set(right)


def test_classes_left_out_are_never_trained():
    """They are neither asked nor answered."""
    sampler, asked = questions()
    crib = CLASSES.index('crib')
    assert 'crib' not in sampler.texts
    assert not any(question.accepted[crib].any() for question in asked)


def test_fine_questions_name_what_is_shown_and_sometimes_hide_it():
    """Each trained class has its own answer.

    If other is asked as well, some classes are left to it.
    """
    trained = slice(0, 5)
    sampler, asked = questions(coarse=0.0, other=0.0)
    assert all(question.accepted[trained].any(1).all() for question in asked)
    sampler, asked = questions(coarse=0.0, other=1.0, hide=0.5)
    other = sampler.texts.index('other')
    hidden = [q.accepted[4, q.texts.tolist().index(other)] for q in asked if other in q.texts]
    assert len(hidden) == len(asked)
    assert 0 < np.mean(hidden) < 0.8


def test_synonyms_vary():
    """Over many questions a class is asked by several texts."""
    sampler, asked = questions(coarse=0.0)
    used = {sampler.texts[row] for question in asked for row in question.texts}
    assert {'floor', 'ground', 'flooring'} <= used


def test_samples_depend_on_seed_and_number_alone(rooms):
    """Sample 7 is the same in another stream, not with another seed."""
    first, again, other = stream(rooms)[7], stream(rooms)[7], stream(rooms, seed=1)[7]
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.mask, again.mask)
    assert np.array_equal(first.question.texts, again.question.texts)
    assert not np.array_equal(first.image, other.image)


def test_folders_with_other_class_lists_are_joined(rooms, tmp_path):
    """Masks use the indices of the joint list."""
    second = write_rooms(tmp_path / 'second', classes=('wall', 'floor', 'box'))
    folder = open_folders([rooms, second])
    assert folder.classes == ('floor', 'wall', 'box')
    _, mask = folder.read(len(folder.pairs) - 1)
    assert mask[-1, -1] == folder.classes.index('wall')
    assert mask[0, 0] == 255


def test_a_folder_that_is_none_is_named(tmp_path):
    """The error says which file is missing."""
    with pytest.raises(FileNotFoundError, match='dataset.json'):
        open_folders([tmp_path])


@pytest.mark.parametrize('change', [change for _, change in augment.PHOTOMETRIC])
def test_photometric_changes_keep_the_form(change):
    """The result is uint8 of the same shape and reproducible."""
    image = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 3) * 3
    results = [[change(image, np.random.default_rng(s)) for s in range(3)] for _ in range(2)]
    for first, again in zip(*results):
        assert first.dtype == np.uint8 and first.shape == image.shape
        assert np.array_equal(first, again)
    assert any(not np.array_equal(first, image) for first in results[0])


def test_geometry_moves_image_and_mask_together():
    """Image colours keep matching the mask's values.

    Pixels outside the picture are not labelled.
    """
    mask = np.kron([[1, 2], [3, 4]], np.ones((60, 80))).astype(np.uint8)
    image = np.repeat(mask[..., None] * 50, 3, axis=2)
    rng = np.random.default_rng(0)
    for _ in range(20):
        warped, labels = augment.geometric(image, mask, (64, 96), (0.4, 2.0), rng)
        assert warped.shape == (64, 96, 3) and labels.shape == (64, 96)
        inside = labels != UNLABELLED
        difference = np.abs(warped[..., 0].astype(int) - labels * 50.0)[inside]
        assert np.mean(difference > 1) < 0.1  # only interpolation at borders differs


def test_loss_is_cross_entropy_for_single_answers():
    """One pixel is ignored and one has no right answer."""
    embeddings = torch.nn.functional.normalize(torch.randn(1, 8, 1, 4), dim=1)
    texts = torch.nn.functional.normalize(torch.randn(3, 8), dim=1)
    masks = torch.tensor([[[0, 1, 2, 255]]], dtype=torch.uint8)
    accepted = np.array([[True, False], [False, True], [False, False]])
    question = Question(np.array([2, 0]), accepted)
    loss = label_set_loss(embeddings, masks, [question], texts, 0.07, torch.ones(3))
    logits = (embeddings[0, :, 0].T @ texts[[2, 0]].T / 0.07)[:2]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1]))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)


def test_any_of_several_right_answers_will_do():
    """The loss is zero if all labels are right."""
    embeddings = torch.nn.functional.normalize(torch.randn(1, 8, 2, 2), dim=1)
    masks = torch.zeros(1, 2, 2, dtype=torch.uint8)
    question = Question(np.array([0, 1]), np.array([[True, True]]))
    loss = label_set_loss(embeddings, masks, [question], torch.eye(8)[:2], 0.07, torch.ones(1))
    assert loss.item() == pytest.approx(0.0, abs=1e-5)


def shares_of(images, classes=3):
    """Return shares of images that show one class each."""
    return np.eye(classes, dtype=np.float32)[images]


def test_every_batch_contains_its_share_of_photographs():
    """Eight samples in a row are two photographs and six rooms, whatever their numbers."""
    rooms, photographs = np.arange(90), np.arange(90, 94)
    parts = (Part(rooms, 0.75), Part(photographs, 0.25, exact=False))
    sampler = ImageSampler(shares_of([0] * 92 + [1] * 2), parts)
    rng = np.random.default_rng(0)
    drawn = [sampler.draw(number, rng) for number in range(400)]
    batches = np.array([index >= 90 for index, _ in drawn]).reshape(-1, 8)
    assert (batches.sum(1) == 2).all()
    assert all(part.exact == (index < 90) for index, part in drawn)
    assert {index for index, _ in drawn if index >= 90} == {90, 91, 92, 93}


def test_a_class_in_a_single_image_does_not_wear_it_out():
    """Half of the draws by class would otherwise take the one image of the second class."""
    rng = np.random.default_rng(0)
    sampler = ImageSampler(shares_of([0] * 99 + [1]), balance=1.0)
    single = np.mean([sampler.draw(number, rng)[0] == 99 for number in range(2000)])
    assert single == pytest.approx(0.05 / 1.05, abs=0.02)
    sampler = ImageSampler(shares_of([0] * 80 + [1] * 20), balance=1.0)
    rare = np.mean([sampler.draw(number, rng)[0] >= 80 for number in range(2000)])
    assert rare == pytest.approx(0.5, abs=0.05)


def test_class_shares_follow_the_mixture():
    """A class of the few photographs counts as often as it is drawn."""
    shares = shares_of([0] * 8 + [1] * 2)
    parts = (Part(np.arange(8), 0.5), Part(np.arange(8, 10), 0.5))
    assert ImageSampler(shares, parts).mean_shares() == pytest.approx([0.5, 0.5, 0.0])
    assert ImageSampler(shares).mean_shares() == pytest.approx([0.8, 0.2, 0.0])


def test_names_narrower_than_a_persons_label_are_not_wrong():
    """A cabinet in a photograph may be a wardrobe; in a rendering it is not."""
    classes = ('cabinet', 'wardrobe', 'wall', 'desk')
    sampler = QuestionSampler(VOCABULARY, classes, hide=0.0)
    wardrobe = sampler.texts.index('wardrobe')

    def asked(exact, present):
        rng = np.random.default_rng(0)
        drawn = [sampler.sample(present, rng, exact=exact) for _ in range(200)]
        return any(wardrobe in question.texts for question in drawn)

    assert asked(True, [0, 2])
    assert not asked(False, [0, 2])
    assert asked(False, [0, 1]), 'if both are shown, they are told apart'


def test_unlabelled_parts_of_a_photograph_teach_nothing():
    """The loss is that of the labelled pixels alone."""
    torch.manual_seed(0)
    embeddings = torch.nn.functional.normalize(torch.randn(1, 8, 4, 6), dim=1)
    embeddings.requires_grad_(True)
    masks = torch.full((1, 4, 6), UNLABELLED, dtype=torch.uint8)
    masks[:, :2] = 0
    question = Question(np.array([0, 1, 2]), np.array([[True, False, False]]))
    loss = label_set_loss(embeddings, masks, [question], torch.eye(8)[:3], 0.07, torch.ones(1))
    loss.backward()
    assert embeddings.grad[:, :, 2:].abs().max() == 0 < embeddings.grad[:, :, :2].abs().max()


def test_large_photographs_are_reduced(tmp_path):
    """At a zoom of 1, the crop of a photograph of any size shows as much as that of a room."""
    root = write_rooms(tmp_path / 'photographs', images=1)
    file = root / '000000_0.jpg'
    cv2.imwrite(str(file), cv2.resize(cv2.imread(str(file)), (1600, 1280)))
    mask = np.zeros((1280, 1600), np.uint8)
    mask[:, 800:] = 1
    cv2.imwrite(str(root / '000000_0.mask.png'), mask)
    folder = open_folders([root])
    questions, sampler = QuestionSampler(VOCABULARY, folder.classes), ImageSampler(np.ones((1, 3)))
    samples = SampleStream(folder, questions, sampler, crop=(288, 360), zoom=(1.0, 1.0))
    shown = np.mean([(samples[n].mask != UNLABELLED).mean() for n in range(8)])
    balance = np.mean([(samples[n].mask == 1).mean() for n in range(8)])
    assert shown > 0.8
    assert 0.3 < balance < 0.7


def test_rare_classes_weigh_more():
    """Weights respect the limits, even for a class that never occurs."""
    weights = class_weights(np.array([0.8, 0.2, 0.0]), 0.5, (0.25, 4.0)).tolist()
    assert weights == pytest.approx([(0.5 / 0.8) ** 0.5, (0.5 / 0.2) ** 0.5, 4.0])


def test_style_randomisation_changes_statistics_not_structure():
    """Each channel is an affine function of itself.

    Probability 0 changes nothing.
    """
    torch.manual_seed(0)
    features = torch.randn(4, 3, 8, 8)
    assert torch.equal(randomise_style(features, 0.0, 0.5), features)
    changed = randomise_style(features, 1.0, 0.5)
    for before, after in zip(features.flatten(0, 1), changed.flatten(0, 1)):
        pair = torch.stack([before.flatten(), after.flatten()])
        assert torch.corrcoef(pair)[0, 1] == pytest.approx(1.0, abs=1e-4)
    assert not torch.allclose(changed.mean((2, 3)), features.mean((2, 3)), atol=1e-2)


def test_level_dropout_takes_whole_levels_from_some_images():
    """An image loses all features or keeps scaled ones.

    Nothing changes after removal.
    """
    torch.manual_seed(0)
    module, features = torch.nn.Identity(), torch.ones(64, 2, 3, 3)
    dropout = LevelDropout([module], 0.25)
    kept = module(features).flatten(1)
    assert torch.all((kept == 0).all(1) | torch.isclose(kept, torch.tensor(4 / 3)).all(1))
    assert 0 < (kept == 0).all(1).sum() < 40
    dropout.remove()
    assert torch.equal(module(features), features)


def test_weight_average_follows_and_gives_back():
    """Early steps count little; the block restores the weights."""
    module = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        module.weight.fill_(0.0)
        average = WeightAverage(module, 0.5)
        module.weight.fill_(1.0)
        average.update(0)  # decay (1 + 0) / (10 + 0)
        module.weight.fill_(2.0)
        average.update(100)  # decay 0.5
    with average.applied():
        assert module.weight.item() == pytest.approx(0.5 * 0.9 + 0.5 * 2.0)
    assert module.weight.item() == 2.0


def test_mean_of_networks():
    """Weights are averaged, counters are not."""
    states = [{'w': torch.tensor([v]), 'n': torch.tensor(int(v))} for v in (1.0, 4.0)]
    assert mean_state(states) == {'w': torch.tensor([2.5]), 'n': torch.tensor(1)}


def train(rooms, directory, until=None, **options):
    """Train a tiny model with fixed initial weights and return its trainer."""
    torch.manual_seed(0)
    model = build(LSegConfig(width=16))
    config = TrainingConfig(steps=12, batch=3, warm_up=2, average_decay=0.5, workers=0, **options)
    samples = stream(rooms)
    recipe = LiteRecipe(model, samples.questions.texts, torch.ones(3), config)
    trainer = Trainer(recipe, samples, directory)
    trainer.run(until=until, every=6)
    return trainer


def loss_of(model, root):
    """Return the cross-entropy over the folder's original images and three names."""
    folder = open_folders([root])
    images, masks = zip(*(folder.read(index) for index in range(len(folder.pairs))))
    pixels = model.normalise(torch.from_numpy(np.stack(images))[:, :, :64])
    truth = torch.from_numpy(np.stack(masks))[:, :, :64].long()
    with torch.no_grad():
        logits = model.eval()(pixels, model.encode_text(folder.classes))
    return torch.nn.functional.cross_entropy(logits, truth, ignore_index=255).item()


def test_bfloat16_computes_about_the_same_loss(rooms):
    """By default it is used if the CPU has instructions for it; elsewhere it would be slow."""
    samples = stream(rooms)
    torch.manual_seed(0)
    model = build(LSegConfig(width=16))

    def loss(bfloat16):
        config = TrainingConfig(style_probability=0.0)
        recipe = LiteRecipe(model, samples.questions.texts, torch.ones(3), config, bfloat16=bfloat16)
        recipe.start()
        torch.manual_seed(0)  # decides which pixels count
        return recipe.loss(recipe.collate([samples[0], samples[1]])).item()

    exact, rounded = loss(False), loss(True)
    assert rounded == pytest.approx(exact, rel=0.05) and rounded != exact
    assert loss(None) == (rounded if computes_in_bfloat16(model.device) else exact)


@pytest.mark.parametrize(
    ('capabilities', 'expected'),
    [
        ({'avx2': True, 'avx512_f': True, 'avx512_bf16': False}, False),
        ({'avx512_f': True, 'avx512_bf16': True, 'amx_bf16': False}, True),
        ({'neon': True, 'bf16': True}, True),
    ],
)
def test_which_cpus_compute_in_bfloat16(monkeypatch, capabilities, expected):
    """AVX-512 alone is not enough."""
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: capabilities, raising=False)
    assert computes_in_bfloat16(torch.device('cpu')) is expected


@pytest.fixture(scope='module')
def whole(rooms, tmp_path_factory):
    """Return the trainer of a run without interruption."""
    return train(rooms, tmp_path_factory.mktemp('whole'), learning_rate=5e-3)


@pytest.mark.slow
def test_training_lowers_the_loss(rooms, whole, tmp_path):
    """Twelve steps on six images suffice; each save is logged."""
    start = loss_of(train(rooms, tmp_path, until=1, learning_rate=0.0).model, rooms)
    assert loss_of(whole.model, rooms) < 0.8 * start
    rows = [json.loads(line) for line in (whole.directory / 'log.jsonl').open()]
    assert [row['step'] for row in rows] == [6, 12]
    assert all(row['loss'] > 0 for row in rows)


@pytest.mark.slow
def test_training_resumes_exactly(rooms, whole, tmp_path):
    """Twelve steps equal five, an interruption and seven."""
    train(rooms, tmp_path, until=5, learning_rate=5e-3)
    parts = train(rooms, tmp_path, learning_rate=5e-3)
    assert parts.step == whole.step == 12
    for name, tensor in whole.model.image_state_dict().items():
        assert torch.equal(tensor, parts.model.image_state_dict()[name]), name
    averages = [load_file(run.directory / 'weights.safetensors') for run in (whole, parts)]
    for name, tensor in averages[0].items():
        assert torch.equal(tensor, averages[1][name]), name


@pytest.mark.slow
def test_a_full_disk_leaves_the_last_state_whole(rooms, tmp_path):
    """The interrupted run continues from it."""
    train(rooms, tmp_path / 'run', until=2)
    before = {path.name for path in (tmp_path / 'run').iterdir()}
    state = (tmp_path / 'run' / 'state.pt').read_bytes()
    with room(len(state) - 1), pytest.raises(OSError, match='File too large.*state.pt'):
        train(rooms, tmp_path / 'run', until=3)
    assert {path.name for path in (tmp_path / 'run').iterdir()} == before
    assert (tmp_path / 'run' / 'state.pt').read_bytes() == state


@pytest.mark.slow
def test_a_frozen_encoder_stays_and_a_tuned_one_changes_late(rooms, tmp_path):
    """Tuning affects only the later stages."""
    torch.manual_seed(0)
    start = build(LSegConfig(width=16)).image_encoder.state_dict()
    frozen = train(rooms, tmp_path / 'frozen', until=2).model.image_encoder.state_dict()
    assert all(torch.equal(tensor, frozen[name]) for name, tensor in start.items())
    tuned = train(rooms, tmp_path / 'tuned', until=2, encoder_learning_rate=1e-3)
    tuned = tuned.model.image_encoder.state_dict()
    changed = {name for name, tensor in start.items() if not torch.equal(tensor, tuned[name])}
    assert any(name.startswith('net.blocks.6') for name in changed)
    early = ('net.conv_stem', 'net.blocks.0', 'net.blocks.1', 'net.blocks.2')
    assert not any(name.startswith(early) for name in changed)


def test_tuning_keeps_the_classes_of_imagenet(rooms):
    """The loss leads an encoder that says something else than its ImageNet weights back to them."""
    torch.manual_seed(0)
    model = build(LSegConfig(width=16))
    load_imagenet(model.image_encoder, model.config.encoder)
    samples = stream(rooms)
    config = TrainingConfig(encoder_learning_rate=1e-4, keep_classes=2.0, style_probability=0.0)
    recipe = LiteRecipe(model, samples.questions.texts, torch.ones(3), config, bfloat16=False)
    batch = recipe.collate([samples[0]])

    def forgotten():
        torch.manual_seed(0)  # the same dropout in both losses
        loss = recipe.loss(batch)
        torch.manual_seed(0)
        return loss - recipe.embedding_loss(batch)

    assert abs(forgotten().item()) < 1e-5
    weight = model.image_encoder.net.conv_head.weight
    weight.data *= 3
    before = forgotten()
    (gradient,) = torch.autograd.grad(before, weight)
    weight.data -= 0.001 * weight.norm() * gradient / gradient.norm()
    assert 0.0 < forgotten() < before


def test_another_config_does_not_resume(rooms, tmp_path):
    """The error names the difference."""
    train(rooms, tmp_path / 'run', until=1)
    with pytest.raises(ValueError, match='different learning_rate'):
        train(rooms, tmp_path / 'run', learning_rate=1e-4)


def run_command(*arguments):
    """Run `lseg train`."""
    parser = argparse.ArgumentParser()
    train_command.add_arguments(parser)
    return train_command.run(parser.parse_args([str(argument) for argument in arguments]))


@pytest.mark.slow
def test_the_command_mixes_photographs_into_rooms(rooms, tmp_path):
    """The run starts from given weights and saves new ones; classes are those of both folders."""
    photographs = write_rooms(tmp_path / 'photographs', ('floor', 'stairs', 'sky'), images=2)
    torch.manual_seed(0)
    save(build(LSegConfig(width=16)), tmp_path / 'start.safetensors')
    data = ('--data', rooms, '--photographs', photographs, '--start', tmp_path / 'start.safetensors')
    length = ('--steps', 2, '--batch', 4, '--workers', 0, '--crop', 64, 64)
    assert run_command(*data, *length, '--out', tmp_path / 'run') == 0
    start, end = (load_file(tmp_path / f) for f in ('start.safetensors', 'run/weights.safetensors'))
    assert any(not torch.equal(start[name], end[name]) for name in start)
