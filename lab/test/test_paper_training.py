# SPDX-License-Identifier: Apache-2.0
"""Training by the authors' recipe: crops, episodes, rates, resume and several processes."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from lseg_lab.evaluation.names import benchmark_names
from lseg_lab.training.config import PaperConfig
from lseg_lab.training.crops import CropStream, Shuffle, random_crop
from lseg_lab.training.episode_stream import EpisodeStream, open_pascal5i_training
from lseg_lab.training.labelled_folders import open_ade20k_training, open_masked_folder
from lseg_lab.training.paper import PaperRecipe
from lseg_lab.training.trainer import Trainer
from lseg_ros import cli
from lseg_ros.model import LSegConfig, build, load

pytestmark = pytest.mark.slow


def write_photos(root, images=6):
    """Write pictures of grey floor below blue wall, two columns unlabelled, and a names file."""
    rng = np.random.default_rng(0)
    root.mkdir(parents=True)
    (root / 'names.txt').write_text('floor=floor|ground\nwall\n')
    for number in range(images):
        horizon = rng.integers(24, 40)
        image = rng.integers(0, 40, (64, 80, 3), dtype=np.uint8) + np.uint8(90)
        mask = np.zeros((64, 80), np.uint8)
        image[:horizon], mask[:horizon], mask[:, :2] = (200, 60, 30), 1, 255
        cv2.imwrite(str(root / f'{number}.png'), image)
        cv2.imwrite(str(root / f'{number}_mask.png'), mask)
    return root


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """Return a folder of six tiny photographs."""
    return write_photos(tmp_path_factory.mktemp('data') / 'photos')


def crops(photos, seed=0):
    """Return crops of 64 x 64 pixels."""
    folder = open_masked_folder(photos, photos / 'names.txt')
    return CropStream(folder, base=72, crop=(64, 64), seed=seed)


def tiny(dropout=0.1):
    """Return a network with fixed initial weights; dropout would differ among processes."""
    torch.manual_seed(0)
    model = build(LSegConfig(width=16))
    for module in model.modules():
        if isinstance(module, nn.Dropout2d):
            module.p = dropout
    return model


def train(photos, directory, until=None, **options):
    """Train a tiny network and return its trainer."""
    options = {'steps': 6, 'steps_per_epoch': 2, 'batch': 2, 'workers': 0, **options}
    recipe = PaperRecipe(tiny(), PaperConfig(**options))
    trainer = Trainer(recipe, crops(photos), directory)
    trainer.run(until=until, every=3)
    return trainer


def test_an_epoch_shows_every_item_once_in_an_order_of_its_own():
    order = Shuffle(7, seed=3)
    rounds = [[order(7 * turn + place) for place in range(7)] for turn in range(3)]
    assert all(sorted(items) == list(range(7)) for items in rounds)
    assert len({tuple(items) for items in rounds}) == 3
    assert Shuffle(7, seed=3)(17) == rounds[2][3]


def test_crops_move_image_and_mask_together_and_ignore_what_is_outside():
    """The long side is between half and twice the base.

    Padding is black and lies at the right and at the bottom.
    """
    mask = np.kron([[1, 2], [3, 4]], np.ones((30, 50))).astype(np.uint8)
    image = np.repeat(mask[..., None] * 50, 3, axis=2)
    widths, flips = set(), set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        pixels, labels = random_crop(image, mask, 100, (160, 180), rng)
        assert pixels.shape == (160, 180, 3) and labels.shape == (160, 180)
        outside = labels == 255
        assert not pixels[outside].any()
        assert np.mean(np.abs(pixels[..., 0] - labels * 50.0)[~outside] > 1) < 0.1
        widths.add(int((~outside[0]).sum()))
        flips.add(labels[0, 0] == 2)
        assert not outside[0, 0]
    assert min(widths) >= 50 and max(widths) == 180 and flips == {True, False}
    assert min(widths) < 60


def test_ade20k_training_masks_start_at_one(tmp_path):
    """Value 0 is not labelled; the file's class 1 is wall."""
    for kind, name in (('images', 'a.jpg'), ('annotations', 'a.png')):
        folder = tmp_path / 'ADEChallengeData2016' / kind / 'training'
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / name), np.array([[0, 1, 150]], np.uint8).repeat(4, 0))
    folder = open_ade20k_training(tmp_path)
    assert folder.read(0)[1][0].tolist() == [255, 0, 149]
    assert len(folder.classes) == 150 and folder.classes[0] == 'wall'


@pytest.fixture(scope='module')
def pascal(tmp_path_factory):
    """A folder in HSNet's layout: two images of one class in each fold."""
    root = tmp_path_factory.mktemp('hsnet')
    folders = [root / 'VOC2012' / name for name in ('JPEGImages', 'SegmentationClassAug')]
    lists = root / 'splits' / 'pascal' / 'trn'
    for folder in (*folders, lists):
        folder.mkdir(parents=True)
    for fold in range(4):
        value = 5 * fold + 1
        lines = [f'{fold}_{number}__{value:02d}' for number in range(2)]
        (lists / f'fold{fold}.txt').write_text('\n'.join(lines))
        for line in lines:
            mask = np.array([[value, 255], [0, value + 1]], np.uint8).repeat(16, 0).repeat(16, 1)
            name = line.split('__')[0]
            cv2.imwrite(str(folders[0] / f'{name}.jpg'), np.full((32, 32, 3), 40 * fold, np.uint8))
            cv2.imwrite(str(folders[1] / f'{name}.png'), mask)
    return root


