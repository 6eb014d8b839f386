# SPDX-License-Identifier: Apache-2.0
"""Pictures of maps from above show what lies where, at every size of a map."""

from __future__ import annotations

import numpy as np
import pytest

from lseg_ros.mapping.approach import GroundPose
from lseg_ros.mapping.top_view import Entry, Mark, TopView, beside, legend, sheet

GREEN, RED, BLUE = (90, 170, 90), (250, 0, 0), (0, 0, 250)


def floor(width, depth, color=GREEN, corner=(0, 0, 0)):
    """Return the voxels of a flat piece, and their colours."""
    cells = np.stack(np.meshgrid(np.arange(width), np.arange(depth), [0], indexing='ij'), -1).reshape(-1, 3) + corner
    return cells, np.tile(np.uint8(color), (len(cells), 1))


def joined(*parts):
    return tuple(np.concatenate(arrays) for arrays in zip(*parts))


def share_of(picture, color):
    return (np.asarray(picture) == color).all(2).mean()


def test_what_is_higher_hides_what_is_lower_but_not_above_the_cut():
    cells, colors = joined(floor(40, 40), floor(40, 20, RED, (0, 0, 5)), floor(40, 40, BLUE, (0, 0, 40)))
    picture = TopView(cells, 0.05).picture('room', cells, colors)
    pixels = np.asarray(picture)
    assert share_of(picture, BLUE) == 0 and share_of(picture, RED) > 0.1
    rows = {color: np.flatnonzero((pixels == color).all(2).any(1)) for color in (GREEN, RED)}
    assert rows[RED].min() >= rows[GREEN].max()  # the lower half in y is below in the picture
    raised = TopView(cells, 0.05, floor=2.0).picture('room', cells, colors)
    assert share_of(raised, BLUE) > 0.1


@pytest.mark.parametrize('side', [1, 10, 3000])
def test_maps_of_every_size_fit(side):
    cells = np.array([(0, 0, 0), (side - 1, side - 1, 0)])
    picture = TopView(cells, 0.05).picture('map', cells, np.uint8([RED, RED]))
    assert 100 < max(picture.size) < 1100


def test_voxels_far_away_do_not_make_the_others_small():
    cells, colors = joined(floor(100, 100), floor(2, 1, GREEN, (10**6, 0, 0)))
    assert share_of(TopView(cells, 0.05).picture('map', cells, colors), GREEN) > 0.5
    cells, colors = joined(floor(100, 100), floor(50, 50, GREEN, (10**6, 10**6, 0)))
    assert share_of(TopView(cells, 0.05).picture('map', cells, colors), GREEN) > 0.5


def test_marks_and_legend_have_the_colour_and_number_of_their_thing():
    cells, colors = floor(60, 60)
    view = TopView(cells, 0.05)
    mark = Mark('1', BLUE, np.array([1.5, 1.5, 0.0]), np.array([1.0, 0.5, 0.2]), GroundPose(0.5, 0.5, 0.8))
    assert share_of(view.picture('map', cells, colors), BLUE) == 0
    assert share_of(view.picture('map', cells, colors, [mark]), BLUE) > 0.001
    entries = [Entry('sofa 0.9', BLUE, '1'), Entry('地板: not found'), Entry('floor', RED)]
    assert share_of(legend(entries, 400), BLUE) > 0.001 < share_of(legend(entries, 400), RED)
    assert legend(entries, 100).height > legend(entries, 900).height


def test_pictures_of_one_view_are_of_one_size_and_lie_side_by_side():
    cells, colors = floor(60, 40)
    view = TopView(cells, 0.05)
    left, right = view.picture('map', cells, colors), view.picture('truth', cells[:5], colors[:5])
    assert left.size == right.size
    assert beside([left, right]).width > 2 * left.width
    assert sheet([left, legend([Entry('floor', GREEN)], left.width)]).height > left.height


def test_floor_at_another_height_is_asked_for():
    with pytest.raises(ValueError, match='lower than 1.8 m above a floor at -5 m'):
        TopView(floor(10, 10)[0], 0.05, floor=-5.0)
