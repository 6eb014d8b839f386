# SPDX-License-Identifier: Apache-2.0
"""The command line: what the commands write, say and return."""

import json
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lseg_ros import __version__, cli
from lseg_ros.commands import info
from lseg_ros.media.segmenting import FileSegmenter


@pytest.fixture
def photo(tmp_path):
    return write_image(tmp_path / 'in' / 'photo.png')


def write_image(path, size=(40, 60)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def lseg(monkeypatch, tmp_path, cached_weights, capsys):
    """Return a function that runs a command and gives (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        status = cli.main([str(argument) for argument in arguments])
        return (status, *capsys.readouterr())

    def segment(*arguments, labels='floor, wall'):
        options = ('--labels', labels) if labels is not None else ()
        # eager: it starts at once.
        return run('segment', '--model', cached_weights, '--device', 'cpu', '--backend', 'eager', *options, *arguments)

    run.segment = segment
    return run


def test_call_without_ros_says_what_it_needs(lseg, monkeypatch):
    for name in [name for name in sys.modules if name.startswith('lseg_ros.nodes.call')]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'rclpy', None)
    status, _, err = lseg('call', 'set_labels', 'floor')
    assert status == 2
    assert 'call needs ROS' in err and 'source a ROS 2 workspace' in err and len(err.splitlines()) == 1


def test_segment_writes_overlay_ids_and_table(lseg, photo, tmp_path):
    status, out, _ = lseg.segment(photo, labels='floor=floor|ground, wall')
    assert status == 0 and '1 of 1 images segmented into lseg_output' in out
    folder = tmp_path / 'lseg_output'
    ids = np.array(Image.open(folder / 'photo.ids.png'))
    table = json.loads((folder / 'labels.json').read_text())
    assert ids.shape == (40, 60)
    assert [entry['name'] for entry in table['classes']] == ['other', 'floor', 'wall']
    assert table['classes'][1]['prompts'] == ['floor', 'ground'] and table['unlabelled'] == 255
    assert set(np.unique(ids)) <= {entry['id'] for entry in table['classes']}
    colours = np.array(Image.open(folder / 'photo.ids.png').convert('RGB'))
    assert colours[0, 0].tolist() == table['classes'][ids[0, 0]]['color']
    assert np.array(Image.open(folder / 'photo.overlay.png')).shape == (40, 60, 3)


@pytest.mark.slow
def test_segment_takes_folders_to_their_depths_and_globs_but_not_its_own_results(lseg, tmp_path):
    write_image(tmp_path / 'in' / 'a.png')
    write_image(tmp_path / 'in' / 'sub' / 'a.JPG')
    write_image(tmp_path / 'frames' / 'f1.png')
    write_image(tmp_path / 'frames' / 'f2.png')
    (tmp_path / 'in' / 'notes.txt').write_text('not an image')
    output = tmp_path / 'in' / 'out'
    for _ in range(2):
        status, out, _ = lseg.segment('in', 'frames/f*.png', '--output', output)
        assert status == 0 and '4 of 4' in out
    names = {str(path.relative_to(output)) for path in output.rglob('*.ids.png')}
    assert names == {'a.ids.png', 'sub/a.ids.png', 'f1.ids.png', 'f2.ids.png'}


@pytest.mark.slow
def test_segment_follows_the_orientation_in_exif(lseg, tmp_path):
    image = Image.new('RGB', (60, 40))
    exif = image.getexif()
    exif[0x0112] = 6  # turn by 90 degrees to show
    image.save(tmp_path / 'turned.jpg', exif=exif)
    assert lseg.segment('turned.jpg')[0] == 0
    assert Image.open(tmp_path / 'lseg_output' / 'turned.ids.png').size == (40, 60)


@pytest.mark.slow
def test_segment_skips_a_broken_image_says_so_and_returns_1(lseg, photo, tmp_path):
    broken = tmp_path / 'in' / 'broken.png'
    broken.write_bytes(photo.read_bytes()[:200])
    (tmp_path / 'in' / 'text.jpg').write_text('hello')
    status, out, err = lseg.segment('in')
    assert status == 1 and '1 of 3' in out
    assert 'broken.png' in err and 'text.jpg' in err


@pytest.mark.slow
def test_segment_without_other_and_with_a_threshold(lseg, photo, tmp_path):
    lseg.segment(photo, '--no-other', labels='a, b')
    path = tmp_path / 'lseg_output' / 'photo.ids.png'
    assert set(np.unique(np.array(Image.open(path)))) <= {1, 2}
    lseg.segment(photo, '--threshold', '1', labels='a, b')
    assert (np.array(Image.open(path)) == 255).any()


@pytest.mark.slow
def test_segment_at_best_quality_decides_by_all_scales(lseg, photo, tmp_path, tiny_model, monkeypatch):
    multiscale = pytest.importorskip('lseg_lab.evaluation.multiscale')
    # The published sizes take 36 passes; these take four.
    monkeypatch.setattr(multiscale.MultiScaleEvaluator.__init__, '__defaults__', (64, 480, (1.0, 1.5)))
    path = tmp_path / 'lseg_output' / 'photo.ids.png'
    assert lseg.segment(photo, '--no-other', '--quality', 'best')[0] == 0
    text = tiny_model.encode_text(['floor', 'wall'])
    best = multiscale.MultiScaleEvaluator(tiny_model)(np.array(Image.open(photo)), text).argmax(0) + 1
    assert (np.array(Image.open(path)) == best.numpy()).all()
    lseg.segment(photo, '--no-other')
    assert (np.array(Image.open(path)) != best.numpy()).any()


def test_segment_reads_labels_from_a_file(lseg, photo, tmp_path):
    (tmp_path / 'labels.yaml').write_text('floor: [floor, ground]\nдверь: [door]\n', 'utf-8')
    assert lseg.segment(photo, '--labels-file', 'labels.yaml', labels=None)[0] == 0
    table = json.loads((tmp_path / 'lseg_output' / 'labels.json').read_text('utf-8'))
    assert [entry['name'] for entry in table['classes']] == ['other', 'floor', 'дверь']


@pytest.mark.slow
def test_segment_takes_the_labels_of_a_shipped_file_by_its_name(lseg, photo, tmp_path):
    assert lseg.segment(photo, '--labels-file', 'navigation', labels=None)[0] == 0
    table = json.loads((tmp_path / 'lseg_output' / 'labels.json').read_text('utf-8'))
    assert [entry['name'] for entry in table['classes']][:3] == ['other', 'floor', 'wall']


@pytest.mark.parametrize(
    'arguments, labels, reason',
    [
        (['nothing.png'], 'floor', 'no image at nothing.png'),
        (['two\nlines  .png'], 'floor', 'no image at two lines  .png'),
        (['in/photo.png'], 'floor, wall, floor', "label 'floor' is listed twice"),
        (['in/photo.png'], '', 'list of labels is empty'),
        (['in/photo.png', '--device', 'abacus'], 'floor', "device 'abacus' cannot be used"),
        (['in/photo.png', '--labels-file', 'none.yaml'], None, 'none.yaml'),
        (['in/photo.png', '--labels-file', 'indor'], None, "did you mean 'indoor'"),
        (['notes.txt'], 'floor', 'notes.txt cannot be used: expected image, video, bag'),
        (['in/photo.png', 'too/photo.png'], 'floor', 'would both be lseg_output/photo.*'),
        (['in/photo.png', '--model', 'lseg-light'], 'floor', 'unknown model'),
        (['in/photo.png', '--model', 'none.safetensors'], 'floor', 'no weights file'),
    ],
)
def test_segment_tells_an_error_in_one_line(lseg, photo, tmp_path, arguments, labels, reason):
    (tmp_path / 'notes.txt').write_text('')
    write_image(tmp_path / 'too' / 'photo.png')
    status, _, err = lseg.segment(*arguments, labels=labels)
    assert status == 2
    assert err.startswith('lseg: error: ') and reason in err and err.count('\n') == 1


def test_info_tells_what_a_model_is(lseg, weights):
    status, out, _ = lseg('info', weights)
    assert status == 0
    for fact in ('tf_efficientnet_lite0', 'all-MiniLM-L6-v2', '384 dimensions', '0.07', 'multiples of 32'):
        assert fact in out


def test_info_lists_models_and_versions(lseg):
    status, out, _ = lseg('info')
    assert status == 0
    for fact in ('lseg-lite', __version__, torch.__version__.split('+')[0], np.__version__):
        assert fact in out


@pytest.mark.parametrize('make', [Path.mkdir, Path.touch, lambda path: path.write_bytes(b'PK\x03\x04')])
def test_name_of_a_model_means_the_shipped_one_in_any_working_directory(lseg, tmp_path, make):
    expected = lseg('info', 'lseg-lite')
    make(tmp_path / 'lseg-lite')
    assert lseg('info', 'lseg-lite') == expected


@pytest.mark.parametrize('command', cli.COMMANDS)
def test_help_teaches_by_example(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([command, '--help'])
    assert stop.value.code == 0
    assert f'lseg {command}' in capsys.readouterr().out.split('\n\n', 1)[1]


def test_help_of_all_commands_loads_nothing_heavy():
    code = (
        'import sys; from lseg_ros import cli\n'
        'try: cli.main(["--help"])\n'
        'except SystemExit: pass\n'
        'heavy = {"torch", "timm", "PIL", "cv2", "moderngl", "tqdm"} & set(sys.modules)\n'
        'sys.exit(f"loaded {heavy}" if heavy else 0)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(f'\n    {command} ' in done.stdout for command in cli.COMMANDS)


def test_version_is_the_packages(capsys):
    with pytest.raises(SystemExit):
        cli.main(['--version'])
    assert capsys.readouterr().out == f'lseg {__version__}\n'


@pytest.fixture
def add_ons(monkeypatch):
    """Return a function that installs add-ons, given as values of entry points, in place of all."""

    def install(**values):
        entries = [metadata.EntryPoint(name, each, cli.ENTRY_POINTS) for name, each in values.items()]
        monkeypatch.setattr(metadata, 'entry_points', lambda group: entries if group == cli.ENTRY_POINTS else [])

    return install


@pytest.mark.parametrize('command', cli.LAB_COMMANDS)
def test_help_of_a_command_of_the_lab_teaches_by_example(command, capsys):
    if command not in metadata.entry_points(group=cli.ENTRY_POINTS).names:
        pytest.skip('needs the lab: pip install ./lab')
    with pytest.raises(SystemExit) as stop:
        cli.main([command, '--help'])
    assert stop.value.code == 0
    assert f'lseg {command}' in capsys.readouterr().out.split('\n\n', 1)[1]


@pytest.mark.parametrize('command', cli.LAB_COMMANDS)
def test_without_the_lab_its_commands_say_what_to_install(add_ons, capsys, command):
    add_ons()
    assert cli.main([command, '--anything']) == 2
    error = capsys.readouterr().err
    assert error == (
        f'lseg: error: {command} needs the lab, which is not installed: pip install ./lab in a checkout of lseg_ros\n'
    )


def test_the_commands_of_the_lab_are_those_that_it_declares():
    tomllib = pytest.importorskip('tomllib', reason='needs Python 3.11')
    text = (Path(__file__).parents[1] / 'lab' / 'pyproject.toml').read_text()
    declared = tomllib.loads(text)['project']['entry-points'][cli.ENTRY_POINTS]
    assert set(cli.LAB_COMMANDS) == set(declared)


def test_the_command_of_an_add_on_runs(add_ons, capsys):
    add_ons(describe='lseg_ros.commands.info')
    assert cli.main(['describe', 'lseg-lite']) == 0
    assert 'tf_efficientnet_lite0' in capsys.readouterr().out


def test_an_add_on_without_a_command_or_with_a_name_of_ours_breaks_nothing(add_ons, capsys):
    add_ons(info='lseg_ros.commands.convert', train='json')
    with pytest.raises(SystemExit) as stop:
        cli.main(['--help'])
    assert stop.value.code == 0
    out, err = capsys.readouterr()
    assert info.HELP in ' '.join(out.split())
    assert err == "lseg: warning: command train (json) cannot be loaded: module 'json' has no attribute 'HELP'\n"


def test_a_broken_add_on_breaks_its_own_command_only(add_ons, capsys):
    add_ons(train='no_such_module')
    assert cli.main(['info', 'lseg-lite']) == 0
    assert not capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        cli.main(['--help'])
    assert stop.value.code == 0
    out, err = capsys.readouterr()
    assert all(f'\n    {command} ' in out for command in cli.COMMANDS)
    assert err.startswith('lseg: warning: command train') and err.count('\n') == 1
    assert cli.main(['train']) == 2
    err = capsys.readouterr().err
    assert "command train (no_such_module) cannot be loaded: No module named 'no_such" in err
    assert err.startswith('lseg: error: ') and err.count('\n') == 1


def test_segment_goes_on_where_it_was_interrupted(lseg, tmp_path, monkeypatch):
    for name in ('a', 'b', 'c'):
        write_image(tmp_path / 'in' / f'{name}.png')
    begun, segment = [], FileSegmenter.segment

    def segment_two(self, item):
        if len(begun) == 2:
            raise KeyboardInterrupt
        begun.append(item.path.name)
        segment(self, item)

    def interrupted_after_two():
        begun.clear()
        monkeypatch.setattr(FileSegmenter, 'segment', segment_two)
        assert lseg.segment('in')[0] == 130
        monkeypatch.setattr(
            FileSegmenter, 'segment', lambda self, item: (begun.append(item.path.name), segment(self, item))
        )

    interrupted_after_two()
    assert lseg.segment('in')[:2] == (0, '3 of 3 images segmented into lseg_output\n')
    assert begun == ['a.png', 'b.png', 'c.png']
    assert not (tmp_path / 'lseg_output.unfinished').exists()
    interrupted_after_two()
    shutil.rmtree(tmp_path / 'lseg_output')  # and with it what had been done
    assert lseg.segment('in')[:2] == (0, '3 of 3 images segmented into lseg_output\n')
    assert len(begun) == 5 and len(list((tmp_path / 'lseg_output').glob('*.ids.png'))) == 3
    interrupted_after_two()
    assert lseg.segment('in', labels='floor, door')[0] == 0  # other labels: nothing of it is done
    assert begun == ['a.png', 'b.png', 'a.png', 'b.png', 'c.png']