def test_episodes_are_two_images_of_a_class_of_the_other_folds(pascal):
    """Unlabelled pixels and other classes are "others"."""
    stream = EpisodeStream(open_pascal5i_training(pascal, fold=3), (64, 64))
    assert len(stream) == 6
    names = benchmark_names('pascal')
    asked = set()
    for number in range(6):
        query, support = stream[number]
        assert query.labels == support.labels and query.labels[0] == 'others'
        assert np.array_equal(query.image, support.image)  # same colour, another file
        assert query.mask[:32, :32].all() and query.mask.sum() == 32 * 32
        asked.add(query.labels[1])
    assert asked == {names[0], names[5], names[10]}


def test_episodes_drawn_by_class_show_rare_classes_as_often(pascal):
    """An epoch has as many episodes as there are images."""
    source = open_pascal5i_training(pascal, fold=3)
    common = source.episodes + 20 * source.episodes[:2]
    stream = EpisodeStream(replace(source, episodes=common), (64, 64), by_class=True)
    assert len(stream) == 6
    asked = [stream[number][0].labels[1] for number in range(90)]
    counts = [asked.count(name) for name in set(asked)]
    assert len(counts) == 3 and min(counts) > 18
    assert asked[7] == stream[7][0].labels[1]


def test_the_decoder_learns_ten_times_as_fast_and_rates_fall_with_the_epochs():
    """The rate 0.004 is for a batch of 16.

    No group holds parameters of the text encoder.
    """
    model = tiny()
    recipe = PaperRecipe(model, PaperConfig(steps=8, steps_per_epoch=2, batch=4))
    slow, fast = recipe.optimizer().param_groups
    assert slow['full_lr'] == pytest.approx(0.001) and fast['full_lr'] == pytest.approx(0.01)
    assert (slow['momentum'], slow['weight_decay']) == (0.9, 1e-4)
    assert {id(p) for p in slow['params']} == {id(p) for p in model.image_encoder.parameters()}
    assert {id(p) for p in fast['params']} == {id(p) for p in model.decoder.parameters()}
    factors = [recipe.rate_factor(step) for step in range(8)]
    assert factors == pytest.approx([(1 - epoch / 4) ** 0.9 for epoch in (0, 0, 1, 1, 2, 2, 3, 3)])


def test_loss_is_cross_entropy_at_image_size(photos):
    """The loss covers the labelled pixels of the whole batch."""
    stream, model = crops(photos), tiny(dropout=0.0)
    recipe = PaperRecipe(model, PaperConfig(steps=1))
    first, second = (stream[number][0] for number in range(2))
    batch = recipe.collate([(first,), (second,)])
    loss = recipe.loss(batch)
    model.train()
    logits = model(model.normalise(batch.images), model.encode_text(('floor', 'wall')))
    expected = nn.functional.cross_entropy(logits, batch.masks.long(), ignore_index=255)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    assert all(p.grad is not None for p in recipe.image_side().parameters())
    assert all(p.grad is None for p in model.text_encoder.parameters())


def test_training_lowers_the_loss_and_resumes_exactly(photos, tmp_path):
    """Six steps equal two, an interruption and four."""
    options = {'accumulate': 2, 'learning_rate': 0.04}
    whole = train(photos, tmp_path / 'whole', **options)
    train(photos, tmp_path / 'parts', until=2, **options)
    parts = train(photos, tmp_path / 'parts', **options)
    for name, tensor in whole.model.image_state_dict().items():
        assert torch.equal(tensor, parts.model.image_state_dict()[name]), name
    rows = [json.loads(line) for line in (tmp_path / 'whole' / 'log.jsonl').open()]
    assert rows[1]['loss'] < 0.9 * rows[0]['loss']
    with pytest.raises(ValueError, match='different accumulate, learning_rate'):
        train(photos, tmp_path / 'whole')


def test_bfloat16_computes_about_the_same_loss(photos):
    stream, losses = crops(photos), []
    for bfloat16 in (False, True):
        recipe = PaperRecipe(tiny(dropout=0.0), PaperConfig(steps=1, bfloat16=bfloat16))
        losses.append(recipe.loss(recipe.collate([stream[n] for n in range(4)])).item())
    assert losses[1] == pytest.approx(losses[0], rel=0.05) and losses[0] != losses[1]


