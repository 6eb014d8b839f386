# SPDX-License-Identifier: Apache-2.0
"""`lseg fetch` with the real client of the Hugging Face hub, against a hub on this machine."""

import hashlib
import os
import pickle
import re
import shutil
import subprocess
import sys
import zipfile
from threading import Thread
from types import MappingProxyType

import pytest
import tiny_tips
import torch
from hub_server import REVISION, Hub
from huggingface_hub import constants
from limited_disk import FULL, room

from lseg_ros import cli
from lseg_ros.downloads import catalogue, fetching, kept
from lseg_ros.downloads.catalogue import Download, DriveFile, HubFile, WebFile
from lseg_ros.model import MODELS, load, save
from lseg_ros.model.open_networks import open_networks

FILE = 'authors/tiny/weights.safetensors'
BYTES = bytes(range(256)) * 4000  # of a file that nothing is made of


@pytest.fixture(scope='module')
def full(tiny_model, tmp_path_factory):
    """Return the tiny model's weights as a file in full precision."""
    path = tmp_path_factory.mktemp('full') / 'full.safetensors'
    save(tiny_model, path, torch.float32)
    return path.read_bytes()


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Return a running hub, with an empty home and a catalogue of its own."""
    monkeypatch.setattr(constants, 'HF_ASSETS_CACHE', str(tmp_path / 'home' / 'assets'))
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path / 'home' / 'hub'))
    monkeypatch.setattr(constants, 'DOWNLOAD_CHUNK_SIZE', 1000)
    with Hub() as running:
        point_at(running, monkeypatch)
        running.list = lambda *sources: list_download(monkeypatch, sources)
        yield running


@pytest.fixture
def model(hub, full):
    """Let the hub have the tiny model."""
    hub.files[FILE] = full
    hub.list(hub_file(len(full)))


@pytest.fixture
def content(hub, monkeypatch):
    """Let the hub have a small file, which is kept as it is, and return it."""
    hub.files[FILE] = BYTES
    hub.list(hub_file(len(BYTES)))
    monkeypatch.setattr('lseg_ros.commands.fetch._convert', copy)
    return BYTES


def copy(_download, _half, files, target):
    shutil.copyfile(*files.values(), target)


def hub_file(size, sha256=''):
    return HubFile('weights.safetensors', 'authors/tiny', REVISION, 'weights.safetensors', size, sha256)


def point_at(hub, monkeypatch):
    """Do what HF_ENDPOINT does, which the client reads when it is imported."""
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(constants.ENDPOINT)
    monkeypatch.setattr(constants, 'HUGGINGFACE_CO_URL_TEMPLATE', hub.url + template)
    monkeypatch.setattr(constants, 'ENDPOINT', hub.url)


def list_download(monkeypatch, sources, name='tiny'):
    download = Download(name, 'a tiny model', 'CC0', sources, 7_000_000)
    downloads = MappingProxyType({name: download})
    monkeypatch.setattr('lseg_ros.downloads.catalogue.DOWNLOADS', downloads)
    monkeypatch.setattr('lseg_ros.model.zoo.DOWNLOADS', downloads)


@pytest.fixture
def fetch(hub, capsys):
    """Return a function that runs lseg fetch tiny and gives (status, stdout, the error)."""

    def run(*arguments):
        status = cli.main(['fetch', 'tiny', *arguments])
        out, err = capsys.readouterr()
        return status, out, ''.join(line for line in err.splitlines(True) if line.startswith('lseg:'))

    return run


def part():
    return kept.unfinished('tiny') / REVISION / 'weights.safetensors.part'


def nothing_is_kept():
    return not [path for path in kept.folder().rglob('*') if path.is_file() and path.parent.name != 'locks']


def test_fetched_weights_load_by_name_without_a_network(hub, model, fetch, tiny_model):
    status, out, err = fetch()
    assert (status, err) == (0, '')
    assert out.index('licence: CC0') < out.index('to download') < out.index('ready')
    hub.status.update(HEAD=500, GET=500)
    before = len(hub.requests)
    for key, tensor in load('tiny').image_state_dict().items():
        torch.testing.assert_close(tensor, tiny_model.image_state_dict()[key], rtol=1e-3, atol=1e-3)
    assert f'tiny is here already: {kept.path_of("tiny")}' in fetch()[1]
    assert len(hub.requests) == before


def test_only_the_converted_file_is_kept_in_half_precision(model, full, fetch):
    fetch()
    (file,) = kept.folder().rglob('*.*')
    assert file == kept.path_of('tiny') and file.stat().st_size < 0.6 * len(full)


def test_full_precision_keeps_every_bit(model, fetch, tiny_model):
    fetch('--full-precision')
    for key, tensor in load('tiny').image_state_dict().items():
        assert torch.equal(tensor, tiny_model.image_state_dict()[key])


def test_info_tells_what_is_here_and_where_it_comes_from(model, fetch, capsys):
    cli.main(['info'])
    assert 'a tiny model; to fetch, 14 MB; CC0' in capsys.readouterr().out
    fetch()
    cli.main(['info'])
    assert 'a tiny model; here, 7.0 MB; CC0' in capsys.readouterr().out
    cli.main(['info', 'tiny'])
    out = capsys.readouterr().out
    assert 'huggingface.co/authors/tiny, weights.safetensors, revision cccccccccccc' in out
    assert 'CC0' in out and 'half precision' in out and 'complete' in out


def test_without_the_weights_the_error_says_what_to_run_and_nothing_is_asked(hub, content):
    with pytest.raises(FileNotFoundError, match='the weights of tiny are not on this machine: run lseg fetch tiny$'):
        load('tiny')
    assert not hub.requests


@pytest.mark.parametrize('ranges', [True, False], ids=['ranges', 'no ranges'])
def test_a_cut_during_a_fetch_is_mended(hub, fetch, content, ranges):
    hub.cuts, hub.ranges = [600_500], ranges
    assert fetch()[0] == 0
    assert hub.starts() == [0, 600_000] and kept.path_of('tiny').read_bytes() == content


def test_the_next_fetch_continues_where_the_last_one_ended(hub, fetch, content):
    part().parent.mkdir(parents=True)
    part().write_bytes(content[:600_000])
    hub.status['GET'] = 503
    status, _, err = fetch()
    assert status == 2 and err.count('\n') == 1
    assert '503' in err and '600 kB of 1.0 MB are kept: run the command again to continue' in err
    del hub.status['GET']
    assert fetch()[0] == 0
    assert hub.starts() == [600_000]


def test_a_download_that_ended_before_the_conversion_is_not_repeated(hub, content, fetch, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr('lseg_ros.commands.fetch._convert', interrupted)
        assert fetch()[0] == 130
    hub.status['GET'] = 503
    assert fetch()[0] == 0
    assert len(hub.starts()) == 1


def test_a_part_that_does_not_fit_is_found_by_the_hash_and_deleted(hub, fetch, content):
    part().parent.mkdir(parents=True)
    part().write_bytes(b'?' * 1000)
    status, _, err = fetch()
    assert status == 2 and 'weights.safetensors is damaged: its SHA-256 is ' in err and 'fetch it again' in err
    assert nothing_is_kept()
    assert fetch()[0] == 0


@pytest.mark.parametrize('size', [1000, 10**12])
def test_a_size_that_cannot_be_right_is_refused_before_the_download(hub, content, fetch, size):
    hub.stated['X-Linked-Size'] = str(size)
    status, _, err = fetch()
    assert status == 2 and err.count('\n') == 1
    assert f'offers {size:,} bytes as authors/tiny/weights.safetensors, expected about 1.0 MB' in err
    assert not hub.starts() and nothing_is_kept()


def test_a_file_that_is_shorter_or_longer_than_stated_is_refused(hub, fetch, content):
    hub.stated['X-Linked-Size'] = str(len(content) + 8)
    status, _, err = fetch()
    assert status == 2 and err.count('\n') == 1 and '1.0 MB of 1.0 MB are kept' in err
    hub.stated['X-Linked-Size'] = str(len(content) - 8)
    status, _, err = fetch()
    assert status == 2 and err.count('\n') == 1 and f'longer than the {len(content) - 8:,} bytes' in err
    assert nothing_is_kept()


def test_another_hash_than_the_pinned_one_is_refused_before_the_download(hub, fetch, content):
    hub.list(hub_file(len(content), 'a' * 64))
    status, _, err = fetch()
    assert status == 2 and f'expected {"a" * 64}' in err
    assert not hub.starts()


@pytest.mark.parametrize(
    ('method', 'status', 'reason'),
    [
        ('HEAD', 401, 'private, gated or gone'),
        ('HEAD', 403, 'gated'),
        ('HEAD', 404, 'no longer there'),
        ('HEAD', 500, 'try again later'),
        ('GET', 401, 'HF_TOKEN'),
        ('GET', 404, 'no longer there'),
    ],
)
def test_a_refusal_is_explained_in_one_line(hub, content, fetch, method, status, reason):
    hub.status[method] = status
    code, _, err = fetch()
    assert code == 2 and err.count('\n') == 1
    assert (
        f'answered {status} to {hub.url}/authors/tiny/resolve/{REVISION}/weights.safetensors' in err and reason in err
    )
    assert nothing_is_kept()


def test_no_network(content, fetch, monkeypatch):
    with Hub() as gone:
        pass
    point_at(gone, monkeypatch)
    status, _, err = fetch()
    assert status == 2 and err.count('\n') == 1
    assert f'cannot download from {gone.url.removeprefix("http://")}' in err and 'check the network' in err


def test_offline_mode_uses_the_cache_of_the_hub_and_never_the_network(hub, fetch, content, monkeypatch):
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    status, _, err = fetch()
    assert status == 2 and 'HF_HUB_OFFLINE is set: unset it to fetch' in err
    cache = kept.folder().parents[1] / 'hub' / 'models--authors--tiny'
    blob = cache / 'blobs' / hashlib.sha256(content).hexdigest()
    link = cache / 'snapshots' / REVISION / 'weights.safetensors'
    for path in (blob, link):
        path.parent.mkdir(parents=True)
    blob.write_bytes(content)
    link.symlink_to(blob)
    assert fetch()[0] == 0
    assert blob.is_file() and not hub.requests


def test_a_disk_that_is_too_small_is_noticed_before_the_download(hub, fetch, content):
    hub.list(hub_file(10**17))
    hub.stated['X-Linked-Size'] = str(10**17)
    status, _, err = fetch()
    assert status == 1 and err.count('\n') == 1
    assert 'tiny needs 100000000 GB in ' in err and 'free: make room, or set HF_HOME' in err
    assert not hub.starts()


def test_a_disk_that_fills_up_during_the_download_keeps_what_fits(hub, fetch, content):
    with room(600_000):
        status, _, err = fetch()
    assert status == 1 and err.startswith(f'lseg: error: {FULL}') and err.count('\n') == 1
    assert fetch()[0] == 0
    assert hub.starts() == [0, 600_000]


def test_a_disk_that_fills_up_during_the_conversion_leaves_no_half_weights(model, full, fetch):
    download = kept.unfinished('tiny') / REVISION / 'weights.safetensors'
    download.parent.mkdir(parents=True)
    download.write_bytes(full)
    with room(5_000_000):
        status, _, err = fetch()
    assert status == 1 and err.startswith(f'lseg: error: {FULL}') and err.count('\n') == 1
    assert not list((kept.folder() / 'models').iterdir())
    assert fetch()[0] == 0


def test_of_two_fetches_at_once_one_downloads(hub, content):
    lines = []

    def run():
        download = catalogue.DOWNLOADS['tiny']
        fetching.fetch(download, lambda files, path: path.write_bytes(b''), 0, lines.append)

    threads = [Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hub.starts() == [0]
    assert sum('is here already' in line for line in lines) == 1


def test_remove_frees_the_weights_and_what_is_left_of_a_download(hub, fetch, content):
    part().parent.mkdir(parents=True)
    part().write_bytes(content[:300_000])
    assert fetch('--remove')[:2] == (0, 'tiny: removed 300 kB\n')
    fetch()
    assert fetch('--remove')[:2] == (0, 'tiny: removed 1.0 MB\n')
    assert nothing_is_kept()
    assert fetch('--remove')[:2] == (0, 'tiny is not here\n')


def test_a_file_of_another_server_gets_no_token_and_must_have_the_known_hash(hub, content, fetch, monkeypatch):
    monkeypatch.setenv('HF_TOKEN', 'hf_secret')
    url = f'{hub.content}/{FILE}'
    hub.list(WebFile('weights.safetensors', url, len(content), 'b' * 64))
    status, _, err = fetch()
    assert status == 2 and f'not {"b" * 64}' in err and nothing_is_kept()
    hub.list(WebFile('weights.safetensors', url, len(content), hashlib.sha256(content).hexdigest()))
    assert fetch()[0] == 0
    assert not any('authorization' in headers for _, _, headers in hub.requests)


def test_only_the_hub_gets_the_token(hub, content, fetch, monkeypatch):
    monkeypatch.setenv('HF_TOKEN', 'hf_secret')
    fetch()
    tokens = {path: headers.get('authorization') for _, path, headers in hub.requests}
    resolved = f'/authors/tiny/resolve/{REVISION}/weights.safetensors'
    assert tokens == {resolved: 'Bearer hf_secret', f'/content/{FILE}': None}


def test_nothing_in_a_file_is_executed(hub, model, fetch, tmp_path):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / 'executed'),)

    with zipfile.ZipFile(tmp_path / 'attack.ckpt', 'w') as archive:
        archive.writestr('archive/data.pkl', pickle.dumps({'state_dict': Attack()}))
        archive.writestr('archive/data/0', bytes(10_000_000))
    hub.files[FILE] = (tmp_path / 'attack.ckpt').read_bytes()
    status, _, err = fetch()
    assert status == 2 and 'is not one of the networks' in err and not (tmp_path / 'executed').exists()


def test_an_open_encoder_is_made_of_several_files_with_its_own_tokenizer(hub, tmp_path, monkeypatch, capsys):
    tiny_tips.make_known(monkeypatch)
    files = {name: path.read_bytes() for name, path in tiny_tips.write_published(tmp_path).items()}
    hub.files.update({f'authors/tiny/{name}': content for name, content in files.items()})
    sources = (HubFile(name, 'authors/tiny', REVISION, name, len(content)) for name, content in files.items())
    list_download(monkeypatch, tuple(sources), tiny_tips.NAME)
    hub.files['authors/tiny/tokenizer.model'] = bytes(len(files['tokenizer.model']))
    assert cli.main(['fetch', tiny_tips.NAME]) == 2
    assert 'tokenizer.model' in capsys.readouterr().err and not kept.path_of(tiny_tips.NAME).exists()
    hub.files['authors/tiny/tokenizer.model'] = files['tokenizer.model']
    cli.main(['fetch', '--remove', tiny_tips.NAME])
    assert cli.main(['fetch', tiny_tips.NAME]) == 0
    rows = load(tiny_tips.NAME).encode_text(['chair', 'fire extinguisher'])
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(2))


def test_google_drive_needs_its_package(hub, content, fetch, monkeypatch):
    monkeypatch.setitem(sys.modules, 'gdown', None)
    hub.list(DriveFile('weights.safetensors', f'{hub.content}/{FILE}', 14_000_000))
    status, _, err = fetch()
    assert status == 2 and "pip install 'gdown>=5.1'" in err and err.count('\n') == 1


def test_google_drive(hub, model, fetch):
    """Drive itself is out of reach, so gdown, which takes any address, gets the hub's."""
    pytest.importorskip('gdown')
    hub.list(DriveFile('weights.safetensors', f'{hub.content}/{FILE}', 14_000_000))
    whole, hub.files[FILE] = hub.files[FILE], b'<html>Too many users have viewed this file'
    status, _, err = fetch()
    assert status == 2 and 'is a web page, not weights' in err and nothing_is_kept()
    hub.status['GET'] = 404
    status, _, err = fetch()
    assert status == 2 and 'run lseg convert on the file' in err and err.count('\n') == 1
    hub.status.clear()
    hub.files[FILE] = whole
    assert fetch()[0] == 0
    assert load('tiny').name == 'lseg-lite'


