# SPDX-License-Identifier: Apache-2.0
"""The published episodes on small data in the same layout, with scores worked out by hand."""

import os
import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from benchmark_data import ALONE, RedNetwork, columns, mask, picture, write_fss

from lseg_lab.evaluation import benchmarks, episodes
from lseg_lab.evaluation.episodes import open_coco20i, open_fss1000, open_pascal5i
from lseg_lab.evaluation.zero_shot import count_episode, zero_shot_score
from lseg_ros.sharing.tally import Counting


@pytest.fixture
def pascal(tmp_path):
    """Fold 1 (bus to cow): a bus, half found, and a cat (mask value 8), entirely found."""
    voc = tmp_path / 'VOC2012'
    for name, values in (('a', columns(6, 36, ignored_rows=12)), ('b', columns(8, 24))):
        picture(voc / 'JPEGImages' / f'{name}.jpg')
        mask(voc / 'SegmentationClassAug' / f'{name}.png', values)
    split = tmp_path / 'splits' / 'pascal' / 'val' / 'fold1.txt'
    split.parent.mkdir(parents=True)
    split.write_text('a__06\nb__08\na__08\n')
    return tmp_path


def test_pascal_episodes_go_round_the_list(pascal):
    benchmark = open_pascal5i(pascal, 1)
    assert benchmark.names == ('bus', 'car', 'cat', 'chair', 'cow')
    assert len(benchmark.episodes) == 1000
    names = [(e.image.name, benchmark.names[e.label]) for e in benchmark.episodes]
    assert names[:4] == [('a.jpg', 'bus'), ('b.jpg', 'cat'), ('a.jpg', 'cat'), ('a.jpg', 'bus')]
    assert names[999] == names[0]


def test_pascal_counts_leave_out_ignored_pixels(pascal):
    """360 of 480 rows count; 240 columns predicted, 360 true."""
    benchmark, network = open_pascal5i(pascal, 1), RedNetwork()
    counts = count_episode(network, benchmark, benchmark.episodes[0])
    assert counts.tolist() == [[360 * 120, 360 * 240, 360 * 120], [360 * 240, 360 * 240, 360 * 360]]
    assert network.asked == [('others', 'bus')]


def test_masks_are_resized_to_the_nearest_pixel_as_torch_counts_them(pascal):
    """Pixel i of 480 is mask pixel floor(i * side / 480)."""
    values = np.random.default_rng(0).choice([0, 6], (21, 700))
    mask(pascal / 'VOC2012' / 'SegmentationClassAug' / 'a.png', values)
    benchmark = open_pascal5i(pascal, 1)
    counts = count_episode(RedNetwork(), benchmark, benchmark.episodes[0])
    rows, cols = (np.arange(480) * side // 480 for side in values.shape)
    true = values[rows][:, cols] == 6
    assert counts[:, 2].tolist() == [(~true).sum(), true.sum()]
    assert counts[:, 0].tolist() == [(~true[:, 240:]).sum(), true[:, :240].sum()]


def test_pascal_scores(pascal):
    """Bus IoU is 240/360. Cat IoU is 240/480 over two episodes: b is right, a has no cat.

    Background of image a: 120/240, twice as bus and once as cat. Foreground and background are
    pooled over both classes.
    """
    benchmark, network = open_pascal5i(pascal, 1), RedNetwork()
    benchmark = replace(benchmark, episodes=benchmark.episodes[:3])
    counts = np.stack([count_episode(network, benchmark, e) for e in benchmark.episodes])
    score = zero_shot_score(benchmark, counts)
    bus = (360 * 240, 360 * 360)
    cat = (480 * 240, 480 * 240 + 360 * 240)
    background = (360 * 120 + 480 * 240 + 360 * 240, 360 * 240 + 480 * 240 + 360 * 480)
    assert score.iou['bus'] == pytest.approx(100 * bus[0] / bus[1])
    assert score.iou['cat'] == pytest.approx(100 * cat[0] / cat[1])
    assert score.mean_iou == pytest.approx((score.iou['bus'] + score.iou['cat']) / 5)
    foreground = (bus[0] + cat[0]) / (bus[1] + cat[1])
    assert score.foreground_background_iou == pytest.approx(50 * (foreground + background[0] / background[1]))


def coco_split(root, images, fold=2):
    path = root / 'splits' / 'coco' / 'val' / f'fold{fold}.pkl'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(images))
    return path


@pytest.fixture
def coco(tmp_path):
    """Fold 2: classes 2 (car), 6 (train), 10 (firehydrant) ..., three images each."""
    images = {c: [f'val2014/{c}_{i}.jpg' for i in range(3)] for c in range(2, 80, 4)}
    for index, names in images.items():
        for name in names:
            picture(tmp_path / 'COCO2014' / name, size=(6, 48))
            mask((tmp_path / 'COCO2014' / 'annotations' / name).with_suffix('.png'), columns(index + 1, 12)[:6])
    coco_split(tmp_path, images)
    return tmp_path


