# SPDX-License-Identifier: Apache-2.0
"""The data sets for semantic segmentation in small, with scores worked out by hand."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from benchmark_data import ALONE, RedNetwork, mask
from PIL import Image
from torch.nn import functional as F

from lseg_lab.commands import evaluate
from lseg_lab.evaluation import protocols
from lseg_lab.evaluation.benchmarks import evaluate_segmentation, labels_of
from lseg_lab.evaluation.multiscale import MultiScaleEvaluator
from lseg_lab.evaluation.names import benchmark_names
from lseg_lab.evaluation.protocols import PROTOCOLS, protocol_of
from lseg_lab.evaluation.segmentation_sets import (
    SEGMENTATION_SETS,
    open_ade20k,
    open_cityscapes,
    open_context59,
    open_stuff171,
    open_voc20,
    open_voc21,
)
from lseg_lab.evaluation.sliding import TALK2DINO, TIPS, SlidingEvaluator
from lseg_ros import cli
from lseg_ros.model.open_networks import open_networks
from lseg_ros.sharing.tally import Counting


class ColourNetwork(RedNetwork):
    """Knows a colour for each label by its place in the list; of two equal labels the first wins.

    Cosines are 1 where a patch has the label's colour, and less elsewhere.
    """

    stride = 14

    def __init__(self, encoder='colours'):
        super().__init__()
        self.config = SimpleNamespace(encoder=encoder, temperature=0.5)

    def encode_text(self, prompts):
        return torch.tensor([colour(prompts.index(prompt)) for prompt in prompts]) / 255

    def encode_image(self, pixels):
        return F.avg_pool2d(self.colours(pixels), self.stride)

    def colours(self, pixels):
        mean, std = (torch.tensor(value)[:, None, None] for value in (self.mean, self.std))
        return pixels * std + mean

    def correlate(self, embeddings, text):
        return (1 - (embeddings[:, None] - text[None, :, :, None, None]).abs().sum(2)) / self.config.temperature

    def forward(self, pixels, text):
        return self.correlate(self.colours(pixels), text)


def colour(index):
    """Return a colour for each label, RGB; all have blue."""
    return [51 * (index // 30), 51 * (index // 5 % 6), 51 * (1 + index % 5)]


def labelled_picture(image, mask_path, rgb, values):
    """Write a picture of one colour, without loss, and its mask."""
    image.parent.mkdir(parents=True, exist_ok=True)
    height, width = np.shape(values)
    Image.new('RGB', (width, height), tuple(rgb)).save(image, 'PNG')
    mask(mask_path, values)


def rows(*counts):
    """Return a mask of 30 columns with so many rows of each value: rows((20, 1), (10, 2))."""
    return np.repeat([value for _, value in counts], [count for count, _ in counts])[:, None].repeat(30, 1)


def score(dataset, root, encoder='tipsv2-b14', **options):
    return evaluate_segmentation(
        dataset, root, lambda: ColourNetwork(encoder), Counting(ALONE, root / 'state'), **options
    )


@pytest.fixture(autouse=True)
def small_windows(monkeypatch):
    """Let every protocol use small windows, which take little time."""

    def sliding(settings):
        return lambda model, dataset, batch: SlidingEvaluator(
            model, replace(settings, crop=224, stride=112), batch=batch
        )

    small = {
        'lseg': lambda model, dataset, batch: MultiScaleEvaluator(model, 28, 28, (1.0, 1.5)),
        'tipsv2': sliding(TIPS),
        'talk2dino': sliding(TALK2DINO),
    }
    known = {name: replace(PROTOCOLS[name], open_evaluator=opener) for name, opener in small.items()}
    monkeypatch.setattr(protocols, 'PROTOCOLS', known)


@pytest.fixture
def ade20k(tmp_path):
    """Pictures of wall, coffee table and screen; mask value 0 is not counted."""
    root = tmp_path / 'ADEChallengeData2016'
    for name, index, values in (
        ('a', 0, rows((20, 1), (10, 2), (10, 0))),
        ('b', 64, rows((40, 65))),
        ('c', 130, rows((40, 131))),
    ):
        masks = root / 'annotations' / 'validation'
        labelled_picture(root / 'images' / 'validation' / f'{name}.jpg', masks / f'{name}.png', colour(index), values)
    return tmp_path


def test_ade20k_by_the_protocol_of_lseg(ade20k):
    report = score('ade20k', ade20k, 'clip_vitl16_384')
    wall = 600 / 900
    # the truncated labels contain 'screen' twice: the first, the screen door, wins
    assert report.rows == {
        'red, lseg protocol, truncated labels': {
            'pixel acc.': pytest.approx(100 * 1800 / 3300),
            'mIoU': pytest.approx(100 * (wall + 1) / 150),
        },
        'red, lseg protocol, full labels': {
            'pixel acc.': pytest.approx(100 * 3000 / 3300),
            'mIoU': pytest.approx(100 * (wall + 2) / 150),
        },
    }
    assert dict(report.iou['full'])['wall'] == pytest.approx(100 * wall)


def test_ade20k_by_the_protocol_of_tipsv2(ade20k):
    """The mean is over the classes in the images: wall, building, coffee table and screen."""
    report = score('ade20k', ade20k)
    assert report.rows == {
        'red, tipsv2 protocol, full labels': {
            'pixel acc.': pytest.approx(100 * 3000 / 3300),
            'mIoU': pytest.approx(100 * (600 / 900 + 0 + 1 + 1) / 4),
        }
    }
    table = report.table()
    assert 'TIPSv2 L/14 (published)' in table and ' 24.7' in table
    assert 'TIPSv2 B/14; TIPSv2 L/14: the README' in table


def test_labels_of_ade20k():
    data = SimpleNamespace(names=benchmark_names('ade20k'))
    (full, _), (truncated, _) = (labels_of(data, kind, PROTOCOLS['lseg']) for kind in ('full', 'truncated'))
    assert len(full) == len(truncated) == 150 and len(set(full)) == 150
    assert [full[i] for i in (0, 58, 64, 130, 149)] == ['wall', 'screen door', 'coffee table', 'screen', 'flag']
    assert truncated[64] == 'coffee' and len(set(truncated)) == 149
    assert [i for i, name in enumerate(truncated) if name == 'screen'] == [58, 130]


def voc(root, year, masks, lists, pictures):
    """Write pictures, of (name, colour, mask), in the layout of VOCdevkit."""
    folder = root / 'VOCdevkit' / f'VOC{year}'
    for name, rgb, values in pictures:
        labelled_picture(folder / 'JPEGImages' / f'{name}.jpg', folder / masks / f'{name}.png', rgb, values)
    listing = folder / 'ImageSets' / lists / 'val.txt'
    listing.parent.mkdir(parents=True)
    listing.write_text(''.join(f'{name}\n' for name, *_ in pictures))
    return root


@pytest.fixture
def voc2012(tmp_path):
    """A cat on half of its picture, not counting 255, and a black picture that shows nothing."""
    pictures = [('2007_1', colour(7), rows((10, 8), (10, 0), (20, 255))), ('2007_2', (0, 0, 0), rows((10, 0), (10, 1)))]
    return voc(tmp_path, 2012, 'SegmentationClass', 'Segmentation', pictures)


def test_voc20_leaves_out_the_background(voc2012):
    """Cat: 300 of 300 right. Of the second picture only the 300 pixels of aeroplane count."""
    report = score('voc20', voc2012, 'talk2dino-b14')
    (row,) = report.rows.values()
    # black is closest to the first colour, that of the aeroplane
    assert row == {'pixel acc.': pytest.approx(100), 'mIoU': pytest.approx(100)}
    assert len(report.iou['full']) == 20 and report.images == {'full': 2}
    assert '(published)' not in report.table()


def test_voc21_with_a_constant_background(voc2012):
    """The whole of the first picture is taken for the cat, the second for the aeroplane."""
    data = open_voc21(voc2012)
    assert labels_of(data, 'full', PROTOCOLS['talk2dino']) == (list(data.names[1:]), 0.55)
    report = score('voc21', voc2012, 'talk2dino-b14')
    # black differs from the aeroplane's colour by 0.2 only: sigmoid(0.8) = 0.69 beats 0.55
    assert report.rows['red, talk2dino protocol'] == {
        'pixel acc.': pytest.approx(100 * (300 + 300) / 1200),
        'mIoU': pytest.approx(100 * (0 + 300 / 600 + 300 / 600) / 3),
    }


def test_voc21_with_a_picture_that_resembles_no_class(tmp_path):
    """White differs from all colours by 1 or more: sigmoid(0) < 0.55, so it is background."""
    pictures = [('a', (255, 255, 255), rows((30, 0), (10, 8))), ('b', colour(7), rows((40, 8)))]
    root = voc(tmp_path, 2012, 'SegmentationClass', 'Segmentation', pictures)
    report = score('voc21', root, 'talk2dino-b14')
    assert report.rows['red, talk2dino protocol'] == {
        'pixel acc.': pytest.approx(100 * (900 + 1200) / 2400),
        'mIoU': pytest.approx(100 * (900 / 1200 + 1200 / 1500) / 2),
    }
    assert dict(report.iou['full'])['background'] == pytest.approx(75)


@pytest.mark.parametrize('protocol, prompt', [('lseg', 'other'), ('tipsv2', 'background')])
def test_the_background_is_asked_where_it_has_no_score(voc2012, protocol, prompt):
    labels, background = labels_of(open_voc21(voc2012), 'full', PROTOCOLS[protocol])
    assert (labels[:2], len(labels), background) == ([prompt, 'aeroplane'], 21, None)


def test_context59(tmp_path):
    """Masks hold 1 to 59; 0, the rest of the world, is not counted."""
    pictures = [('2008_1', colour(58), rows((10, 59), (20, 1), (10, 0)))]
    root = voc(tmp_path, 2010, 'SegmentationClassContext', 'SegmentationContext', pictures)
    assert [open_context59(root).names[i] for i in (0, 10, 58)] == ['aeroplane', 'table', 'wood']
    report = score('context59', root)
    assert report.rows['red, tipsv2 protocol'] == {
        'pixel acc.': pytest.approx(100 / 3),
        'mIoU': pytest.approx(100 * (0 + 300 / 900) / 2),
    }
    assert 'Talk2DINO with PAMR (published)' in report.table()


@pytest.fixture
def stuff(tmp_path):
    """A person (0), a toothbrush (89) and wood (181), whose classes are 0, 79 and 170."""
    for name, index, values in (
        ('01', 0, rows((40, 0))),
        ('02', 79, rows((20, 89), (20, 255))),
        ('03', 170, rows((30, 181), (10, 92))),
    ):
        masks = tmp_path / 'annotations' / 'val2017'
        labelled_picture(tmp_path / 'images' / 'val2017' / f'{name}.jpg', masks / f'{name}.png', colour(index), values)
    return tmp_path


def test_stuff171(stuff):
    data = open_stuff171(stuff)
    assert len(data.names) == 171
    assert [data.names[data.classes[value]] for value in (0, 10, 12, 89, 91, 92, 181)] == [
        'person', 'fire hydrant', 'stop sign', 'toothbrush', 'banner', 'blanket', 'wood',
    ]  # fmt: skip
    report = score('stuff171', stuff)
    assert report.rows['red, tipsv2 protocol'] == {
        'pixel acc.': pytest.approx(100 * (1200 + 600 + 900) / 3000),
        'mIoU': pytest.approx(100 * (1 + 1 + 900 / 1200 + 0) / 4),
    }


def test_cityscapes(tmp_path):
    """labelIds: 7 road, 33 bicycle; 4 (static) and 255 (a licence plate) are not counted."""
    for city, number, index, values in (
        ('ulm', '000000', 0, rows((20, 7), (10, 33), (10, 4))),
        ('bonn', '000001', 18, rows((30, 33), (10, 255))),
    ):
        start = f'{city}_{number}_000019'
        image = tmp_path / 'leftImg8bit' / 'val' / city / f'{start}_leftImg8bit.png'
        masks = tmp_path / 'gtFine' / 'val' / city
        labelled_picture(image, masks / f'{start}_gtFine_labelIds.png', colour(index), values)
    data = open_cityscapes(tmp_path)
    assert [data.names[data.classes[value]] for value in (7, 8, 26, 33)] == ['road', 'sidewalk', 'car', 'bicycle']
    report = score('cityscapes', tmp_path, batch=3)
    assert report.rows['red, tipsv2 protocol'] == {
        'pixel acc.': pytest.approx(100 * (600 + 900) / 1800),
        'mIoU': pytest.approx(100 * (600 / 900 + 900 / 1200) / 2),
    }


@pytest.mark.parametrize(
    'encoder, name', [('tipsv2-l14', 'tipsv2'), ('talk2dino-b14', 'talk2dino'), ('tf_efficientnet_lite0', 'lseg')]
)
def test_a_model_is_evaluated_as_its_authors_do(encoder, name):
    model = ColourNetwork(encoder)
    assert protocol_of(model).name == name
    assert protocol_of(model, 'talk2dino').name == 'talk2dino'


@pytest.mark.parametrize('name', open_networks())
def test_every_open_encoder_is_evaluated_as_its_authors_do(name):
    """A new one needs an entry in PROTOCOLS, or a reason here to be evaluated like LSeg."""
    model = SimpleNamespace(config=open_networks()[name].config)
    assert name.startswith(protocol_of(model).name)


def test_the_command_offers_all_data_sets_and_protocols():
    assert set(evaluate.SEGMENTATION) == set(SEGMENTATION_SETS)
    assert tuple(PROTOCOLS) == evaluate.PROTOCOLS


@pytest.mark.parametrize(
    'dataset, path, source',
    [
        ('ade20k', r'images/validation/\*\.jpg', 'ADEChallengeData2016'),
        ('voc20', r'ImageSets/Segmentation/val\.txt', 'VOCtrainval_11-May-2012'),
        ('voc21', r'ImageSets/Segmentation/val\.txt', 'VOCtrainval_11-May-2012'),
        ('context59', r'ImageSets/SegmentationContext/val\.txt', r'trainval_merged\.json'),
        ('stuff171', r'images/val2017/\*\.jpg', r'stuffthingmaps_trainval2017\.zip'),
        ('cityscapes', r'leftImg8bit/val/\*/\*_leftImg8bit\.png', r'gtFine_trainvaltest\.zip'),
    ],
)
def test_an_empty_root_is_refused_with_the_source(tmp_path, capsys, dataset, path, source):
    command = ['evaluate', '--dataset', dataset, '--root', str(tmp_path)]
    assert cli.main(command) == 2
    assert re.fullmatch(f'lseg: error: [^\n]*{path} is missing: [^\n]*{source}[^\n]*\n', capsys.readouterr().err)


def test_a_missing_mask_is_named(voc2012):
    (voc2012 / 'VOCdevkit' / 'VOC2012' / 'SegmentationClass' / '2007_2.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'SegmentationClass/2007_2\.png is missing: .*VOCdevkit'):
        open_voc20(voc2012)


def test_an_empty_list_is_refused(voc2012):
    (voc2012 / 'VOCdevkit' / 'VOC2012' / 'ImageSets' / 'Segmentation' / 'val.txt').write_text('\n')
    with pytest.raises(FileNotFoundError, match=r'val\.txt lists no images: .*VOCdevkit'):
        open_voc21(voc2012)


@pytest.mark.parametrize(
    'values, reason',
    [(rows((40, 151)), 'has the value 151, which no class'), (rows((39, 1)), r'is \(39, 30\), its image \(40, 30\)')],
)
def test_a_mask_of_another_data_set_is_refused(ade20k, values, reason):
    mask(ade20k / 'ADEChallengeData2016' / 'annotations' / 'validation' / 'b.png', values)
    data = open_ade20k(ade20k)
    with pytest.raises(OSError, match=f'b.png: {reason}'):
        data.read(data.images[1])


def test_the_command_scores_a_real_network(voc2012, weights, tmp_path, capsys):
    command = f'evaluate --dataset voc21 --root {voc2012} --model {weights} --protocol talk2dino --batch 2'
    command += f' --state {tmp_path / "state"} --json {tmp_path / "scores.json"}'
    assert cli.main(command.split()) == 0
    assert 'talk2dino protocol' in capsys.readouterr().out
    content = json.loads((tmp_path / 'scores.json').read_text())
    assert content['published'] == {'Talk2DINO with PAMR': {'mIoU': 65.8}}
    assert 'wizwand.com' in content['sources']['Talk2DINO with PAMR']
    assert len(content['iou']['full']) == 21 and content['images'] == {'full': 2}
