# SPDX-License-Identifier: Apache-2.0
"""The class names that the benchmarks are evaluated with."""

from __future__ import annotations

from importlib import resources

from lseg_lab.evaluation.folder import read_names


def benchmark_names(benchmark: str) -> tuple[str, ...]:
    """Return the classes that a file of this folder lists, in the order of the masks."""
    with resources.as_file(resources.files(__name__) / f'{benchmark}.txt') as path:
        return tuple(read_names(path))
