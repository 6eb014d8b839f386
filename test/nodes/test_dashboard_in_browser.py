# SPDX-License-Identifier: Apache-2.0
"""The dashboard as people use it: a real node, a real dashboard, a real Chromium."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import cv2
import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import Point
from harness import BARE, LATCHED, Client, repeating, running
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import GetState
from oracle import oracle_in_node
from oracle_answers import red_of
from rcl_interfaces.srv import GetParameters
from rclpy.context import Context
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image, PointCloud2
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

from lseg_ros.core.cloud import POINT
from lseg_ros.msg import MapAnswer
from lseg_ros.nodes.conversions import POINT_FIELDS, array_to_image
from lseg_ros.nodes.segmentation.segmentation_node import SegmentationNode
from lseg_ros.srv import QueryMap

pytest.importorskip('nicegui', reason='needs NiceGUI: pip install -r requirements/dashboard.txt')
pytest.importorskip('selenium', reason='needs selenium: pip install -r requirements/test.txt')
from dashboard_browser import CHROMEDRIVER, CHROMIUM, Browser, browser, dashboard
from selenium.webdriver.common.keys import Keys

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHROMIUM and CHROMEDRIVER), reason='needs chromium and chromedriver (Debian: chromium-driver)'
    ),
]
LABELS = ['floor', 'wall']
PIXELS = 'const at = arguments[0]; return [...at.getContext("2d").getImageData(0, 0, at.width, at.height).data]'
FRAME_S = 0.2


def picture() -> np.ndarray:
    """Return an image whose left half is floor and whose right half is chair to the oracle."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:, :32, 0], pixels[:, 32:, 0] = red_of('floor'), red_of('chair')
    return pixels


class Scene:
    """A node that sees a camera, its dashboard, and a browser that shows it."""

    def __init__(self, context: Context, node: Client, page: Browser, address: str) -> None:
        self.node = node  # its client, which also plays the camera
        self.page = page
        self.address = address
        self._context = context
        self._running = ExitStack()

    def start_node(self) -> None:
        """Start the node, unconfigured."""
        labels = Parameter('labels', value=LABELS)
        options = {'enable_rosout': False, 'parameter_overrides': [labels]}
        node = SegmentationNode(context=self._context, namespace=self.node.namespace, **options)
        self._running.enter_context(running(node, node.close))

    def stop_node(self) -> None:
        """End the node."""
        self._running.close()


@pytest.fixture(scope='module')
def scene(ros_context) -> Iterator[Scene]:
    """The scene; the node runs."""
    client = Client(ros_context, '/dashboard')
    with (
        oracle_in_node(),
        running(client.node),
        dashboard(client.namespace) as address,  # which starts while Chromium does, too
        browser() as page,
        repeating(lambda: client.send(picture(), time.time_ns()), FRAME_S),
    ):
        scene = Scene(ros_context, client, page, address())
        scene.start_node()
        yield scene
        scene.stop_node()


@pytest.fixture
def page(scene) -> Browser:
    """The browser, with the node active and its labels as at the start."""
    scene.node.bring_up()
    assert scene.node.set_labels(LABELS).success
    scene.page.driver.get(scene.address)
    scene.page.find('.pill', 'active')
    scene.page.find('.chip', 'wall')
    scene.page.wait_gone('.chip', 'chair')
    return scene.page


@pytest.fixture
def node(scene) -> Client:
    """The client of the node, which also plays the camera."""
    return scene.node


def chips(page: Browser) -> list[str]:
    """Return the names on the chips, in their order."""
    names = "return [...document.querySelectorAll('.chip button.name')].map(at => at.ariaLabel)"
    return [name.removeprefix('Edit ') for name in page.driver.execute_script(names)]


def test_the_picture_moves(page):
    canvas = page.find('.live canvas')
    page.wait(lambda: int(canvas.get_attribute('data-frames')) > 1, 'a second picture')
    shown = page.driver.execute_script(
        'return [...arguments[0].getContext("2d").getImageData(1, arguments[0].height - 1, 1, 1).data]', canvas
    )
    assert shown[:3] != [0, 0, 0]


def answer_parameters(request: GetParameters.Request, response: GetParameters.Response) -> GetParameters.Response:
    """Answer as a node with two cameras."""
    values = {'cameras': ['front', 'left'], 'overlay_alpha': 0.5, 'labels': ['floor']}
    response.values = [Parameter(name, value=values[name]).get_parameter_value() for name in request.names]
    return response


@pytest.fixture
def two_cameras(scene, page, ros_context) -> Iterator[Browser]:
    """The browser; in place of the node runs one of two cameras, of which one sends pictures."""
    scene.stop_node()
    node = rclpy.create_node('lseg', context=ros_context, namespace=scene.node.namespace, **BARE)
    node.create_service(GetState, '~/get_state', lambda _, response: response)
    node.create_service(GetParameters, '~/get_parameters', answer_parameters)
    overlay = node.create_publisher(Image, '~/front/overlay', 1)
    message = array_to_image(picture(), 'rgb8', Header())
    with running(node), repeating(lambda: overlay.publish(message), FRAME_S):
        yield page
    scene.start_node()


