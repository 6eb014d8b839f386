# SPDX-License-Identifier: Apache-2.0
"""Image files are read without the help of other programs."""

import pytest

from lseg_ros.media.images import read_image

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
