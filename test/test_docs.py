# SPDX-License-Identifier: Apache-2.0
"""The README and the pages: their links lead somewhere, their pictures are up to date."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / 'docs'
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted(DOCS.glob('*.md'))]
TARGET = re.compile(r'\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]+)?\)')


def without_code(text):
    return re.sub(r'^```.*?^```$|`[^`\n]*`', '', text, flags=re.MULTILINE | re.DOTALL)


def anchors(page):
    """Return the anchors that GitHub and MyST give the headings of a page."""
    titles = re.findall(r'^#+ (.*)$', page.read_text(encoding='utf-8'), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-') for title in titles}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_every_local_link_leads_to_a_file_and_a_heading(page):
    for path, anchor in TARGET.findall(without_code(page.read_text(encoding='utf-8'))):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert not anchor or anchor[1:] in anchors(target), f'{path}{anchor}'


def test_readme_is_short_and_its_moving_picture_small():
    assert len((ROOT / 'README.md').read_text(encoding='utf-8').splitlines()) <= 220
    assert (DOCS / 'images' / 'drive.gif').stat().st_size <= 3_000_000


def test_diagrams_are_those_that_the_script_draws(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    import draw_diagrams

    monkeypatch.setattr(draw_diagrams, 'IMAGES', tmp_path)
    draw_diagrams.main()
    drawn = {path.name: path.read_text(encoding='utf-8') for path in tmp_path.iterdir()}
    assert drawn == {name: (DOCS / 'images' / name).read_text(encoding='utf-8') for name in drawn}


def test_every_page_is_in_the_table_of_contents():
    index = (DOCS / 'index.rst').read_text(encoding='utf-8')
    listed = set(re.findall(r'^ +(\w+)$', index, re.MULTILINE))
    assert {page.stem for page in DOCS.glob('*.md')} <= listed


@pytest.mark.slow
def test_python_page_runs_from_top_to_bottom():
    page = (DOCS / 'python.md').read_text(encoding='utf-8')
    code = '\n'.join(re.findall(r'^```python\n(.*?)^```$', page, re.MULTILINE | re.DOTALL))
    names = {}
    exec(compile(code, 'docs/python.md', 'exec'), names)
    assert names['result'].ids.shape == names['image'].shape[:2]
    assert names['cosines'].shape[1:] == (640, 1)