def test_coco_episodes_are_drawn_from_the_global_generator_of_seed_0(coco):
    benchmark = open_coco20i(coco, 2)
    assert benchmark.names[:3] == ('car', 'train', 'firehydrant') and len(benchmark.names) == 20
    state = np.random.get_state()
    np.random.seed(0)
    drawn = []
    for _ in range(1000):
        index = np.random.choice(list(range(2, 80, 4)), 1, replace=False)[0]
        names = [f'{index}_{i}.jpg' for i in range(3)]
        drawn.append((np.random.choice(names, 1, replace=False)[0], index))
    np.random.set_state(state)
    assert [(e.image.name, 2 + 4 * e.label) for e in benchmark.episodes] == drawn
    assert drawn[0] == ('74_0.jpg', 74)  # NumPy guarantees this generator's stream


def test_coco_scores(coco, tmp_path, monkeypatch):
    """In every image half of the columns are red and a quarter are true."""
    monkeypatch.setattr(episodes, 'EPISODES', 6)
    report = benchmarks.evaluate_folds(
        'coco20i', coco, [2], lambda fold: RedNetwork(), Counting(ALONE, tmp_path / 'state')
    )
    seen = len({e.label for e in open_coco20i(coco, 2).episodes})
    assert report.rows == {
        'mIoU, red': {'fold 2': pytest.approx(100 * seen / 20 * 1 / 2)},
        'FB-IoU, red': {'fold 2': pytest.approx(50 * (1 / 2 + 2 / 3))},
    }
    assert 'mIoU, ResNet-101 (published)' in report.table() and '24.9' in report.table()


class Evil:
    def __reduce__(self):
        return os.system, ('echo evil',)


@pytest.mark.parametrize(
    'content, reason',
    [
        (Evil(), 'not a list of COCO images: it contains .*system'),
        ({2: []}, 'no images for class 2'),
        ([1], 'no images for class 2'),
    ],
)
def test_coco_lists_are_read_and_not_run(coco, content, reason, capfd):
    coco_split(coco, content)
    with pytest.raises(ValueError, match=reason):
        open_coco20i(coco, 2)
    assert 'evil' not in capfd.readouterr().out


@pytest.fixture
def fss(tmp_path):
    write_fss(tmp_path)
    return tmp_path


def test_fss_scores(fss, tmp_path):
    """Half of each image is predicted; the true shares are 1/4 (zebra), 1/4 and 1/2 (ac_wall)."""
    benchmark = open_fss1000(fss)
    assert [(e.image.parent.name, e.image.name) for e in benchmark.episodes] == [
        ('ac_wall', '1.jpg'),
        ('ac_wall', '2.jpg'),
        ('zebra', '1.jpg'),
    ]
    report = benchmarks.evaluate_fss1000(fss, RedNetwork, Counting(ALONE, tmp_path / 'state'))
    assert report.iou['test'] == [('ac_wall', pytest.approx(75)), ('zebra', pytest.approx(50))]
    foreground, background = 4 / 6, 6 / 8
    assert report.rows['red'] == {'mIoU': pytest.approx(62.5), 'FB-IoU': pytest.approx(50 * (foreground + background))}


def test_a_root_of_fss_without_images_is_refused(fss):
    for image in fss.rglob('*.jpg'):
        image.unlink()
    with pytest.raises(FileNotFoundError, match='no .jpg file in the folders of .*unpack FSS-1000'):
        open_fss1000(fss)


def remove_split(root):
    (root / 'splits' / 'pascal' / 'val' / 'fold1.txt').unlink()


def remove_mask(root):
    (root / 'VOC2012' / 'SegmentationClassAug' / 'b.png').unlink()


@pytest.mark.parametrize(
    'remove, reason',
    [
        (remove_split, r'splits/pascal/val/fold1\.txt is missing: .*hsnet'),
        (remove_mask, r'SegmentationClassAug/b\.png is missing: unpack VOC2012'),
    ],
)
def test_missing_files_are_named_with_their_source(pascal, remove, reason):
    remove(pascal)
    with pytest.raises(FileNotFoundError, match=reason):
        open_pascal5i(pascal, 1)


@pytest.mark.parametrize(
    'open_benchmark, path',
    [(partial(open_coco20i, fold=0), r'splits/coco/val/fold0\.pkl'), (open_fss1000, r'splits/fss/test\.txt')],
)
def test_an_empty_root_is_refused(tmp_path, open_benchmark, path):
    with pytest.raises(FileNotFoundError, match=f'{path} is missing'):
        open_benchmark(tmp_path)


def test_a_class_of_another_fold_is_refused(pascal):
    path = pascal / 'splits' / 'pascal' / 'val' / 'fold1.txt'
    path.write_text('a__01\n')
    with pytest.raises(ValueError, match="'a__01' .* 6 to 10"):
        open_pascal5i(pascal, 1)
