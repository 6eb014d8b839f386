# SPDX-License-Identifier: Apache-2.0
"""The example that drives to what the map has found; Nav2 itself is replaced by a stand-in."""

from __future__ import annotations

import runpy
import signal
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import rclpy
from geometry_msgs.msg import Point, Pose
from harness import BARE, running
from std_msgs.msg import Header

from lseg_ros.msg import MapAnswer
from lseg_ros.srv import QueryMap

GO_TO = Path(__file__).parents[2] / 'examples' / 'go_to.py'
HIDDEN = MapAnswer(prompt='sofa', score=0.9, center=Point(x=8.0), reason='it cannot be seen from any free ground')
SEEN = MapAnswer(prompt='sofa', score=0.8, center=Point(x=4.0), has_pose=True, pose=Pose(position=Point(x=3.0, y=1.0)))


@pytest.fixture
def known(ros_context):
    """What ~/query_map answers."""
    response = QueryMap.Response(success=True, header=Header(frame_id='map'))
    node = rclpy.create_node('lseg_map', context=ros_context, **BARE)
    node.create_service(QueryMap, 'lseg_map/query_map', lambda request, _: response)
    with running(node):
        yield response


@pytest.fixture
def nav2(monkeypatch):
    """A stand-in for nav2_simple_commander that records goals and arrives on the third look."""
    state = SimpleNamespace(goals=[], result='succeeded', accepts=True, stopped=(), cancelled=0)

    class BasicNavigator:
        looks = 0

        accepted = False

        def goToPose(self, pose):
            state.goals.append(pose)
            self._stop_at('goToPose')
            self.accepted = state.accepts
            return state.accepts

        def isTaskComplete(self):
            self.looks += 1
            self._stop_at('isTaskComplete')
            return self.looks > 2

        def cancelTask(self):
            state.cancelled += self.accepted  # before that, Nav2 ignores it

        def getResult(self):
            return state.result

        def _stop_at(self, call):
            if state.stopped[:1] == (call,):
                signal.raise_signal(state.stopped[1])

    module = ModuleType('nav2_simple_commander.robot_navigator')
    module.BasicNavigator, module.TaskResult = BasicNavigator, SimpleNamespace(SUCCEEDED='succeeded')
    monkeypatch.setitem(sys.modules, 'nav2_simple_commander', ModuleType('nav2_simple_commander'))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return state


def go_to(*words):
    return runpy.run_path(str(GO_TO))['main'](' '.join(words))


def test_robot_drives_to_the_best_thing_that_it_can_reach(known, nav2, capsys):
    known.answers = [HIDDEN, SEEN]
    assert go_to('sofa') == ''
    assert 'sofa at 4.00, 0.00 m, score 0.80' in capsys.readouterr().out
    (goal,) = nav2.goals
    assert goal.header.frame_id == 'map' and (goal.pose.position.x, goal.pose.position.y) == (3.0, 1.0)
    assert (goal.header.stamp.sec, goal.header.stamp.nanosec) == (0, 0)


def test_what_is_in_the_way_is_said(known, nav2):
    assert go_to('sofa') == 'the map has no sofa'
    known.answers = [HIDDEN]
    assert go_to('sofa') == 'no way to the sofa: it cannot be seen from any free ground'
    known.success, known.message = False, 'the map is empty'
    assert go_to('sofa') == 'the map is empty'
    assert nav2.goals == []


def test_result_of_nav2_is_reported(known, nav2):
    known.answers, nav2.result = [SEEN], 'failed'
    assert go_to('sofa') == 'Nav2 did not get there: see its log'
    nav2.accepts = False
    assert go_to('sofa') == 'Nav2 refuses the goal: see its log'


@pytest.mark.usefixtures('ctrl_c')
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('call', ['goToPose', 'isTaskComplete'])
def test_ctrl_c_and_sigterm_stop_the_robot(known, nav2, call, number):
    known.answers, nav2.stopped = [SEEN], (call, number)
    assert go_to('sofa') == 'interrupted' and nav2.cancelled == 1


def test_missing_nav2_is_said_after_the_answer(known, capsys):
    known.answers = [SEEN]
    assert go_to('sofa').startswith('Nav2 is not installed')
    assert 'sofa at 4.00' in capsys.readouterr().out


def test_example_stays_short():
    assert len(GO_TO.read_text().splitlines()) <= 60
