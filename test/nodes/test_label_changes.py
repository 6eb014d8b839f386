# SPDX-License-Identifier: Apache-2.0
"""Label changes while images flow: no mask without its table, no id with two meanings."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from harness import TIMEOUT_S, ids_of, repeating, stamp_of
from lifecycle_msgs.msg import Transition

from lseg_ros.model import LSeg

CAMERA_PERIOD_S = 0.02


def ids_in(table):
    return {entry.id for entry in table.classes}


def names_by_id(table):
    return {entry.id: entry.name for entry in table.classes}


def playing(client):
    """Let the camera send pictures until the block ends."""
    return repeating(client.send, CAMERA_PERIOD_S)


def wait_for_frames_since(client, table, count=2):
    return client.wait_for(
        lambda: [
            message for message in list(client.received['lseg/label_image']) if stamp_of(message) >= stamp_of(table)
        ][count - 1 :],
        f'{count} frames of the new table',
    )


@pytest.mark.slow
def test_no_mask_has_an_id_missing_from_its_table_while_labels_change_under_load(active):
    client = active(labels=['floor', 'door'])
    requests = [
        ['wall', 'chair'],
        ['floor'],
        ['cat', 'dog', 'bird'],
        ['floor=ground|floor', 'cat'],
        [f'thing {number}' for number in range(40)],
        ['wall'],
    ]
    with playing(client):
        for labels in requests:
            answer = client.set_labels(labels)
            assert answer.success, answer.message
            wait_for_frames_since(client, answer.label_set)
    assert len(client.received['lseg/label_set']) == 1 + len(requests)
    client.assert_ids_are_in_their_tables()


@pytest.mark.slow
def test_table_is_published_between_the_last_old_mask_and_the_first_new_one(active):
    client = active(labels=['floor'])
    with playing(client):
        for labels in (['wall'], ['cat', 'dog'], ['floor']):
            wait_for_frames_since(client, client.set_labels(labels).label_set)
    in_force = None
    for message in client.in_order_of_sending('lseg/label_set', 'lseg/label_image'):
        if hasattr(message, 'classes'):
            in_force = message
        else:
            assert set(np.unique(ids_of(message))) <= ids_in(in_force)


def test_response_is_the_latched_table_and_its_stamp_separates_old_masks_from_new(active):
    client = active(labels=['floor', 'door'])
    before = stamp_of(client.segment_frame())
    answer = client.set_labels(['cat', 'dog'])
    assert before < stamp_of(answer.label_set) <= client.last_stamp_ns + 10**9
    client.wait_for(lambda: answer.label_set in client.received['lseg/label_set'], 'the table')
    after = client.segment_frame()
    assert stamp_of(after) >= stamp_of(answer.label_set)
    assert set(np.unique(ids_of(after))) <= {0, 3, 4}


def test_modes_add_and_remove_change_the_current_set(active):
    client = active(labels=['floor', 'door'])
    added = client.set_labels(['cat=cat|kitten'], 'add')
    assert names_by_id(added.label_set) == {0: 'other', 1: 'floor', 2: 'door', 3: 'cat'}
    removed = client.set_labels(['door'], 'remove')
    assert names_by_id(removed.label_set) == {0: 'other', 1: 'floor', 3: 'cat'}


@pytest.mark.slow
def test_names_keep_their_ids_across_changes_and_reconfiguration(active):
    client = active(labels=['floor', 'door'])
    client.set_labels(['wall'])
    back = client.set_labels(['door', 'window', 'floor'])
    assert names_by_id(back.label_set) == {0: 'other', 1: 'floor', 2: 'door', 4: 'window'}
    for transition in (
        Transition.TRANSITION_DEACTIVATE,
        Transition.TRANSITION_CLEANUP,
        Transition.TRANSITION_CONFIGURE,
    ):
        assert client.change_state(transition)
    table = client.wait_for(
        lambda: [table for table in client.received['lseg/label_set'] if stamp_of(table) == 0][1:],
        'the table latched anew',
    )[-1]
    assert names_by_id(table) == {0: 'other', 1: 'floor', 2: 'door', 4: 'window'}


def test_refused_call_names_the_label_and_changes_nothing(active):
    client = active(labels=['floor', 'door'])
    tables = len(client.received['lseg/label_set'])
    answer = client.set_labels(['cat', 'Cat'])
    assert not answer.success
    assert 'cat' in answer.message
    assert names_by_id(answer.label_set) == {0: 'other', 1: 'floor', 2: 'door'}
    assert set(np.unique(ids_of(client.segment_frame()))) <= {0, 1, 2}
    assert len(client.received['lseg/label_set']) == tables


@pytest.mark.slow
def test_mask_topics_follow_the_labels(active):
    client = active(labels=['floor', 'door'])
    prefix = f'{client.namespace}/lseg/masks/'

    def masks():
        return {
            name.removeprefix(prefix) for name, _ in client.node.get_topic_names_and_types() if name.startswith(prefix)
        }

    client.poll(lambda: masks() == {'other', 'floor', 'door'}, 'the masks of the first labels')
    assert client.set_labels(['floor', 'café table', '地板']).success
    client.poll(lambda: masks() == {'other', 'floor', 'cafe_table', 'u5730_u677f'}, 'new masks')
    client.listen('lseg/masks/cafe_table')
    client.poll(lambda: client.segment_frame() and client.received['lseg/masks/cafe_table'], 'a mask')


@pytest.mark.slow
def test_labels_parameter_behaves_like_the_service(active):
    client = active(labels=['floor', 'door'])
    assert client.set_parameter('labels', ['cat', 'dog']).successful
    table = client.wait_for(
        lambda: [
            table
            for table in client.received['lseg/label_set']
            if names_by_id(table) == {0: 'other', 3: 'cat', 4: 'dog'}
        ],
        'the new table',
    )[0]
    assert stamp_of(client.segment_frame()) >= stamp_of(table)
    refused = client.set_parameter('labels', ['cat', 'cat'])
    assert not refused.successful
    assert "'cat' is listed twice" in refused.reason
    assert client.get_parameter('labels') == ['cat', 'dog']


@pytest.mark.slow
def test_labels_parameter_shows_what_the_service_has_set(active):
    client = active(labels=['floor'])
    client.set_labels(['cat=cat|kitten'])
    client.poll(lambda: 'cat=cat|kitten' in client.get_parameter('labels'), 'the parameter')


def test_labels_parameter_set_during_a_call_of_the_service_shows_the_labels_in_force(active, monkeypatch):
    client = active(labels=['floor'])
    begun, go_on = threading.Event(), threading.Event()
    encode = LSeg.encode_text

    def encode_slowly(model, prompts):
        begun.set()
        assert go_on.wait(TIMEOUT_S)
        return encode(model, prompts)

    monkeypatch.setattr(LSeg, 'encode_text', encode_slowly)
    call = threading.Thread(target=client.set_labels, args=(['cat'],))
    call.start()
    assert begun.wait(TIMEOUT_S)
    assert client.set_parameter('labels', ['dog']).successful
    go_on.set()
    call.join()
    client.wait_for(lambda: 'dog' in names_by_id(client.received['lseg/label_set'][-1]).values(), 'the last table')
    assert client.get_parameter('labels') == ['dog']


@pytest.mark.slow
def test_labels_parameter_shows_the_labels_in_force_after_a_change_that_fails(start, capfd):
    client = start(labels=['floor'], cameras=['x' * 170])
    assert client.configure()
    assert client.set_parameter('labels', ['y' * 64]).successful  # a topic of more than 247 characters
    client.poll(lambda: client.get_parameter('labels') == ['other', 'floor'], 'the labels in force')
    assert any('[ERROR]' in line and 'labels not changed: ' in line for line in capfd.readouterr().err.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize('configured', [False, True])
def test_labels_set_before_the_stream_starts_apply_from_its_first_image(start, configured):
    client = start(labels=['floor', 'door'])
    if configured:
        assert client.configure()
    answer = client.set_labels(['cat'], 'add')
    assert answer.success
    assert stamp_of(answer.label_set) == 0
    assert configured or client.configure()
    client.listen_to_tables()
    table = client.wait_for(lambda: client.received['lseg/label_set'], 'the table')[0]
    assert names_by_id(table) == {0: 'other', 1: 'floor', 2: 'door', 3: 'cat'}


@pytest.mark.slow
def test_table_covers_the_frames_of_a_bag_that_restarts(active):
    client = active(labels=['floor'])
    client.segment_frame(stamp_ns=10**15)
    late = client.set_labels(['cat']).label_set
    assert stamp_of(late) == 10**15 + 1
    again = client.segment_frame()
    table = client.wait_for(
        lambda: [
            table
            for table in client.received['lseg/label_set']
            if names_by_id(table) == names_by_id(late) and stamp_of(table) <= stamp_of(again)
        ],
        'the table latched anew',
    )[0]
    assert set(np.unique(ids_of(again))) <= ids_in(table)


@pytest.mark.slow
def test_labels_can_change_after_the_largest_possible_stamp(active):
    client = active(labels=['floor'])
    last = 2**31 * 10**9 - 1
    client.segment_frame(stamp_ns=last)
    assert stamp_of(client.set_labels(['cat']).label_set) == last


@pytest.mark.slow
def test_concurrent_calls_are_all_answered_and_the_last_table_applies(active):
    client = active(labels=['floor'])
    answers = []
    threads = [
        threading.Thread(target=lambda name=name: answers.append(client.set_labels([name])))
        for name in ('cat', 'dog', 'bird', 'fish')
    ]
    with playing(client):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(answers) == 4 and all(answer.success for answer in answers)
    since = max(stamp_of(answer.label_set) for answer in answers)
    # Several tables share this stamp if no frame started between the last calls.
    last = [answer.label_set.classes for answer in answers if stamp_of(answer.label_set) == since]
    client.wait_for(lambda: client.received['lseg/label_set'][-1].classes in last, 'the last table')
    image = client.segment_frame()
    assert set(np.unique(ids_of(image))) <= ids_in(client.received['lseg/label_set'][-1])


@pytest.mark.slow
def test_labels_file_overrides_the_parameter_at_each_configure(start, tmp_path):
    path = tmp_path / 'mine.yaml'
    path.write_text('labels: {floor: [floor, rug], cat: }')
    client = start(labels=['wall'], labels_file=str(path))
    client.listen_to_tables()
    assert client.configure()
    table = client.wait_for(lambda: client.received['lseg/label_set'], 'the table')[-1]
    assert names_by_id(table) == {0: 'other', 1: 'floor', 2: 'cat'}
    assert client.get_parameter('labels') == ['other', 'floor=floor|rug', 'cat']
    assert client.set_labels(['dog']).success
    assert client.change_state(Transition.TRANSITION_CLEANUP)
    path.write_text('labels: [floor, bird]')
    assert client.configure()
    table = client.wait_for(lambda: client.received['lseg/label_set'][2:], 'the new table')[-1]
    assert names_by_id(table) == {0: 'other', 1: 'floor', 4: 'bird'}


def test_labels_of_a_file_are_not_kept_if_configure_fails(start, tmp_path, tiny_weights):
    path = tmp_path / 'mine.yaml'
    path.write_text('labels: [cat]')
    client = start(labels=['wall'], labels_file=str(path), model=str(tmp_path / 'missing.safetensors'))
    assert not client.configure()
    assert client.set_parameter('labels_file', '').successful
    assert client.set_parameter('model', tiny_weights).successful
    client.listen_to_tables()
    assert client.configure()
    table = client.wait_for(lambda: client.received['lseg/label_set'], 'the table')[-1]
    assert names_by_id(table) == {0: 'other', 1: 'wall'}
    assert client.get_parameter('labels') == ['wall']


@pytest.mark.slow
@pytest.mark.parametrize(
    'content, reason', [(None, 'No such file'), ('labels: 3', 'holds no labels'), ('[a=b=c]', "second '='")]
)
def test_invalid_labels_file_fails_configure_and_can_be_corrected(start, tmp_path, capfd, content, reason):
    path = tmp_path / 'labels.yaml'
    if content is not None:
        path.write_text(content)
    client = start(labels_file=str(path))
    assert not client.configure()
    errors = [line for line in capfd.readouterr().err.splitlines() if '[ERROR]' in line]
    assert len(errors) == 1 and 'cannot configure' in errors[0] and reason in errors[0]
    assert client.set_parameter('labels_file', 'navigation').successful
    assert client.configure()


@pytest.mark.slow
def test_mask_of_a_group_is_the_union_of_its_members(active, tmp_path):
    path = tmp_path / 'labels.yaml'
    path.write_text('labels: [floor, rug, cat]\ngroups: {ground: [floor, rug, other]}')
    client = active(labels_file=str(path))
    client.listen('lseg/masks/ground')
    label_image, mask = client.poll(
        lambda: (
            client.segment_frame()
            and next(
                (
                    (image, mask)
                    for image in client.received['lseg/label_image']
                    for mask in client.received['lseg/masks/ground']
                    if image.header == mask.header
                ),
                None,
            )
        ),
        'a mask of the group',
    )
    assert mask.encoding == 'mono8'
    assert np.array_equal(ids_of(mask), np.where(np.isin(ids_of(label_image), [0, 1, 2]), 255, 0))

    table = client.set_labels(['rug', 'dog']).label_set
    assert {entry.name: list(entry.groups) for entry in table.classes} == {
        'other': ['ground'],
        'rug': ['ground'],
        'dog': [],
    }
    refused = client.set_labels(['ground'], 'add')
    assert not refused.success and "group 'ground' and label 'ground'" in refused.message


@pytest.mark.slow
def test_groups_are_changed_by_set_labels_and_get_masks(active):
    client = active(labels=['rug', 'dog'])
    assert client.set_labels([], groups=['ground=rug|other']).success
    changed = client.set_labels([], groups=['soft=rug', 'ground=dog'])
    assert changed.success, changed.message
    assert {entry.name: list(entry.groups) for entry in changed.label_set.classes} == {
        'other': [],
        'rug': ['soft'],
        'dog': ['ground'],
    }
    assert client.node.count_publishers(f'{client.namespace}/lseg/masks/soft')
    assert "write '*='" in client.set_labels([], groups=['*=dog']).message
    ended = client.set_labels([], groups=['*=', 'soft=dog'])
    assert [list(entry.groups) for entry in ended.label_set.classes] == [[], [], ['soft']], ended.message


@pytest.mark.slow
def test_labels_are_kept_in_their_order_whatever_their_ids_are(start):
    client = start(labels=['floor', 'door'])
    table = client.set_labels(['wall', 'door=gate', 'floor']).label_set
    assert {entry.name: entry.id for entry in table.classes} == {'other': 0, 'floor': 1, 'door': 2, 'wall': 3}
    assert list(client.get_parameter('labels')) == ['other', 'wall', 'door=gate', 'floor']


@pytest.mark.slow
def test_topic_of_a_group_is_removed_with_its_last_member(active, tmp_path):
    path = tmp_path / 'labels.yaml'
    path.write_text('labels: [floor, cat]\ngroups: {ground: [floor]}')
    client = active(labels_file=str(path))
    topic = f'{client.namespace}/lseg/masks/ground'
    client.poll(lambda: client.node.count_publishers(topic), 'the mask')
    assert client.set_labels(['cat']).success
    client.poll(lambda: not client.node.count_publishers(topic), 'the mask to go')
