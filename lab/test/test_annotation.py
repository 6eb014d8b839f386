# SPDX-License-Identifier: Apache-2.0
"""Photographs labelled by hand: LabelMe files, masks to train on, drafts and pictures."""

import argparse
import json

import cv2
import numpy as np
import pytest

from lseg_lab.annotation.draft import areas, read_boxes, write_drafts
from lseg_lab.annotation.labelme import Annotation, Shape, read_annotation, write_annotation
from lseg_lab.annotation.masks import write_masks
from lseg_lab.annotation.rasterise import rasterise, snap_borders
from lseg_lab.annotation.show import draw_annotations
from lseg_lab.commands import annotate
from lseg_lab.training.dataset import open_folders
from lseg_ros.core.single_pass import SinglePassSegmenter
from lseg_ros.labels.ids import UNLABELLED

WHOLE = np.array([[0, 0], [40, 0], [40, 30], [0, 30]])
LOWER_HALF = np.array([[0, 15], [40, 15], [40, 30], [0, 30]])
BOX = np.array([[10, 10], [20, 10], [20, 20], [10, 20]])


@pytest.fixture
def labelled(tmp_path):
    """A folder with one LabelMe file (wall, floor, box) and a folder with its photograph."""
    labels, photos = tmp_path / 'labels', tmp_path / 'photos'
    labels.mkdir()
    photos.mkdir()
    shapes = Shape('wall', WHOLE), Shape('floor', LOWER_HALF), Shape('box', BOX)
    write_annotation(labels / 'a.json', Annotation('a.jpg', 30, 40, shapes))
    cv2.imwrite(str(photos / 'a.jpg'), np.full((30, 40, 3), 90, np.uint8))
    return labels, photos


def test_a_file_reads_back_as_it_was_written(labelled):
    """The file has everything that LabelMe needs; the shapes keep their order."""
    path = labelled[0] / 'a.json'
    annotation = read_annotation(path)
    assert (annotation.image, annotation.height, annotation.width) == ('a.jpg', 30, 40)
    assert [shape.label for shape in annotation.shapes] == ['wall', 'floor', 'box']
    np.testing.assert_array_equal(annotation.shapes[2].points, BOX)
    content = json.loads(path.read_text())
    assert content['imageData'] is None
    assert {'version', 'flags', 'imagePath'} <= content.keys()
    assert content['shapes'][0]['shape_type'] == 'polygon'


@pytest.mark.parametrize(
    ('shape', 'message'),
    [
        ({'label': 'a', 'points': [[0, 0], [3, 3]], 'shape_type': 'line'}, "'a' is a line"),
        ({'label': 'a', 'points': [[0, 0], [3, 3]], 'shape_type': 'polygon'}, '2 points'),
        ({'points': [[0, 0], [3, 3], [0, 3]]}, 'label'),
    ],
)
def test_a_shape_without_area_or_label_is_refused(tmp_path, shape, message):
    """The error names the file and what is wrong with the shape."""
    path = tmp_path / 'b.json'
    head = {'imagePath': 'b.jpg', 'imageHeight': 9, 'imageWidth': 9}
    path.write_text(json.dumps({**head, 'shapes': [shape]}))
    with pytest.raises(ValueError, match=message) as error:
        read_annotation(path)
    assert 'b.json' in str(error.value)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ('"imageHeight": 0', '9x0 pixels'),
        ('"imageWidth": 1e400', 'infinity'),
        ('"imagePath": ["a.jpg"]', 'imagePath is'),
        ('"shapes": [{"label": null, "points": [[0, 0], [3, 3], [0, 3]]}]', 'label is None'),
        ('"shapes": [{"label": "a", "points": [[0, 0], [NaN, 3], [0, 3]]}]', "'a' has a point far outside"),
        ('"shapes": [{"label": "a", "points": [[0, 0], [1e30, 3], [0, 3]]}]', "'a' has a point far outside"),
        (f'"shapes": {"[" * 100000}', 'recursion'),
    ],
)
def test_a_file_that_cannot_be_drawn_is_refused(tmp_path, change, message):
    """The last of two equal keys counts."""
    path = tmp_path / 'b.json'
    sound = '"imagePath": "b.jpg", "imageHeight": 9, "imageWidth": 9, "shapes": []'
    path.write_text(f'{{{sound}, {change}}}')
    with pytest.raises(ValueError, match=f'b.json.*{message}'):
        read_annotation(path)


def test_a_rectangle_is_read_as_its_four_corners(tmp_path):
    """LabelMe stores two opposite corners."""
    path = tmp_path / 'b.json'
    shape = {'label': 'door', 'points': [[1, 2], [5, 8]], 'shape_type': 'rectangle'}
    head = {'imagePath': 'b.jpg', 'imageHeight': 9, 'imageWidth': 9}
    path.write_text(json.dumps({**head, 'shapes': [shape]}))
    mask = rasterise(read_annotation(path), ['door'])
    assert (mask[2:8, 1:5] == 0).all()
    assert mask[0, 0] == UNLABELLED


def test_later_shapes_cover_earlier_ones_and_void_unlabels():
    """Areas without a shape are unlabelled too."""
    shapes = Shape('floor', LOWER_HALF), Shape('box', BOX), Shape('void', BOX + 5)
    mask = rasterise(Annotation('a.jpg', 30, 40, shapes), ['box', 'floor'])
    assert mask[5, 5] == UNLABELLED
    assert mask[12, 12] == 0
    assert mask[28, 2] == 1
    assert mask[18, 18] == UNLABELLED


