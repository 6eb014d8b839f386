# SPDX-License-Identifier: Apache-2.0
"""Write the parameters of the segmentation node to config/lseg.yaml and docs/topics.md.

    python -m tools.write_parameters

Run it inside the ROS environment whenever `Settings` changes; a test compares the files.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from lseg_ros.nodes.segmentation.settings import PARAMETERS, Applies, ParameterSpec, Value

ROOT = Path(__file__).resolve().parents[1]
YAML_FILE = ROOT / 'config' / 'lseg.yaml'
PAGE = ROOT / 'docs' / 'topics.md'
PAGE_TABLE = re.compile(r'(?<=<!-- parameters)( -->\n).*?(?=<!-- end of parameters)', re.DOTALL)

YAML_HEAD = """\
# Parameters of the segmentation node, with their defaults. Start the node with an edited copy:
#   ros2 launch lseg_ros lseg.launch.py params_file:=my_lseg.yaml
# Parameters left out of the copy keep the values given here.
/**:
  ros__parameters:"""
SECTIONS = {'model': 'Network', 'labels': 'Classes', 'cameras': 'Topics'}  # by first parameter
EFFECT = {
    Applies.AT_ONCE: 'A change takes effect at once.',
    Applies.ON_CONFIGURE: 'A change takes effect on configure.',
    Applies.AT_START: 'Read-only: set it at start.',
}


def main() -> None:
    """Rewrite both files."""
    YAML_FILE.write_text(yaml_file(), encoding='utf-8')
    PAGE.write_text(page(PAGE.read_text(encoding='utf-8')), encoding='utf-8')


def yaml_file() -> str:
    """Return the content of config/lseg.yaml."""
    return '\n'.join([YAML_HEAD, *_yaml_lines()]) + '\n'


def page(text: str) -> str:
    """Return the text of the page with the present table in it."""
    return PAGE_TABLE.sub(lambda _: f' -->\n{markdown_table()}\n', text)


def markdown_table() -> str:
    """Return the parameters as a Markdown table."""
    head = ['| parameter | default | range | applies | meaning |', '|---|---|---|---|---|']
    return '\n'.join([*head, *map(_row, PARAMETERS.values())])


def _yaml_lines() -> Iterator[str]:
    for spec in PARAMETERS.values():
        if spec.name in SECTIONS:
            yield f'    # -- {SECTIONS[spec.name]} '.ljust(98, '-')
        text = f'{spec.description}{_limits(spec)} {EFFECT[spec.applies]}'
        yield from textwrap.wrap(text, 98, initial_indent='    # ', subsequent_indent='    # ', break_on_hyphens=False)
        yield f'    {spec.name}: {_yaml_value(spec.default)}'


def _limits(spec: ParameterSpec) -> str:
    if spec.choices:
        return f' One of {", ".join(spec.choices)}.'
    return f' Range: {spec.range[0]:g} to {spec.range[1]:g}.' if spec.range else ''


def _yaml_value(value: Value) -> str:
    if isinstance(value, tuple):
        return f'[{", ".join(map(_yaml_value, value))}]'
    return str(value).lower() if isinstance(value, bool) else f'{value}' or '""'


def _row(spec: ParameterSpec) -> str:
    limits = f'{spec.range[0]:g} to {spec.range[1]:g}' if spec.range else ''
    limits = limits or ', '.join(f'`{choice}`' for choice in spec.choices)
    meaning = spec.description.replace('|', r'\|')
    cells = (f'`{spec.name}`', _cell(spec.default), limits, spec.applies.value, meaning)
    return f'| {" | ".join(cells)} |'


def _cell(value: Value) -> str:
    if isinstance(value, tuple):
        return ', '.join(map(_cell, value))
    return f'`{_yaml_value(value)}`' if value != '' else '(empty)'


if __name__ == '__main__':
    main()
