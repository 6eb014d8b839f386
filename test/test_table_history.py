# SPDX-License-Identifier: Apache-2.0
"""Which labels a label image was made with."""

from __future__ import annotations

from lseg_ros.core.table_history import KEPT, TableHistory
from lseg_ros.labels import LabelRegistry


def test_image_has_the_labels_that_held_at_its_stamp():
    registry, tables = LabelRegistry(), TableHistory()
    assert tables.at(5) is None
    first, second = registry.replace(['floor']), registry.replace(['floor', 'door'])
    tables.add(0, first)
    tables.add(100, second)
    assert (tables.at(99), tables.at(100), tables.at(10**18)) == (first, second, second)


def test_labels_of_images_older_than_all_tables_are_unknown_until_they_are_announced_anew():
    tables = TableHistory()
    labels = LabelRegistry().replace(['floor'])
    tables.add(100, labels)
    assert tables.at(5) is None
    tables.add(3, labels)  # as the clock was set back
    assert tables.at(5) is labels


def test_table_that_is_sent_again_pushes_out_no_other():
    registry, tables = LabelRegistry(), TableHistory()
    first, second = registry.replace(['floor']), registry.replace(['floor', 'door'])
    tables.add(0, first)
    for _ in range(2 * KEPT):
        tables.add(100, second)
    assert tables.at(99) is first