def test_pictures_without_stamps_move_and_are_not_taken_for_those_of_another_camera(two_cameras):
    page = two_cameras
    page.find('.camera button', 'left')
    page.wait_gone('.live .note')
    first = int(page.find('.live canvas').get_attribute('data-frames'))
    page.wait(lambda: int(page.find('.live canvas').get_attribute('data-frames')) > first + 1, 'two more pictures')
    page.press('.camera button', 'left')
    page.find('.live .note', 'Waiting for the first picture')
    assert not any(page.driver.execute_script(PIXELS, page.find('.live canvas')))
    page.press('.camera button', 'front')
    page.wait_gone('.live .note')


def test_a_typed_label_reaches_the_node_and_the_legend(page, node):
    page.enter('.labels input', 'chair=chair|armchair')
    page.find('.legend tr', 'chair')
    page.find('.chip', 'armchair')
    assert 'chair' in [label.name for label in node.set_labels(['chair'], 'add').label_set.classes]


def test_a_refused_label_stays_with_its_reason_beside_it(page):
    page.enter('.labels input', 'a=b=c')
    refused = page.find('.chip.refused')
    assert 'a=b=c' in refused.text and "second '='" in refused.text
    page.press('.chip.refused .cross')
    page.wait_gone('.chip.refused')


def test_a_change_by_somebody_else_is_seen_and_undone(page, node):
    node.set_labels(['chair'], 'add')
    page.find('.chip', 'chair')
    page.press('.labels button', 'Undo')
    page.wait_gone('.chip', 'chair')


def test_a_label_is_removed_and_its_prompts_edited(page, node):
    page.press('[aria-label="Edit wall"]')
    page.enter('.dialog textarea', 'facade')
    page.press('.dialog button', 'Save')
    page.find('.chip', 'facade')
    page.press('[aria-label="Remove wall"]')
    page.wait_gone('.chip', 'wall')
    assert 'wall' not in [label.name for label in node.set_labels(['floor'], 'add').label_set.classes]


def test_a_label_is_put_into_a_group_and_moved_by_keyboard_and_both_are_undone(page, node):
    page.type('[aria-label="Edit wall"]', Keys.ENTER)
    page.type('.dialog .groups input', 'fixed', Keys.ENTER)
    page.type('.dialog button', Keys.ENTER, text='Save')
    page.find('.chip .group', 'fixed')
    page.type('[aria-label="Edit wall"]', Keys.ENTER)
    page.type('.dialog button', Keys.SPACE, text='Earlier')
    page.find('.dialog .order', '1 of 2')
    page.press('.dialog button', 'Cancel')
    page.wait(lambda: chips(page) == ['other', 'wall', 'floor'], 'wall before floor')
    assert list(node.get_parameter('labels')) == ['other', 'wall', 'floor']
    page.press('.labels button', 'Undo')
    page.wait(lambda: chips(page) == ['other', 'floor', 'wall'], 'floor before wall')
    page.press('.labels button', 'Undo')
    page.wait_gone('.chip .group')
    table = node.set_labels(['floor'], 'add').label_set
    assert {entry.name: list(entry.groups) for entry in table.classes} == {'other': [], 'floor': [], 'wall': []}


def test_a_refused_group_stays_beside_the_chip_of_its_label(page):
    page.press('[aria-label="Edit floor"]')
    page.type('.dialog .groups input', 'wall', Keys.ENTER)
    page.press('.dialog button', 'Save')
    refused = page.find('.chip + .beside .refused', 'would share the topic')
    assert "group 'wall' and label 'wall'" in refused.text
    page.press('.chip.refused .cross')
    page.wait_gone('.chip.refused')


def test_a_label_file_is_loaded_or_refused(page, tmp_path):
    (tmp_path / 'good.yaml').write_text('labels: [chair, lamp]\ngroups: {furniture: [chair]}')
    (tmp_path / 'bad.yaml').write_text('nothing')
    (tmp_path / 'large.yaml').write_text('a: b\n' * 20_000)
    page.press('.labels button', 'Load a set')
    for name, reason in (('large.yaml', 'too large'), ('bad.yaml', 'holds no labels')):
        _upload(page, tmp_path / name)
        page.find('.dialog .problem', reason)
    _upload(page, tmp_path / 'good.yaml')
    page.find('.chip', 'lamp')
    assert page.find('.chip', 'furniture').text.split() == ['chair', 'furniture', 'close']


def test_a_text_is_found_at_its_pixels(page):
    page.enter('.query input', 'chair')
    caption = page.find('.query figcaption', 'chair').text
    assert 'not at hand' not in caption  # the picture that the answer is about
    column = int(caption.split('column ')[1].split(',')[0])
    assert 32 <= column < 64
    page.enter('.query input', 'x' * 300)  # the input takes 256 characters
    page.find('.query figcaption', 'x' * 256)


