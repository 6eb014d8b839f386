# SPDX-License-Identifier: Apache-2.0
"""The answers of nodes, as lines for people and as JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from geometry_msgs.msg import Point
from sensor_msgs.msg import Image

from lseg_ros.msg import LabelSet, MapAnswer
from lseg_ros.srv import EncodeText, QueryMap, QueryText


@dataclass(frozen=True)
class NodeAnswer:
    """What a node answered: its message, the lines that show it, and why it refused, if it did."""

    message: Any
    lines: tuple[str, ...]
    refusal: str = ''

    @classmethod
    def of(cls, response: Any, lines: Iterable[str]) -> NodeAnswer:
        """Return the answer in a response that has `success` and `message`."""
        return cls(response, tuple(lines)) if response.success else cls(response, (), response.message)

    def json(self) -> str:
        """Return the message as JSON, without the pixels of its images."""
        return json.dumps(_plain(self.message), ensure_ascii=False)


def table_lines(table: LabelSet) -> Iterator[str]:
    """Yield the rows of a label table, and the stamp from which it is valid."""
    rows = [('id', 'name', 'prompts', 'groups')]
    rows += [(str(row.id), row.name, ' | '.join(row.prompts), ', '.join(row.groups)) for row in table.classes]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        yield '  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
    stamp = table.header.stamp
    since = f'images stamped {stamp.sec}.{stamp.nanosec:09d} or later' if stamp.sec or stamp.nanosec else 'all images'
    yield f'valid for {since}'


def query_lines(prompts: Iterable[str], response: QueryText.Response) -> Iterator[str]:
    """Yield one line for each text: its greatest relevance, and where in the image that is."""
    columns = (response.peak_relevance, response.peak_u, response.peak_v, response.peak_point)
    for prompt, relevance, u, v, point in zip(prompts, *columns):
        place = '' if math.isnan(point.z) else f'; {_numbers(point)} m in {response.header.frame_id}'
        yield f'{prompt}: relevance {relevance:.2f} at column {u}, row {v}{place}'


def text_lines(prompts: Iterable[str], response: EncodeText.Response) -> Iterator[str]:
    """Yield one line for each text, with the first numbers of its row."""
    for number, prompt in enumerate(prompts):
        start = response.rows[number * response.dim :][:3]
        yield f'{prompt}: {response.dim} numbers: {" ".join(f"{value:.3f}" for value in start)} ...'


def found_lines(prompts: Iterable[str], response: QueryMap.Response) -> Iterator[str]:
    """Yield one line for each thing that was found in the map, and for each text that was not."""
    for prompt in dict.fromkeys(prompts):
        found = [answer for answer in response.answers if answer.prompt == prompt]
        yield from (f'{prompt}: {_found(answer)}' for answer in found)
        if not found:
            yield f'{prompt}: not found'


def _found(answer: MapAnswer) -> str:
    pose = answer.pose
    if answer.has_pose:
        heading = math.degrees(2 * math.atan2(pose.orientation.z, pose.orientation.w))
        seen = f'seen from {pose.position.x:.2f} {pose.position.y:.2f}, heading {heading:.0f} degrees'
    else:
        seen = answer.reason
    return f'score {answer.score:.2f}; centre {_numbers(answer.center)} m; size {_numbers(answer.size)} m; {seen}'


def _numbers(point: Point) -> str:
    return f'{point.x:.2f} {point.y:.2f} {point.z:.2f}'


def _plain(value: Any) -> Any:
    """Return a message as dictionaries, lists, numbers and strings; NaN and infinity as None."""
    if hasattr(value, 'get_fields_and_field_types'):
        names = [
            name for name in value.get_fields_and_field_types() if not (isinstance(value, Image) and name == 'data')
        ]
        return {name: _plain(getattr(value, name)) for name in names}
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    if isinstance(value, int):
        return value
    return float(value) if math.isfinite(value) else None
