# SPDX-License-Identifier: Apache-2.0
"""The tables in docs/topics.md match the code."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / 'docs' / 'topics.md').read_text(encoding='utf-8')


def table_rows(heading):
    """Return {first cell: second cell} of the table whose first column is headed `heading`."""
    table = re.search(rf'^\| {heading} \|.*?\n\n', PAGE, re.MULTILINE | re.DOTALL).group()
    rows = [line.split('|')[1:3] for line in table.strip().splitlines()[2:]]
    return {name.strip().strip('`'): kind.strip() for name, kind in rows}


def named(namespace, rows):
    """Return the page's rows under their full names in the ROS graph."""

    def full(name):
        return name if name.startswith('/') else f'{namespace}/{name.replace("~", "lseg")}'

    return {full(name): kind for name, kind in rows.items()}


def short(names_and_types):
    return {name: types[0].replace('/msg/', '/').replace('/srv/', '/') for name, types in names_and_types}


def test_topic_and_service_tables_match_the_node(active):
    client = active(labels=['floor'])
    namespace = client.namespace
    node = ('lseg', namespace)
    topics = short(client.node.get_publisher_names_and_types_by_node(*node))
    services = short(client.node.get_service_names_and_types_by_node(*node))

    outputs = named(namespace, table_rows('output'))
    mask = outputs.pop(f'{namespace}/lseg/masks/<class>')
    outputs |= {f'{namespace}/lseg/masks/{name}': mask for name in ('other', 'floor')}
    assert outputs.items() <= topics.items()
    assert {name for name in topics if '/lseg/' in name or name == '/diagnostics'} - set(outputs) <= {
        f'{namespace}/lseg/transition_event'
    }
    assert named(namespace, table_rows('service')).items() <= services.items()
    inputs = named(namespace, table_rows('input'))
    subscribed = short(client.node.get_subscriber_names_and_types_by_node(*node))
    assert inputs[f'{namespace}/image'] == subscribed[f'{namespace}/image']
