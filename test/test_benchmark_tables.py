# SPDX-License-Identifier: Apache-2.0
"""The benchmark's rows in the page of tables: each goes between the marks of its own table."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[1] / 'benchmark'
PAGE = """\
<!-- bench one process -->
old
<!-- end of bench one process -->
prose
<!-- bench node -->
old
<!-- end of bench node -->
"""


@pytest.fixture
def update(tmp_path, monkeypatch):
    """Return a function that writes rows into a page and returns what the page is then."""
    monkeypatch.syspath_prepend(BENCHMARK)
    import update_docs
    from rows import Row

    def run(page, *names, **numbers):
        rows = [Row(name, 'lseg-lite', 'cpu', 'float32', '640x480', 1, 12, **numbers) for name in names]
        bench, docs = tmp_path / 'bench.json', tmp_path / 'page.md'
        bench.write_text(json.dumps([asdict(row) for row in rows]))
        docs.write_text(page)
        monkeypatch.setattr(sys, 'argv', ['update_docs', str(bench), '--docs', str(docs)])
        update_docs.main()
        return docs.read_text()

    return run


def test_rows_take_the_place_of_the_old_ones_and_the_rest_of_the_page_stays(update):
    page = update(PAGE, 'd message to message', p50_ms=22.7, p95_ms=23.8, per_second=44.1, cpu_s=0.0213, peak_mb=1234.0)
    before, table = page.split('<!-- bench node -->\n')
    assert before == PAGE.split('<!-- bench node -->\n')[0]
    assert table.splitlines()[2:] == [
        '| d message to message | float32 | 640x480 | 1 | 12 | 22.7 | 23.8 | 44.1 | 21.3 | 1234 |',
        '<!-- end of bench node -->',
    ]


def test_only_columns_with_numbers_are_shown(update):
    rate = {'p50_ms': 14.0, 'sent': 150, 'received': 149, 'cores': 0.6, 'note': 'random weights'}
    page = update(PAGE.replace('node', 'rates'), 'e 1 camera at 30 Hz', **rate)
    assert page.splitlines()[-4:-1] == [
        '| name | precision | size | batch | labels | p50 ms | sent | received | cores | note |',
        '|---|---|---|---|---|---|---|---|---|---|',
        '| e 1 camera at 30 Hz | float32 | 640x480 | 1 | 12 | 14.0 | 150 | 149 | 0.60 | random weights |',
    ]


def test_rows_without_numbers_are_left_out(update):
    assert update(PAGE, 'b network', note='needs a GPU') == PAGE


def test_a_page_without_the_marks_is_refused(update):
    with pytest.raises(SystemExit, match='no <!-- bench one process -->'):
        update('nothing\n', 'b network', p50_ms=1.0)


def test_the_page_of_the_package_has_the_marks(update):
    page = (BENCHMARK.parent / 'docs/performance.md').read_text()
    for name in ('b network', 'd node', 'e rate', 'f other'):
        assert f'| {name} | float32' in update(page, name, p50_ms=1.0)
