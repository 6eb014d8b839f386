# SPDX-License-Identifier: Apache-2.0
"""Update the tables of docs/performance.md from bench.json."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from networks import LARGE
from rows import Row, markdown_table

DOCS = Path(__file__).parents[1] / 'docs/performance.md'
BEGIN, END = '<!-- bench {} -->', '<!-- end of bench {} -->'
DESCRIPTION = """\
Update the tables of docs/performance.md from bench.json. Each table stands between two markers:
`one process` (a, b, c and label changes), `node` (d), `rates` (e), `comparison` (f) and `large`
(the paper's network).
A table without rows in bench.json is left unchanged.

  make bench
  python -m tools.pypi_ros run python benchmark/update_docs.py
"""


def main() -> None:
    """Rewrite the tables; exit with a message if a marker is missing."""
    args = _parser().parse_args()
    rows = [Row(**values) for values in json.loads(args.bench.read_text())]
    text = args.docs.read_text()
    for name, part in _tables(rows).items():
        if part:
            text = _replaced(text, name, markdown_table(part))
            print(f'{name}: {len(part)} rows')
    args.docs.write_text(text)


def _tables(rows: Sequence[Row]) -> dict[str, list[Row]]:
    measured = [row for row in rows if row.p50_ms is not None]
    small = [row for row in measured if row.model != LARGE]
    apart = {'d ': 'node', 'e ': 'rates', 'f ': 'comparison'}
    return {
        'one process': [row for row in small if row.name[:2] not in apart],
        **{name: [row for row in small if row.name.startswith(letter)] for letter, name in apart.items()},
        'large': [row for row in measured if row.model == LARGE],
    }


def _replaced(text: str, name: str, table: str) -> str:
    before, begin, rest = text.partition(BEGIN.format(name))
    _, end, after = rest.partition(END.format(name))
    if not end:
        sys.exit(f'update_docs: no {BEGIN.format(name)} … {END.format(name)} in the page')
    return f'{before}{begin}\n{table}\n{end}{after}'


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'bench',
        type=Path,
        nargs='?',
        default=Path('bench_output/bench.json'),
        help='rows of `make bench` (default: %(default)s)',
    )
    parser.add_argument('--docs', type=Path, default=DOCS, help='page (default: %(default)s)')
    return parser


if __name__ == '__main__':
    main()
