# SPDX-License-Identifier: Apache-2.0
"""The options of every command that takes labels."""

from __future__ import annotations

import argparse

from lseg_ros.labels import LabelRegistry, LabelSet, read_label_file
from lseg_ros.labels.files import shipped_label_files
from lseg_ros.labels.syntax import split_labels


def add_label_options(parser: argparse.ArgumentParser, default_file: str = '') -> None:
    """Add --labels and --labels-file; one of them is required, unless there is a default file."""
    labels = parser.add_mutually_exclusive_group(required=not default_file)
    labels.add_argument('--labels', metavar='LIST', help='labels separated by commas: "floor, chair=chair|armchair"')
    shipped = ', '.join(shipped_label_files())
    default = f'; default: {default_file}' if default_file else ''
    labels.add_argument(
        '--labels-file',
        metavar='NAME|YAML',
        default=default_file,
        help=f'a label file: one that is shipped ({shipped}), or the path of your own{default}',
    )


def chosen_labels(args: argparse.Namespace, *, include_other: bool = True) -> LabelSet:
    """Return the labels that the options name; raise OSError or ValueError if they are wrong."""
    registry = LabelRegistry(include_other=include_other)
    if args.labels is not None:
        return registry.replace(split_labels(args.labels))
    file = read_label_file(args.labels_file)
    return registry.replace(file.labels, file.groups)
