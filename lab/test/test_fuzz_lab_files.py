# SPDX-License-Identifier: Apache-2.0
"""Whatever the lab's files hold, they are read or refused with a reason."""

from __future__ import annotations

import json
import math
import tempfile
from contextlib import suppress
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest
from file_strategies import TEXT, WORDS, damaged, documents
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import build_oracle

from lseg_lab.annotation.labelme import read_annotation, resized
from lseg_lab.annotation.masks import classes_of
from lseg_lab.annotation.rasterise import rasterise
from lseg_ros import cli
from lseg_ros.core import factory
from lseg_ros.core.factory import open_segmenter

pytestmark = pytest.mark.fuzz

NUMBERS = st.integers(-(10**6), 10**6) | st.integers(1, 40) | st.floats() | st.just(1e400)
POINTS = st.lists(st.lists(NUMBERS, min_size=2, max_size=2), min_size=2, max_size=5) | documents()
SHAPES = st.fixed_dictionaries(
    {'label': st.sampled_from(['wall', 'void']) | documents(), 'points': POINTS},
    optional={'shape_type': st.sampled_from(['polygon', 'rectangle']) | documents()},
)
FILES = st.fixed_dictionaries(
    {
        'imagePath': st.just('a.jpg') | documents(),
        'imageHeight': st.just(30) | NUMBERS | documents(),
        'imageWidth': st.just(40) | NUMBERS | documents(),
        'shapes': st.lists(SHAPES | documents(), max_size=3) | documents(),
    }
)


@st.composite
def annotations(draw):
    """Draw the bytes of a LabelMe file, sound or not."""
    whole = json.dumps(draw(FILES | documents()), default=str).encode()
    return draw(st.just(whole) | damaged(whole))


@given(content=annotations())
def test_labelme_file_is_drawn_or_refused(tally, tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / 'fuzzed.json'
    path.write_bytes(content)
    with suppress(ValueError):  # which says why
        fitted = resized(read_annotation(path), 30, 40)
        assert rasterise(fitted, classes_of([fitted])).shape == (30, 40)
    tally['files'] += 1


PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
IMAGE = cv2.imencode('.png', PIXELS)[1].tobytes()
MASK = cv2.imencode('.png', PIXELS[..., 0] % 3)[1].tobytes()
LABELS = ['wall', 'floor=floor|ground', 'door']  # of the mask
NAMES = st.lists(st.sampled_from(['wall', 'floor=floor|ground', '# no name']) | WORDS | TEXT, max_size=4)
# One of these is odd; if several were, hardly any would be read.
PARTS = ('nothing', 'image', 'mask', 'names', 'file of names', 'masks')


@pytest.mark.slow
@settings(max_examples=math.ceil(settings.default.max_examples / 4))  # as each that succeeds writes the weights
@given(data=st.data())
def test_calibrate_writes_a_model_or_says_why_not(weights, tally, capsys, data):
    segmenter = open_segmenter(build_oracle(), backend='eager')  # answers at once; `weights` are written
    odd = data.draw(st.sampled_from(PARTS), 'odd')

    def part(name, usual, other):
        return data.draw(other, name) if name == odd else usual

    with mock.patch.object(factory, 'open_segmenter', return_value=segmenter), tempfile.TemporaryDirectory() as folder:
        target = Path(folder, 'fitted.safetensors')
        for name in ('a', 'b'):
            Path(folder, f'{name}.png').write_bytes(part('image', IMAGE, damaged(IMAGE)))
            Path(folder, f'{name}_mask.png').write_bytes(part('mask', MASK, damaged(MASK)))
        names = '\n'.join(part('names', LABELS, NAMES)).encode()
        Path(folder, 'names.txt').write_bytes(part('file of names', names, damaged(names or b' ')))
        masks = part('masks', '{stem}_mask.png', st.sampled_from(['{name}.png', '{', '{0}', '']))
        arguments = [weights, target, '--root', folder, '--labels', f'{folder}/names.txt', '--masks', masks]
        capsys.readouterr()
        status = cli.main(['calibrate', *map(str, arguments)])
        errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith('lseg: ')]
        assert status in (0, 1, 2) and len(errors) == bool(status)
        assert target.exists() == (not status)
    tally.update({'files': 1, f'files {"refused" if status else "read"}: calibrate': 1})
