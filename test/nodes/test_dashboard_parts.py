# SPDX-License-Identifier: Apache-2.0
"""The parts of the dashboard that need neither a node nor a browser."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
from geometry_msgs.msg import Point
from std_msgs.msg import Header

from lseg_ros.dashboard.label_changes import LabelEdit, groups_of_file, groups_to_restore, moved
from lseg_ros.dashboard.label_history import LabelHistory
from lseg_ros.dashboard.pictures import JpegCache, heat
from lseg_ros.dashboard.readings import FrameMatcher, Reading
from lseg_ros.labels import LabelClass, LabelRegistry, LabelSet
from lseg_ros.labels.files import LabelFile
from lseg_ros.labels.syntax import parse_groups
from lseg_ros.nodes.conversions import array_to_image
from lseg_ros.nodes.dashboard import dashboard_node
from lseg_ros.nodes.dashboard.dashboard_settings import DashboardSettings
from lseg_ros.nodes.dashboard.reports import Part, latency_sample
from lseg_ros.nodes.label_modes import REPLACE, change_labels

pytest.importorskip('nicegui', reason='needs NiceGUI: pip install -r requirements/dashboard.txt')
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from lseg_ros.dashboard.access import MAX_BODY_BYTES, Access
from lseg_ros.dashboard.actions import SingleAction, answer_of
from lseg_ros.dashboard.latency_plot import Sample, latency_plot
from lseg_ros.nodes.dashboard.server import listen
from lseg_ros.nodes.dashboard.widgets.query_panel import relevance_html
from lseg_ros.srv import QueryText

LABELS = LabelSet((LabelClass(0, 'other', ('other',), (70, 70, 70)), LabelClass(1, 'floor', ('floor',), (60, 200, 80))))


def reading() -> Reading:
    ids = np.array([[0, 1, 1, 1], [0, 1, 1, 255]], np.uint8)
    confidence = np.array([[51, 255, 255, 255], [51, 255, 0, 0]], np.uint8)
    return Reading(7, ids, confidence, LABELS)


def test_shares_and_confidences_are_those_of_the_pixels():
    shares = [(part.label.name, part.share, part.confidence) for part in reading().shares]
    assert shares == [('floor', 5 / 8, 4 / 5), ('other', 2 / 8, 0.2), ('unlabelled', 1 / 8, 0.0)]


@pytest.mark.parametrize(
    ('place', 'pixel'), [((0, 0), (0, 0, 'other')), ((0.3, 0.2), (1, 0, 'floor')), ((1, 1), (3, 1, 'unlabelled'))]
)
def test_a_place_in_the_picture_is_a_pixel(place, pixel):
    found = reading().at(*place)
    assert (found.u, found.v, found.label.name) == pixel


def test_messages_are_matched_by_their_stamp():
    matcher = FrameMatcher('ids', 'confidence', most=2)
    assert matcher.add('ids', 1, 'a') is None
    assert matcher.add('ids', 2, 'b') is None
    assert matcher.add('confidence', 2, 'B') == {'ids': 'b', 'confidence': 'B'}
    assert matcher.add('ids', 3, 'c') is None
    assert matcher.add('ids', 4, 'd') is None  # more than two wait, so the first is forgotten
    assert matcher.add('confidence', 1, 'A') is None


def test_changes_are_undone_one_by_one():
    registry, history = LabelRegistry(), LabelHistory()
    sets = [registry.replace(['floor']), registry.add(['door']), registry.remove(['door']), registry.add(['door=gate'])]
    for labels in [sets[0], *sets]:  # a table that comes again is no change
        history.note(labels)
    for earlier in sets[2::-1]:
        assert history.go_back() == earlier
        history.note(earlier)
    assert history.previous is None and history.go_back() is None
    assert history.current == sets[0]


def ordered(history):
    return [label.name for label in history.current.in_order]


def test_changes_of_order_are_changes_too():
    registry, history = LabelRegistry(), LabelHistory()
    history.note(registry.replace(['floor', 'wall']))
    history.note_order(['other', 'floor', 'wall'])
    added = registry.replace(['door', 'wall', 'floor'])
    history.note(replace(added, order=()))  # as the node announces it
    assert ordered(history) == ['other', 'floor', 'wall', 'door']
    history.note_order(['other', 'floor', 'wall'])  # of the labels before
    history.note_order(['other', 'door', 'wall', 'floor'])
    assert ordered(history) == ['other', 'door', 'wall', 'floor']
    history.note_order(['other', 'wall', 'door', 'floor'])
    for order in (['other', 'door', 'wall', 'floor'], ['other', 'floor', 'wall']):
        earlier = history.go_back()
        assert list(earlier.order) == order
        history.note(replace(earlier, order=()))
        history.note_order(order)
        assert ordered(history) == order
    assert history.previous is None


def test_a_refused_undo_is_not_made_up_for_later():
    registry, history = LabelRegistry(), LabelHistory()
    sets = [registry.replace(['floor']), registry.add(['door'])]
    for labels in sets:
        history.note(labels)
    history.go_back()
    history.stay()
    history.note(sets[0])
    assert history.previous.classes == sets[1].classes


LABELS_IN_GROUPS = LabelRegistry().replace(
    ['rug=rug|mat', 'floor', 'cat'], {'ground': ['floor', 'rug'], 'moving': ['cat']}
)


@pytest.mark.parametrize(
    ('name', 'step', 'specs'),
    [
        ('floor', -1, ['other', 'floor', 'rug=rug|mat', 'cat']),
        ('floor', 1, ['other', 'rug=rug|mat', 'cat', 'floor']),
        ('cat', 1, ['other', 'rug=rug|mat', 'floor', 'cat']),
        ('rug', -1, ['other', 'rug=rug|mat', 'floor', 'cat']),
    ],
)
def test_a_label_moves_among_the_others(name, step, specs):
    assert moved(LABELS_IN_GROUPS, name, step) == specs


@pytest.mark.parametrize(
    ('groups', 'changed'),
    [
        (['moving', 'ground'], ['ground=rug|floor|cat']),
        (['pet'], ['moving=', 'pet=cat']),
        (['moving'], []),
        (['moving', ' Traversable'], ['traversable=cat']),
    ],
)
def test_a_label_is_put_into_groups(groups, changed):
    cat = LABELS_IN_GROUPS.in_order[-1]
    edit = LabelEdit.of(cat, 'cat=cat|kitten', groups)
    assert (edit.spec, edit.groups(LABELS_IN_GROUPS)) == ('cat=cat|kitten', changed)
    assert LabelEdit.of(cat, 'cat', groups).spec == ''


def test_other_stays_where_it_is_if_it_is_a_label_like_others():
    labels = LabelRegistry(include_other=False).replace(['a', 'other', 'b'])
    assert moved(labels, 'b', -1) == ['b', 'other', 'a']
    assert moved(labels, 'a', 1) == ['b', 'other', 'a']


def test_an_order_need_not_list_other():
    history = LabelHistory()
    history.note(LabelRegistry().replace(['floor', 'wall']))
    history.note_order(['wall', 'floor'])
    assert ordered(history) == ['other', 'wall', 'floor']


def test_groups_become_those_of_an_earlier_set_or_of_a_file():
    registry = LabelRegistry()
    earlier = registry.replace(['floor', 'cat'], {'ground': ['floor'], 'moving': ['cat']})
    present = registry.add(['cat'], parse_groups(['ground=floor|cat', 'moving=', 'pet=cat']))
    restored = registry.regroup(parse_groups(groups_to_restore(present, earlier)))
    assert restored.groups == earlier.groups
    file = LabelFile(('floor', 'cat=cat|kitten'), {'soft': ('cat=cat|kitten',)})
    registry.remove(['cat'])  # which would return with its groups
    loaded = change_labels(registry, REPLACE, file.labels, groups_of_file(file))
    assert {label.name: label.groups for label in loaded.classes if label.groups} == {'cat': ('soft',)}


def test_several_browsers_share_a_picture():
    cache, pixels = JpegCache(), np.zeros((480, 640, 3), np.uint8)
    small = cache.encode(1, pixels, 300)
    assert cache.encode(1, pixels, 310) is small
    assert cv2.imdecode(np.frombuffer(small, np.uint8), 1).shape == (240, 320, 3)
    large = cache.encode(1, pixels, 5000)  # never enlarged
    assert cv2.imdecode(np.frombuffer(large, np.uint8), 1).shape == (480, 640, 3)


def test_heat_is_where_the_relevance_is():
    relevance = np.zeros((8, 16), np.uint8)
    relevance[:, 8:] = 255
    shown = heat(np.full((16, 32, 3), 128, np.uint8), relevance)
    assert shown.shape == (8, 16, 3)
    assert np.ptp(shown[:, :8].astype(int), axis=-1).max() < 30 < np.ptp(shown[:, 8:].astype(int), axis=-1).min()


def test_a_latency_that_is_not_known_yet_is_no_sample():
    assert latency_sample(1.0, Part(0, '', {'latency p50 (ms)': 'nan', 'latency p95 (ms)': 'nan'})) is None
    assert latency_sample(1.0, Part(0, '', {})) is None
    values = {'latency p50 (ms)': '12.5', 'latency p95 (ms)': '20.0'}
    assert latency_sample(1.0, Part(0, '', values)) == Sample(1.0, 12.5, 20.0)


def test_the_plot_has_a_round_scale_and_the_last_minute_only():
    plot = latency_plot([Sample(t, 10.0, 31.0) for t in (0.0, 99.0, 100.0)], 100.0)
    assert '50 ms' in plot
    assert plot.count(',') == 4 + plot.count('minute: now median')  # two lines of two points


def test_the_plot_has_no_line_where_there_was_no_latency():
    times = (50.0, 51.0, 80.0, 81.0)
    plot = latency_plot([Sample(t, 10.0, 31.0) for t in times], 100.0)
    assert plot.count('<polyline class="p50_ms"') == 2
    assert '19 s ago median 10 ms' in plot


def test_what_is_old_is_said_to_be():
    assert reading().old == ''
    assert re.fullmatch('1[23] s old', replace(reading(), arrived_s=time.monotonic() - 12).old)


def test_without_nicegui_one_line_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(dashboard_node.importlib.util, 'find_spec', lambda _: None)
    assert dashboard_node.main() == 2
    assert re.fullmatch(r'dashboard: NiceGUI is not installed: pip install .*\n', capsys.readouterr().err)


@pytest.mark.parametrize('host', ['127.0.0.1', 'no.such.host.invalid'])
def test_an_address_that_cannot_be_used_is_named(host):
    with listen('127.0.0.1', 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f'port {port} of host {host!r}: .*; set the parameters port and host'):
            listen(host, port)


@pytest.mark.parametrize('host', ['127.0.0.1', '::1', 'localhost', '127.3.2.1'])
def test_loopback_addresses_need_no_token(host):
    assert DashboardSettings(host=host).is_loopback


@pytest.mark.parametrize('host', ['0.0.0.0', '::', '192.168.1.7', 'robot'])
def test_other_addresses_do(host):
    assert not DashboardSettings(host=host).is_loopback


def test_whatever_a_call_raises_is_said():
    def fail():
        raise RuntimeError('the context is gone')

    assert asyncio.run(answer_of(fail)) == (None, 'RuntimeError: the context is gone')


def test_blocked_calls_leave_threads_for_pictures():
    released = threading.Event()

    async def ask_often():
        calls = [asyncio.create_task(answer_of(released.wait)) for _ in range(8)]
        try:
            await asyncio.sleep(0)
            return await asyncio.wait_for(asyncio.to_thread(lambda: 'picture'), 10)
        finally:
            released.set()
            await asyncio.gather(*calls)

    assert asyncio.run(ask_often()) == 'picture'


def test_an_action_is_ignored_while_it_is_under_way():
    begun = []

    async def press_twice():
        gate = asyncio.Event()

        async def act():
            begun.append(1)
            await gate.wait()

        action = SingleAction(act)
        first = asyncio.create_task(action.run())
        await asyncio.sleep(0)
        await action.run()
        gate.set()
        await first
        await action.run()

    asyncio.run(press_twice())
    assert len(begun) == 2


def test_relevance_without_its_picture_says_so():
    relevance = array_to_image(np.zeros((4, 6), np.uint8), 'mono8', Header())
    answer = QueryText.Response(
        relevance=[relevance], peak_u=[1], peak_v=[2], peak_relevance=[0.5], peak_point=[Point(z=float('nan'))]
    )
    assert 'not at hand' in relevance_html('cat', answer, None)
    assert 'not at hand' not in relevance_html('cat', answer, np.zeros((8, 12, 3), np.uint8))


async def answer(scope, receive, send):
    """Say yes to every request, and accept every web socket."""
    if scope['type'] == 'websocket':
        await send({'type': 'websocket.accept'})
        await send({'type': 'websocket.close'})
    else:
        await PlainTextResponse('yes')(scope, receive, send)


def browser(token: str = '', address: str = 'http://localhost:8090') -> TestClient:
    return TestClient(Access(answer, token, '127.0.0.1'), base_url=address, follow_redirects=False)


def test_this_machine_is_let_in_under_its_own_names_only():
    assert browser().get('/').text == 'yes'
    assert browser(address='http://127.0.0.1:8090').get('/').text == 'yes'
    assert browser(address='http://evil.example').get('/').status_code == 403  # a name that leads here


@pytest.mark.parametrize('path', ['/', '/_nicegui_ws/socket.io/'])
def test_pages_of_other_sites_are_refused(path):
    headers = {'Origin': 'http://evil.example'}
    assert browser().get(path, headers=headers).status_code == 403
    with pytest.raises(WebSocketDisconnect), browser().websocket_connect(path, headers=headers):
        pass
    assert browser().get(path, headers={'Origin': 'http://localhost:8090'}).text == 'yes'


@pytest.mark.parametrize('host', ['[', '', 'evil@localhost', 'localhost:x', 'localhost/', 'localhost localhost'])
def test_malformed_hosts_are_refused(host):
    assert browser().get('/', headers={'Host': host}).status_code == 403
    assert browser('secret').get('/', headers={'Host': host}).status_code == 403


def test_several_hosts_are_refused():
    assert browser().get('/', headers=[('Host', 'localhost'), ('Host', 'evil.example')]).status_code == 403


@pytest.mark.parametrize('host', ['LOCALHOST', '[::1]:8090', '127.0.0.1'])
def test_this_machine_has_several_names(host):
    assert browser().get('/', headers={'Host': host}).text == 'yes'


@pytest.mark.parametrize('origin', ['http://[', 'null', '', 'http://evil@localhost:8090', 'ftp://localhost:8090'])
def test_malformed_and_foreign_origins_are_refused(origin):
    assert browser().get('/', headers={'Origin': origin}).status_code == 403


FRAMED = {'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'iframe'}
FETCHED = {'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image'}
LINKED = {'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document'}


@pytest.mark.parametrize('site', ['cross-site', 'same-site'])
def test_other_pages_may_link_to_the_page_only(site):
    for headers in (FRAMED, FETCHED, {}):
        assert browser().get('/frame', headers={'Sec-Fetch-Site': site, **headers}).status_code == 403
    assert browser().get('/', headers={'Sec-Fetch-Site': site, **LINKED}).text == 'yes'
    for own in ('same-origin', 'none'):
        assert browser().get('/', headers={'Sec-Fetch-Site': own, **FETCHED}).text == 'yes'


@pytest.mark.parametrize(('token', 'host'), [('', 'localhost'), ('', 'evil.example'), ('secret', 'robot')])
def test_no_answer_may_be_shown_in_a_frame(token, host):
    headers = browser(token).get('/', headers={'Host': host}).headers
    assert headers['x-frame-options'] == 'DENY'
    assert headers['content-security-policy'] == "frame-ancestors 'none'"


def test_a_cookie_that_is_no_token_is_not_let_in():
    assert browser('secret').get('/', headers={'Cookie': b'lseg_dashboard=caf\xe9'}).status_code == 401


def test_elsewhere_a_token_is_needed(monkeypatch):
    monkeypatch.setattr('lseg_ros.dashboard.access.WRONG_TOKEN_DELAY_S', 0)
    client = browser('secret', 'http://robot:8090')
    assert client.get('/').status_code == 401
    assert client.get('/?token=wrong').status_code == 401
    assert client.get('/?token=s%C3%A9cret').status_code == 401
    with pytest.raises(WebSocketDisconnect), client.websocket_connect('/'):
        pass
    opened = client.get('/?token=secret')
    assert opened.status_code == 303 and 'secret' not in opened.headers['location']
    assert client.get('/').text == 'yes'


def test_large_bodies_are_refused_before_they_are_read():
    assert browser().post('/', content=b'x' * MAX_BODY_BYTES).text == 'yes'
    assert browser().post('/', content=b'x' * (MAX_BODY_BYTES + 1)).status_code == 413
    assert browser().post('/', content=iter([b'x'])).status_code == 411  # of unknown size
    assert browser().post('/', headers={'Content-Length': '9' * 5000}).status_code == 413