def test_snapping_finds_an_edge_within_reach_and_keeps_thin_areas():
    """A border drawn three pixels off moves to the edge; a line of two pixels stays."""
    image = np.full((60, 80, 3), 200, np.uint8)
    image[33:] = 40
    mask = np.zeros((60, 80), np.uint8)
    mask[30:] = 1
    mask[:, 40:42] = 2
    snapped = snap_borders(image, mask, 5)
    away = np.r_[8:32, 50:72]
    assert (snapped[5:32, away] == 0).all()
    assert (snapped[35:55, away] == 1).all()
    assert (snapped[:, 40:42] == 2).all()
    np.testing.assert_array_equal(snap_borders(image, mask, 0), mask)


def test_masks_are_a_folder_that_training_reads(labelled, tmp_path):
    """The folder holds image, mask and dataset.json; pixels are counted by class."""
    counts = write_masks(*labelled, tmp_path / 'out')
    folder = open_folders([tmp_path / 'out'])
    image, mask = folder.read(0)
    assert image.shape == (30, 40, 3)
    assert folder.classes == ('box', 'floor', 'wall')
    assert folder.classes[mask[2, 2]] == 'wall'
    assert folder.classes[mask[15, 15]] == 'box'
    assert {name: int(n.sum()) for name, n in counts.items()} == {
        name: int((mask == index).sum()) for index, name in enumerate(folder.classes)
    }


def test_a_photograph_may_have_another_size(labelled, tmp_path):
    """Users download the photographs themselves, in any size."""
    labels, photos = labelled
    cv2.imwrite(str(photos / 'a.jpg'), np.zeros((60, 80, 3), np.uint8))
    write_masks(labels, photos, tmp_path / 'out')
    folder = open_folders([tmp_path / 'out'])
    _, mask = folder.read(0)
    assert mask.shape == (60, 80)
    assert folder.classes[mask[38, 38]] == 'box'
    assert folder.classes[mask[42, 42]] == 'floor'


def test_a_photograph_that_is_missing_or_cropped_is_named(labelled, tmp_path):
    """Its labels would be misplaced."""
    labels, photos = labelled
    cv2.imwrite(str(photos / 'a.jpg'), np.zeros((30, 30, 3), np.uint8))
    with pytest.raises(ValueError, match=r'a\.jpg is 30x30.*40x30'):
        write_masks(labels, photos, tmp_path / 'out')
    (photos / 'a.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'a\.jpg not found'):
        write_masks(labels, photos, tmp_path / 'out')


def test_pictures_show_the_areas(labelled, tmp_path):
    """There is one enlarged picture per file, coloured where something is labelled."""
    assert draw_annotations(*labelled, tmp_path / 'out') == 1
    picture = cv2.imread(str(tmp_path / 'out' / 'a.png'))
    assert picture.shape == (750, 1000, 3)
    assert np.ptp(picture[100, 100]) > 0, 'a grey photograph takes the colour of its label'


def test_areas_come_back_as_polygons_largest_first():
    """Rasterised again they restore the areas; smaller ones fill the holes."""
    ids = np.full((60, 80), 1, np.uint8)
    ids[30:] = 2
    ids[10:50, 20:40] = 3
    ids[0, 0] = 3  # too small to be kept
    shapes = areas(ids, {1: 'wall', 2: 'floor', 3: 'door'})
    assert shapes[-1].label == 'door'
    mask = rasterise(Annotation('a.jpg', 60, 80, tuple(shapes)), ['', 'wall', 'floor', 'door'])
    assert (mask == ids).mean() > 0.99


def test_boxes_become_shapes_of_the_labs_names(tmp_path):
    """Handles have no label; a table with missing columns is refused."""
    path = tmp_path / 'boxes.tsv'
    rows = 'a.jpg\tcabinet door\t1\t2\t5\t8\na.jpg\thandle\t1\t2\t3\t4\n'
    path.write_text(f'file\tclass\tleft\ttop\tright\tbottom\n{rows}')
    (shape,) = read_boxes(path)['a.jpg']
    assert shape.label == 'cabinet'
    assert shape.points.tolist() == [[1, 2], [5, 2], [5, 8], [1, 8]]
    path.write_text('file\tclass\na.jpg\tdoor\n')
    with pytest.raises(ValueError, match='not a box'):
        read_boxes(path)


def test_drafts_are_written_once(labelled, tiny_model, tmp_path):
    """Boxes come last; an existing file is not overwritten."""
    photos = [labelled[1] / 'a.jpg']
    boxes = {'a.jpg': [Shape('door', BOX)]}
    out = tmp_path / 'drafts'
    segmenter = SinglePassSegmenter(tiny_model)
    assert write_drafts(photos, out, segmenter, ['floor', 'wall'], boxes) == 1
    annotation = read_annotation(out / 'a.json')
    assert annotation.shapes[-1].label == 'door'
    assert {shape.label for shape in annotation.shapes[:-1]} <= {'floor', 'wall'}
    assert write_drafts(photos, out, segmenter, ['floor'], boxes) == 0


def test_the_command_counts_pixels(labelled, tmp_path, capsys):
    """`lseg annotate masks` prints all classes, so that typing errors are noticed."""
    parser = argparse.ArgumentParser()
    annotate.add_arguments(parser)
    folders = [*map(str, labelled), str(tmp_path / 'out')]
    assert annotate.run(parser.parse_args(['masks', *folders, '--snap', '1'])) == 0
    assert 'floor' in capsys.readouterr().out
