# SPDX-License-Identifier: Apache-2.0
"""Run lseg_ros as on a robot, on real input, and save pictures and figures.

Three processes run: the segmentation node, a camera node, and a client that changes the labels
while frames flow. By default the input is a recorded drive through a flat and three photographs.
With --scene drive, three cameras with depth replay the whole drive; the result is scored against
the ground truth and mapped. With --scene map, the map node makes a map of it that is asked in
words.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ament_index_python.packages import get_package_prefix, get_package_share_directory

from demo_scenes import DemoScene, default_scenes, photograph_scene, user_scene
from lseg_ros.nodes.transport import use_profile

HERE = Path(__file__).resolve().parent
CONFIG = Path(get_package_share_directory('lseg_ros')) / 'config'
THREE_CAMERAS = 'cameras:=[front,left,rear]'
COLUMNS = ('scene', 'images in', 'images out', 'dropped', 'latency p50 (ms)', 'p95 (ms)', 'label change (ms)')
LEGEND = """
latency: from the camera's stamp to the arrival of the label image at the client
label change: from the response of set_labels to the first mask under the new labels
"""
STOP_TIMEOUT_S = 10
POLL_S = 0.1
DASHBOARD_PORT = 8090
SEEN_IN_BROWSER = 'Open http://127.0.0.1:{port}/ in a browser to see and steer the node.'
NO_DASHBOARD = 'To see and steer the node in a browser, install NiceGUI: pip install -r requirements/dashboard.txt'
KEPT_RUNNING = """\
Running until Ctrl-C. {dashboard}
Or try this in another terminal where ROS 2 and lseg_ros are sourced:
  export ROS_DOMAIN_ID={domain} ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST
  ros2 run lseg_ros lseg call set_labels floor chair    # with the wheels: lseg call ..., without ros2 run lseg_ros
