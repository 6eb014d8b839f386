# SPDX-License-Identifier: Apache-2.0
"""Write the parameters of the nodes to config/ and docs/.

    python -m tools.write_parameters

Run it inside the ROS environment whenever a settings class changes; a test compares the files.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lseg_ros.nodes.dashboard.dashboard_settings import DASHBOARD_PARAMETERS
from lseg_ros.nodes.map.map_settings import MAP_PARAMETERS
from lseg_ros.nodes.parameters import Applies, ParameterSpec, Value
from lseg_ros.nodes.segmentation.settings import PARAMETERS

ROOT = Path(__file__).resolve().parents[1]
PAGE_TABLE = re.compile(r'(?<=<!-- parameters)( -->\n).*?(?=<!-- end of parameters)', re.DOTALL)

YAML_HEAD = """\
# Parameters of the {title}, with their defaults. Start the node with an edited copy:
#   {command}my_{name}.yaml
# Parameters left out of the copy keep the values given here.
/**:
  ros__parameters:"""
EFFECT = {
    Applies.AT_ONCE: 'A change takes effect at once.',
    Applies.ON_CONFIGURE: 'A change takes effect on configure.',
    Applies.AT_START: 'Read-only: set it at start.',
}


@dataclass(frozen=True)
class ParameterFiles:
    """The files with the parameters of one node; `sections` are titles by their first parameter."""

    title: str
    name: str  # of the YAML file
    command: str  # that starts the node, up to the path of a YAML file
    parameters: Mapping[str, ParameterSpec]
    page: Path
    sections: Mapping[str, str]

    @property
    def yaml_file(self) -> Path:
        """The file in config/."""
        return ROOT / 'config' / f'{self.name}.yaml'

    def yaml_text(self) -> str:
        """Return the content of the YAML file."""
        head = YAML_HEAD.format(title=self.title, command=self.command, name=self.name)
        return '\n'.join([head, *self._yaml_lines()]) + '\n'

    def page_text(self, text: str) -> str:
        """Return the text of the page with the present table in it."""
        return PAGE_TABLE.sub(lambda _: f' -->\n{self.markdown_table()}\n', text)

    def markdown_table(self) -> str:
        """Return the parameters as a Markdown table."""
        head = ['| parameter | default | range | applies | meaning |', '|---|---|---|---|---|']
        return '\n'.join([*head, *map(_row, self.parameters.values())])

    def _yaml_lines(self) -> Iterator[str]:
        for spec in self.parameters.values():
            if spec.name in self.sections:
                yield f'    # -- {self.sections[spec.name]} '.ljust(98, '-')
            text = f'{spec.description}{_limits(spec)} {EFFECT[spec.applies]}'
            yield from textwrap.wrap(
                text, 98, initial_indent='    # ', subsequent_indent='    # ', break_on_hyphens=False
            )
            yield f'    {spec.name}: {_yaml_value(spec.default)}'


FILES = (
    ParameterFiles(
        'segmentation node',
        'lseg',
        'ros2 launch lseg_ros lseg.launch.py params_file:=',
        PARAMETERS,
        ROOT / 'docs' / 'topics.md',
        {'model': 'Network', 'labels': 'Classes', 'cameras': 'Topics'},
    ),
    ParameterFiles(
        'map node',
        'map',
        'ros2 launch lseg_ros map.launch.py map_params_file:=',
        MAP_PARAMETERS,
        ROOT / 'docs' / 'map.md',
        {'segmentation_node': 'Input', 'voxel_size': 'Voxels', 'traversable': 'Answers', 'publish_rate': 'Output'},
    ),
    ParameterFiles(
        'dashboard',
        'dashboard',
        'ros2 run lseg_ros dashboard --ros-args --params-file ',
        DASHBOARD_PARAMETERS,
        ROOT / 'docs' / 'dashboard.md',
        {'segmentation_node': 'Nodes', 'host': 'Page'},
    ),
)


def main() -> None:
    """Rewrite the files of all nodes."""
    for files in FILES:
        files.yaml_file.write_text(files.yaml_text(), encoding='utf-8')
        files.page.write_text(files.page_text(files.page.read_text(encoding='utf-8')), encoding='utf-8')


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
