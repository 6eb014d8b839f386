# SPDX-License-Identifier: Apache-2.0
"""Pictures: colours, overlay, borders and the legend."""

import numpy as np
import pytest
from PIL import ImageFont

from lseg_ros.labels import LabelRegistry
from lseg_ros.labels.colors import class_color
from lseg_ros.media import fonts, overlay


@pytest.fixture
def labels():
    return LabelRegistry().replace(['floor', 'wall', 'door'])


@pytest.fixture
def scene():
    """Return a grey image and ids: wall above, floor below."""
    ids = np.full((240, 320), 1, np.uint8)
    ids[:120] = 2
    return np.full((240, 320, 3), 100, np.uint8), ids


def legend_text(labels, class_ids, size=(320, 240)):
    return np.array(overlay.legend(labels, class_ids, *size))


def test_each_id_has_its_colour_and_unlabelled_is_black(labels):
    ids = np.array([[0, 1, 2], [3, 255, 77]], np.uint8)
    picture = overlay.overlay(np.zeros((2, 3, 3), np.uint8), ids, labels, alpha=1.0)
    assert picture.shape == (2, 3, 3) and picture.dtype == np.uint8
    for pixel, class_id in zip(picture[0], (0, 1, 2)):
        assert tuple(pixel) == class_color(class_id)
    assert not picture[1, 1:].any()


def test_overlay_blends_inside_and_draws_borders_in_full(labels, scene):
    image, ids = scene
    picture = overlay.overlay(image, ids, labels, alpha=0.25)
    expected = 0.75 * 100 + 0.25 * np.array(class_color(1))
    np.testing.assert_allclose(picture[200, 100], expected, atol=1)
    assert tuple(picture[119, 100]) == class_color(2)
    assert (picture.reshape(-1, 3) == class_color(2)).all(1).sum() == 320
    assert (image == 100).all()


@pytest.mark.parametrize('alpha, expected', [(0.0, (100, 100, 100)), (1.0, class_color(1))])
def test_alpha_is_the_weight_of_the_colours(labels, scene, alpha, expected):
    assert tuple(overlay.overlay(*scene, labels, alpha)[200, 100]) == expected


def test_image_and_ids_of_different_size_are_refused(labels, scene):
    image, ids = scene
    with pytest.raises(ValueError, match=r'\[240, 320, 3\].*\[239, 320\]'):
        overlay.overlay(image, ids[1:], labels)


def test_read_only_and_strided_arrays_are_taken(labels, scene):
    image, ids = scene
    image, ids = image[::2, ::2], ids[::2, ::2]
    image.flags.writeable = ids.flags.writeable = False
    assert overlay.overlay_with_legend(image, ids, labels).shape == (120, 160, 3)


def test_classes_in_view_need_a_thousandth_of_the_pixels(labels):
    ids = np.full((100, 100), 2, np.uint8)
    ids[0, :10] = 1
    ids[1, :9] = 3
    ids[2:50] = 255
    assert overlay.classes_in_view(ids, labels) == (1, 2)


def test_legend_shows_the_classes_in_view_and_no_others(labels, scene):
    image, ids = scene
    picture = overlay.overlay_with_legend(image, ids, labels, alpha=0.0)
    height = overlay.legend(labels, (1, 2), *image.shape[1::-1]).height
    strip = picture[:height].reshape(-1, 3)
    shown = {i for i in labels.ids if (strip == class_color(i)).all(1).sum() > 50}
    assert shown == {1, 2}
    np.testing.assert_array_equal(picture[120:], image[120:])  # the lower class, below the border


def test_legend_differs_by_name(labels):
    other = LabelRegistry().replace(['ground', 'wall', 'door'])
    assert (legend_text(labels, (1,)) != legend_text(other, (1,))).any()
    assert (legend_text(labels, (2,)) == legend_text(other, (2,))).all()


def test_legend_is_made_once_for_a_set_and_a_view(labels):
    again = LabelRegistry().replace(['floor', 'wall', 'door'])
    assert overlay.legend(labels, (1, 2), 320, 240) is overlay.legend(again, (1, 2), 320, 240)


def test_many_classes_leave_two_thirds_of_the_picture_free():
    labels = LabelRegistry().replace([f'class number {number}' for number in range(254)])
    panel = overlay.legend(labels, labels.ids, 320, 240)
    assert panel.width == 320 and 0 < panel.height <= 240 // 3


@pytest.mark.parametrize('size', [(1, 1), (1, 50), (50, 1), (20, 20), (48, 64), (40, 3000)])
def test_small_pictures_do_without_what_does_not_fit(labels, size):
    ids = np.ones(size, np.uint8)
    picture = overlay.overlay_with_legend(np.zeros((*size, 3), np.uint8), ids, labels)
    assert picture.shape == (*size, 3)


def test_name_that_no_font_can_draw_is_shown_by_a_prompt_or_by_its_id(monkeypatch):
    monkeypatch.setattr(fonts, '_fonts', lambda size: (ImageFont.load_default(size),))
    registry = LabelRegistry()
    by_prompt = registry.replace(['地板=地面|ground'])
    by_id = registry.replace(['地板'])
    plain = LabelRegistry().replace(['ground'])
    id_1 = LabelRegistry().replace(['id 1'])
    assert (legend_text(by_prompt, (1,)) == legend_text(plain, (1,))).all()
    assert (legend_text(by_id, (1,)) == legend_text(id_1, (1,))).all()


@pytest.mark.parametrize('name', ['地板', 'пол', 'أرضية', 'พื้น', 'कुर्सी', '🚗', 'n' * 64, 'e\u0301'])
def test_names_of_any_language_are_drawn_without_failing(name):
    labels = LabelRegistry().replace([name])
    assert legend_text(labels, (0, 1)).shape[1] == 320
