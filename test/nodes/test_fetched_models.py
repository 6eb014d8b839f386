# SPDX-License-Identifier: Apache-2.0
"""Models by the names of fetched weights: never downloaded, and nothing else to set."""

import shutil

import pytest
from hub_server import Hub
from huggingface_hub import constants

from lseg_ros.downloads import kept

NAME = 'lseg-vitl16'


@pytest.mark.slow
def test_the_name_works_once_the_weights_are_here_and_the_node_never_fetches_them(
    start, tiny_weights, tmp_path, monkeypatch, capfd
):
    monkeypatch.setattr(constants, 'HF_ASSETS_CACHE', str(tmp_path))
    with Hub() as hub:
        monkeypatch.setattr(constants, 'HUGGINGFACE_CO_URL_TEMPLATE', hub.url + '/{repo_id}/{revision}/{filename}')
        client = start(model=NAME)
        assert not client.configure()
        assert f'the weights of {NAME} are not on this machine: run lseg fetch {NAME}\n' in capfd.readouterr().err
        kept.path_of(NAME).parent.mkdir(parents=True)
        shutil.copy(tiny_weights, kept.path_of(NAME))
        assert client.configure()
        assert not hub.requests