def test_a_picked_pixel_shows_its_class(page):
    page.find('.legend tr', 'floor')
    canvas = page.find('.live canvas')
    page.driver.execute_script(
        'const box = arguments[0].getBoundingClientRect();'
        'arguments[0].dispatchEvent(new MouseEvent("click", {clientX: box.left + 9, clientY: box.top + 9}))',
        canvas,
    )
    assert 'floor' in page.find('.readout', 'column').text


def test_deactivating_asks_first_and_the_silence_is_said(page, node):
    page.press('.bar button', 'Deactivate')
    page.press('.dialog button', 'Cancel')
    assert node.state() == 'active'
    page.press('.bar button', 'Deactivate')
    page.press('.dialog button', 'Deactivate')
    page.find('.pill', 'inactive')
    assert node.state() == 'inactive'
    page.find('.live .note', 'No new picture')
    page.find('.legend .problem', 's old')
    page.driver.refresh()
    page.find('.live .note', 'No new picture')  # the old one is not taken for a new one
    page.press('.bar button', 'Activate')
    page.find('.pill', 'active')
    page.wait_gone('.live .note')
    page.wait_gone('.legend .problem')


@pytest.mark.parametrize('path', ['nonsense', 'frame/1', 'docs', 'openapi.json', 'index.html'])
def test_paths_that_are_not_there_are_not_found(scene, path):
    with pytest.raises(HTTPError) as error:
        urlopen(f'{scene.address}{path}')
    assert error.value.code == 404


def test_cleaning_up_and_configuring_again(page, node):
    assert node.change_state(Transition.TRANSITION_DEACTIVATE)
    page.press('.bar button', 'Clean up')
    page.press('.dialog button', 'Clean up')
    page.find('.pill', 'unconfigured')
    page.press('.bar button', 'Configure')
    page.press('.bar button', 'Activate')
    page.find('.pill', 'active')


def test_a_node_that_ends_is_said_and_comes_back(scene, page):
    scene.stop_node()
    page.find('.pill', 'not running')
    page.find('.bar .message', '/dashboard/lseg is not running')
    page.enter('.labels input', 'lamp')
    page.find('.chip.refused', 'is not running')
    page.find('.labels', 'these are the last labels that it had')
    scene.start_node()
    page.press('.bar button', 'Configure')
    page.press('.bar button', 'Activate')
    page.find('.pill', 'active')
    page.wait_gone('.live .note')


@contextmanager
def map_node(context: Context, namespace: str) -> Iterator[None]:
    """A node that plays the map: it knows one sofa, and has two voxels."""
    node = rclpy.create_node('lseg_map', context=context, namespace=namespace)

    def answer(request: QueryMap.Request, response: QueryMap.Response) -> QueryMap.Response:
        response.success = True
        response.header.frame_id = 'map'
        sofa = MapAnswer(prompt='sofa', score=0.9, center=Point(x=1.5, y=2.5), points=2, reason='no free ground')
        response.answers = [sofa] if list(request.prompts) == ['sofa'] else []
        return response

    node.create_service(QueryMap, '~/query_map', answer)
    voxels = node.create_publisher(PointCloud2, '~/voxels', LATCHED)
    points = np.zeros(2, POINT)
    points['x'] = 1, 2
    voxels.publish(point_cloud2.create_cloud(Header(frame_id='map'), POINT_FIELDS, points))
    with running(node):
        yield


def test_the_map_is_asked_and_shown_while_there_is_one(scene, page, ros_context):
    assert not page.all('.map')
    with map_node(ros_context, scene.node.namespace):
        page.enter('.map input', 'sofa')
        assert 'no free ground' in page.find('.map tr', '1.50, 2.50').text
        page.enter('.map input', 'tent')
        page.find('.map', 'tent is not in the map')
        page.press('.map .q-expansion-item__toggle-icon')
        page.find('.map canvas')
    page.wait_gone('.map')


def test_the_health_of_the_node_is_shown(page):
    page.find('.tiles', 'Hz')
    page.find('.health svg')
    page.press('.health .q-expansion-item__toggle-icon')
    page.find('.all', 'images received')


def test_a_record_is_a_zip_of_one_moment(page, tmp_path):
    page.driver.execute_cdp_cmd('Browser.setDownloadBehavior', {'behavior': 'allow', 'downloadPath': str(tmp_path)})
    page.press('.camera button', 'Record')
    (path,) = page.wait(lambda: list(tmp_path.glob('*.zip')), 'the download')
    with zipfile.ZipFile(path) as archive:
        table = json.loads(archive.read('table.json'))
        pixels = {name: _decoded(archive.read(f'{name}.png')) for name in ('image', 'overlay', 'label_image')}
    assert (pixels['image'] == picture()[..., ::-1]).all()
    assert pixels['overlay'].shape == pixels['image'].shape
    ids = {label['name']: label['id'] for label in table['classes']}
    assert (pixels['label_image'][:, :32, 0] == ids['floor']).all()
    assert table['missing'] == '' and table['state'] == 'active'


def _upload(page: Browser, path: Path) -> None:
    inputs = page.wait(lambda: page.driver.find_elements('css selector', '.dialog input[type=file]'), 'the dialog')
    inputs[0].send_keys(str(path))


def _decoded(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