@pytest.mark.slow
def test_the_environment_of_the_hub_is_honoured(hub, tmp_path):
    """In a process of its own, with the real catalogue: what is asked is the pinned file."""
    environment = {**os.environ, 'HF_ENDPOINT': hub.url, 'HF_HOME': str(tmp_path / 'hf')}
    environment.pop('HF_HUB_OFFLINE', None)
    command = [sys.executable, '-m', 'lseg_ros.cli', 'fetch', 'lseg-vitl16']
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2 and 'answered 404' in done.stderr
    path = '/isl-org/lang-seg/resolve/8ac956993cf52c9ba925c8b46965e4fb32b067b8/demo_e200.ckpt'
    asked = [request[:2] for request in hub.requests]
    assert ('HEAD', path) in asked
    assert (tmp_path / 'hf' / 'assets' / 'lseg_ros').is_dir()
    environment['HF_HUB_OFFLINE'] = '1'
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2 and 'HF_HUB_OFFLINE is set' in done.stderr and len(hub.requests) == len(asked)


def test_the_catalogue_pins_what_it_names():
    for download in catalogue.DOWNLOADS.values():
        for source in download.sources:
            assert re.fullmatch('[0-9a-f]{40}|[0-9a-f]{64}', source.version) or isinstance(source, DriveFile)


@pytest.mark.parametrize('name', open_networks())
def test_the_catalogue_has_the_files_that_an_open_encoder_is_made_of(name):
    names = {source.name for source in catalogue.DOWNLOADS[name].sources}
    assert names == {part.file for part in open_networks()[name].files.values()}


def test_every_model_without_weights_in_the_package_says_what_to_run(hub):
    for name, spec in MODELS.items():
        if not spec.weights and name != 'lseg-vitb32':
            with pytest.raises(FileNotFoundError, match=f'the weights of {name} are not on this machine: .*lseg fetch'):
                load(name)