def test_synchronised_normalisation_keeps_the_network(photos):
    """Its output and its keys stay the same."""
    from timm.layers import convert_sync_batchnorm

    model, pixels = tiny().eval(), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before, keys = model.encode_image(pixels), list(model.state_dict())
        convert_sync_batchnorm(model)
        assert any(isinstance(module, nn.SyncBatchNorm) for module in model.modules())
        assert list(model.state_dict()) == keys
        assert torch.allclose(model.eval().encode_image(pixels), before, atol=1e-6)


def run_command(*arguments):
    """Run `lseg train` with the authors' recipe and return its exit status."""
    options = '--recipe paper --width 16 --crop 64 64 --batch 2 --workers 0 --device cpu'
    return cli.main(['train', *options.split(), *map(str, arguments)])


def folder_options(photos):
    """Return the options of `lseg train` for a folder of photographs."""
    return '--dataset', 'folder', '--data', photos, '--labels', photos / 'names.txt'


def test_command_trains_crops_and_episodes(photos, pascal, tmp_path):
    """The saved weights can be loaded."""
    options = ('--base', 72, '--epochs', 1, '--out', tmp_path / 'a')
    assert run_command(*folder_options(photos), *options) == 0
    state = torch.load(tmp_path / 'a' / 'state.pt')
    assert (state['step'], state['config']['steps_per_epoch']) == (3, 3)
    options = ('--fold', 3, '--steps', 1, '--out', tmp_path / 'b')
    assert run_command('--dataset', 'pascal5i', '--data', pascal, *options) == 0
    assert load(tmp_path / 'b' / 'weights.safetensors').config.width == 16


def test_a_run_stopped_early_and_taken_up_again_equals_one_that_ran_through(photos, tmp_path, capsys):
    """Its rates are those of the whole run.

    So are its weights when it stops.
    """
    options = (*folder_options(photos), '--base', 72, '--epochs', 2, '--every', 3)
    assert run_command(*options, '--out', tmp_path / 'whole') == 0
    capsys.readouterr()
    assert run_command(*options, '--out', tmp_path / 'parts', '--stop-after', 1) == 0
    assert 'stopped after step 3 of 6' in capsys.readouterr().out
    assert torch.load(tmp_path / 'parts' / 'state.pt')['step'] == 3
    assert run_command(*options, '--out', tmp_path / 'parts') == 0
    whole, parts = (torch.load(tmp_path / run / 'state.pt') for run in ('whole', 'parts'))
    assert whole['step'] == parts['step'] == 6
    assert all(torch.equal(tensor, parts['model'][name]) for name, tensor in whole['model'].items())
    rows = [[json.loads(line)['loss'] for line in (tmp_path / run / 'log.jsonl').open()] for run in ('whole', 'parts')]
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    'model, missing',
    [
        ('lseg-vitb32', 'no ImageNet weights of vit_base_patch32_384.augreg_in21k_ft_in1k'),
        ('lseg-vitl61', "did you mean 'lseg-vitl16'?"),
    ],
)
def test_command_says_which_weights_it_cannot_start_from(photos, tmp_path, capsys, monkeypatch, model, missing):
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_CACHE', str(tmp_path / 'empty'))
    options = ('--out', tmp_path / 'run', '--model', model)
    assert run_command(*folder_options(photos), *options) == 2
    error = capsys.readouterr().err
    assert missing in error and error.count('\n') == 1


def test_a_vision_transformer_learns_slowly_and_its_decoder_fast(photos, tiny_transformer):
    """The reassembling layers count as encoder."""
    model = tiny_transformer
    recipe = PaperRecipe(model, PaperConfig(steps=1, batch=2, workers=0))
    slow, fast = recipe.optimizer().param_groups
    assert fast['lr'] == pytest.approx(10 * slow['lr']) == pytest.approx(10 * 0.004 / 8)
    names = {id(p): name for name, p in model.named_parameters()}
    assert {names[id(p)] for p in slow['params']} == {
        name for name in names.values() if name.startswith('image_encoder.')
    }
    assert 'image_encoder.reassemble.0.readout.weight' in names.values()
    assert {names[id(p)].split('.')[0] for p in fast['params']} == {'decoder', 'spatial'}
    samples = crops(photos)
    recipe.loss(recipe.collate([samples[0], samples[1]])).backward()
    assert all(p.grad is not None for group in (slow, fast) for p in group['params'])


@pytest.mark.parametrize(
    'arguments, reason',
    [
        (['--zoom', '1', '2'], '--zoom is not an option of the recipe paper'),
        (['--dataset', 'folder'], 'needs --labels'),
        (['--dataset', 'pascal5i'], 'needs --fold'),
        (['--dataset', 'fss1000'], 'trn.txt is missing'),
        (
            ['--dataset', 'folder', '--labels', 'names.txt', '--epochs', '3', '--stop-after', '4'],
            '--stop-after 4: the run has 3 epochs',
        ),
    ],
)
def test_command_tells_an_error_in_one_line(photos, tmp_path, capsys, monkeypatch, arguments, reason):
    monkeypatch.chdir(photos)
    assert run_command('--data', photos, '--out', tmp_path / 'run', *arguments) == 2
    error = capsys.readouterr().err
    assert reason in error and error.count('\n') == 1