"""


def main() -> int:
    """Run the scenes and print a table of figures; return the exit code."""
    args = _parse_arguments()
    shutil.rmtree(args.output, ignore_errors=True)
    use_profile(CONFIG / 'fastdds.xml')
    if args.scene:
        return (_show_drive if args.scene == 'drive' else _show_map)(args.output / args.scene)
    with tempfile.TemporaryDirectory() as scratch, _segmentation_node():
        scenes = _chosen_scenes(args, Path(scratch))
        rows = []
        for number, scene in enumerate(scenes, 1):
            print(
                f'[{number}/{len(scenes)}] {scene.name}: label sets '
                + ' and '.join(request.name for request in scene.requests),
                flush=True,
            )
            rows.append(_show_scene(scene, args.output / scene.name, args.keep))
    _print_table(rows)
    print(LEGEND)
    print(f'Pictures: {args.output}/<scene>/<label set>/{{input,overlay,label_image,mask_*}}.png')
    return 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        '--scene',
        choices=('drive', 'map'),
        help='drive: replay the recorded drive with three cameras and depth, score the result and map it; '
        'map: replay it for the map node, and ask the map for what is there and what is not',
    )
    source.add_argument('--image', help='your own photograph')
    source.add_argument('--video', help='your own video file')
    source.add_argument('--camera', help='number of your webcam, such as 0')
    parser.add_argument('--keep', action='store_true', help='keep running until Ctrl-C')
    parser.add_argument(
        '--output',
        type=Path,
        default=Path('demo_output'),
        help='folder for the pictures, deleted first (default: %(default)s)',
    )
    args = parser.parse_args()
    if args.scene and args.keep:
        parser.error(f'--keep does not work with --scene {args.scene}, which ends with the drive')
    return args


def _chosen_scenes(args: argparse.Namespace, scratch: Path) -> tuple[DemoScene, ...]:
    source = args.image or args.video or args.camera
    if source is None:
        return default_scenes(scratch)
    if args.camera is None and not Path(source).is_file():
        sys.exit(f'demo: no such file: {source}')
    if args.image is not None:
        try:
            return (photograph_scene(Path(source), scratch),)
        except OSError as error:
            sys.exit(f'demo: {source}: {error}')
    return (user_scene(source),)


def _show_drive(output: Path) -> int:
    """Play the drive to a node with three cameras; return the exit code."""
    with _segmentation_node(THREE_CAMERAS, 'labels_file:=navigation', 'points_stride:=2'):
        player = subprocess.run([sys.executable, HERE / 'drive_player.py', '--output', output])
    if player.returncode == 0:
        print(
            f'\nPictures: {output}/cameras.png (left, front, rear), '
            f'{output}/map.png (green: free, red: blocked; the ground truth is on the right)'
        )
    return player.returncode


def _show_map(output: Path) -> int:
    """Play the drive to both nodes and ask the map; return the exit code."""
    with _segmentation_node(THREE_CAMERAS), _running('map_node', *_parameters('map.yaml', THREE_CAMERAS)):
        player = subprocess.run([sys.executable, HERE / 'map_player.py', '--output', output])
    if player.returncode == 0:
        print(f'\nPicture: {output}/map.png; the map: {output}/map.safetensors, for lseg map')
    return player.returncode


def _show_scene(scene: DemoScene, output: Path, keep: bool) -> tuple[object, ...]:
    output.mkdir(parents=True)
    requests = json.dumps([[request.name, request.labels] for request in scene.requests])
    with _camera_node(scene.source) as camera:
        client = _run_client(camera, '--output', str(output), '--requests', requests)
        if client != 0:
            sys.exit(f"demo: scene '{scene.name}' failed: see the messages above")
        if keep:
            with _dashboard() as hint:
                print(KEPT_RUNNING.format(dashboard=hint, domain=os.environ.get('ROS_DOMAIN_ID', '0')), flush=True)
                _wait_for_interrupt(camera)
    return _figures_row(scene.name, json.loads((output / 'figures.json').read_text()))


def _run_client(camera: subprocess.Popen, *arguments: str) -> int:
    """Run the client, stopping it if the camera fails; return its exit code."""
    client = subprocess.Popen([sys.executable, HERE / 'scene_client.py', *arguments])
    try:
        while client.poll() is None and not camera.poll():
            time.sleep(POLL_S)
    finally:
        client.kill()
    return client.wait()


def _figures_row(name: str, figures: dict[str, Any]) -> tuple[object, ...]:
    p50, p95 = np.percentile(figures['latency_ms'], (50, 95))
    changes = ', '.join(f'{ms:.0f}' for ms in figures['label_change_ms'].values())
    return (
        name,
        figures['images received'],
        figures['frames published'],
        figures['images dropped'],
        f'{p50:.0f}',
        f'{p95:.0f}',
        changes,
    )


def _print_table(rows: list[tuple[object, ...]]) -> None:
    table = [COLUMNS, *rows]
    widths = [max(len(str(row[column])) for row in table) for column in range(len(COLUMNS))]
    print()
    for row in table:
        print('  '.join(str(cell).rjust(width) for cell, width in zip(row, widths)))


@contextmanager
def _segmentation_node(*parameters: str) -> Iterator[subprocess.Popen]:
    with _running('segmentation_node', *_parameters('lseg.yaml', *parameters)) as node:
        yield node


def _parameters(defaults: str, *changed: str) -> tuple[str, ...]:
    """Return a file of config/, and parameters that differ from it, as ROS arguments."""
    return '--params-file', str(CONFIG / defaults), *(part for parameter in changed for part in ('-p', parameter))


@contextmanager
def _camera_node(source: str) -> Iterator[subprocess.Popen]:
    with _running('camera_node', '-p', f"source:='{source}'", '-p', 'loop:=true') as node:
        yield node


@contextmanager
def _dashboard() -> Iterator[str]:
    """Run the dashboard if it is installed; yield what to tell the user of it."""
    if importlib.util.find_spec('nicegui') is None:
        yield NO_DASHBOARD
        return
    port = _free_port(DASHBOARD_PORT)
    with _running('dashboard', '-p', f'port:={port}'):
        yield SEEN_IN_BROWSER.format(port=port)


def _free_port(preferred: int) -> int:
    """Return a free port of this machine, the preferred one if possible."""
    for port in (preferred, 0):
        try:
            with socket.create_server(('127.0.0.1', port)) as probe:
                return int(probe.getsockname()[1])
        except OSError:
            continue
    raise OSError('no port is free')


@contextmanager
def _running(executable: str, *ros_arguments: str) -> Iterator[subprocess.Popen]:
    """Run a node of the installed package in a process of its own; interrupt it at the end."""
    program = Path(get_package_prefix('lseg_ros')) / 'lib' / 'lseg_ros' / executable
    process = subprocess.Popen([program, '--ros-args', *ros_arguments], start_new_session=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_for_interrupt(camera: subprocess.Popen) -> None:
    try:
        camera.wait()
    except KeyboardInterrupt:
        print()


if __name__ == '__main__':
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
