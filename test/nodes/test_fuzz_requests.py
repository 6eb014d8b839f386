# SPDX-License-Identifier: Apache-2.0
"""Whatever is asked of the node is done or refused with a reason, and it goes on segmenting."""

from __future__ import annotations

import math

import numpy as np
import pytest
from harness import PICTURE, ids_of, segmentation_node
from hypothesis import given, settings
from hypothesis import strategies as st
from lifecycle_msgs.msg import Transition
from message_strategies import GROUPS, MODES, PROMPTS, TEXT, images, label_lists, mostly, parameters, up_to
from oracle import oracle_in_node
from oracle_answers import right_ids
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter

from lseg_ros.labels.ids import MAX_LABELS, UNLABELLED
from lseg_ros.nodes.conversions import image_to_rgb
from lseg_ros.nodes.segmentation.settings import PARAMETERS, Applies

pytestmark = [pytest.mark.fuzz, pytest.mark.slow]

DEFAULTS = {
    spec.name: list(spec.default) if isinstance(spec.default, tuple) else spec.default
    for spec in PARAMETERS.values()
    if spec.applies is not Applies.AT_START
} | {'use_sim_time': False, 'labels': ['floor', 'door']}
TRANSITIONS = (
    Transition.TRANSITION_CONFIGURE,
    Transition.TRANSITION_ACTIVATE,
    Transition.TRANSITION_DEACTIVATE,
    Transition.TRANSITION_CLEANUP,
)


def requests():
    """Draw a request as the name of its method below and its arguments."""
    return st.one_of(
        st.tuples(st.just('set_labels'), label_lists(), MODES, mostly(st.just([]), GROUPS)),
        st.tuples(st.just('query'), PROMPTS, mostly(st.just(''), TEXT)),
        st.tuples(st.just('segment'), images(), st.just([]) | label_lists()),
        st.tuples(st.just('set_parameters'), st.lists(parameters(), max_size=4)),
        st.tuples(st.just('enable'), st.booleans()),
        st.tuples(st.just('change_state'), st.sampled_from(TRANSITIONS)),
    )


class Asker:
    """Makes requests of a node and checks each response."""

    def __init__(self, client):
        self._client = client
        self._set_parameters = client.node.create_client(SetParameters, 'lseg/set_parameters')
        client.listen('lseg/label_image')
        self.recover()

    def ask(self, method, *arguments):
        """Make a request, and check that it is done or refused with a reason."""
        getattr(self, method)(*arguments)

    def set_labels(self, labels, mode, groups):
        answer = self._client.set_labels(labels, mode, groups)
        assert_has_reason_unless(answer.success, answer.message)
        assert_is_table(answer.label_set)

    def query(self, prompts, camera):
        answer = self._client.query(prompts, camera)
        assert_has_reason_unless(answer.success, answer.message)
        assert len(answer.relevance) == (len(prompts) if answer.success else 0)
        assert all(part.header == answer.header for part in answer.relevance)

    def segment(self, image, labels):
        answer = self._client.segment(image, labels)
        assert_has_reason_unless(answer.success, answer.message)
        if answer.success:
            assert answer.label_image.header == answer.confidence.header == image.header
            may_be_unsure = self._client.get_parameter('confidence_threshold') > 0
            assert_is_right(answer.label_image, image_to_rgb(image), answer.label_set, may_be_unsure)

    def set_parameters(self, parameters):
        results = self._set(parameters)
        assert len(results) == len(parameters)
        for result in results:
            assert_has_reason_unless(result.successful, result.reason)

    def enable(self, on):
        assert self._client.enable(on).success

    def change_state(self, transition):
        self._client.change_state(transition)
        assert self._client.state() in ('unconfigured', 'inactive', 'active')

    def recover(self):
        """Make the node active with the default parameters, and check a frame."""
        for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP):
            self._client.change_state(transition)
        defaults = [Parameter(name, value=value).to_parameter_msg() for name, value in DEFAULTS.items()]
        assert all(result.successful for result in self._set(defaults))
        self._client.bring_up()
        assert self._client.enable(True).success
        self._client.forget()
        table = self._client.set_labels(['floor', 'door']).label_set
        assert_is_right(self._client.segment_frame(), PICTURE, table)

    def _set(self, parameters):
        return self._set_parameters.call(SetParameters.Request(parameters=parameters), 30.0).results


def assert_has_reason_unless(success, reason):
    assert success or (reason and '\n' not in reason)


def assert_is_table(table):
    ids = [entry.id for entry in table.classes]
    assert ids == sorted(set(ids)) and ids[-1] <= MAX_LABELS
    assert len({entry.name for entry in table.classes}) == len(ids)
    assert all(entry.name and entry.prompts for entry in table.classes)


def assert_is_right(label_image, pixels, table, may_be_unsure=False):
    ids = ids_of(label_image)
    assert ids.shape == pixels.shape[:2]
    is_right = right_ids(table.classes)[pixels[..., 0], ids]
    assert (is_right | (may_be_unsure & (ids == UNLABELLED))).all(), np.unique(ids)


@pytest.fixture(scope='module')
def asker(ros_context):
    with oracle_in_node(), segmentation_node(ros_context, labels=['floor', 'door']) as client:
        yield Asker(client)


@settings(max_examples=math.ceil(settings.default.max_examples / 3))  # as each ends with a slow recovery
@given(asked=up_to(40, requests()))
def test_every_request_is_done_or_refused_with_a_reason_and_the_stream_goes_on(asker, tally, asked):
    try:
        for method, *arguments in asked:
            asker.ask(method, *arguments)
            tally.update({'messages': 1, f'requests: {method}': 1})
    finally:
        asker.recover()
