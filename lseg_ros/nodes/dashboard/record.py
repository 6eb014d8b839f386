# SPDX-License-Identifier: Apache-2.0
"""Packs what a camera showed at one moment into files for a bug report."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping

from lseg_ros.dashboard.pictures import png
from lseg_ros.nodes.dashboard.recorder import FrameRecord
from lseg_ros.nodes.dashboard.robot import RobotState

README = """\
image.png        the image of the camera
overlay.png      what the node published on ~/overlay
label_image.png  class ids; table.json names them
confidence.png   confidence of each pixel, 0 to 255 for 0 to 1
table.json       labels, shares, diagnostics and the state of the node
"""


def zipped(record: FrameRecord, state: RobotState) -> bytes:
    """Return a zip archive of the record and of the state of the node."""
    reading = record.reading
    pictures = {
        'image.png': record.image,
        'overlay.png': record.overlay,
        'label_image.png': reading.ids,
        'confidence.png': reading.confidence,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        for name, pixels in pictures.items():
            if pixels is not None:
                archive.writestr(name, png(pixels))
        archive.writestr('table.json', json.dumps(_facts(record, state), indent=2))
        archive.writestr('README.txt', README)
    return buffer.getvalue()


def _facts(record: FrameRecord, state: RobotState) -> Mapping[str, object]:
    reading = record.reading
    return {
        'stamp_ns': reading.stamp_ns,
        'state': state.info.state,
        'missing': record.missing,
        'classes': [
            {'id': label.id, 'name': label.name, 'prompts': label.prompts, 'color': label.color, 'groups': label.groups}
            for label in reading.labels.classes
        ],
        'shares': [
            {'name': part.label.name, 'share': part.share, 'confidence': part.confidence} for part in reading.shares
        ],
        'diagnostics': {
            name: {'level': part.level, 'message': part.message, 'values': dict(part.values)}
            for name, part in state.parts.items()
        },
    }
