# SPDX-License-Identifier: Apache-2.0
"""Hostile images are refused, without the help of other programs."""

import io
from types import SimpleNamespace

import pytest
from PIL import Image

from lseg_ros.media.images import read_image
from lseg_ros.media.ros_images import compressed_to_rgb

EPS = b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n%%EndComments\nshowpage\n%%EOF\n'


def test_postscript_is_refused_and_never_run_whatever_the_file_is_called(tmp_path, monkeypatch):
    ghostscript, started = tmp_path / 'gs', tmp_path / 'started'
    ghostscript.write_text(f'#!/bin/sh\ntouch {started}\n')
    ghostscript.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=':')
    photo = tmp_path / 'photo.jpg'
    photo.write_bytes(EPS)
    with pytest.raises(OSError, match='photo.jpg'):
        read_image(photo)
    assert not started.exists()


def test_a_small_message_with_a_huge_image_is_refused_before_it_is_decoded():
    data = io.BytesIO()
    Image.new('1', (8192, 8193)).save(data, 'PNG')
    assert len(data.getvalue()) < 20_000
    # Without most of its data: decoding would fail for another reason.
    message = SimpleNamespace(format='png', data=data.getvalue()[:1000])
    with pytest.raises(ValueError, match='8192 x 8193 pixels; at most'):
        compressed_to_rgb(message, lambda values, encoding: values)
