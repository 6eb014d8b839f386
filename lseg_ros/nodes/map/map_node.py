# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node that fuses embeddings into a map and answers where things are."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from lseg_ros.core.query import PROMPTS_PER_QUERY
from lseg_ros.error_text import one_line
from lseg_ros.labels.syntax import check_prompt
from lseg_ros.mapping.ranges import MOST_ANSWERS
from lseg_ros.nodes.diagnostics import DiagnosticsPublisher, Health
from lseg_ros.nodes.label_messages import label_set_to_message
from lseg_ros.nodes.map.map_session import MapSession
from lseg_ros.nodes.map.map_settings import MAP_PARAMETERS
from lseg_ros.nodes.map.map_worker import NO_OTHER_LABELS, MapWorker
from lseg_ros.nodes.problem_log import ProblemLog
from lseg_ros.nodes.process import run_node
from lseg_ros.nodes.refusals import refuse_bad_requests
from lseg_ros.nodes.service_qos import SERVICE_QOS
from lseg_ros.srv import MapFile, QueryMap, SetLabels

NO_MAP = 'there is no map: configure the node first'


class MapNode(LifecycleNode):
    """Connects parameters, services and lifecycle to the session, which has the map."""

    def __init__(self, **node_arguments: Any) -> None:
        """Declare parameters and services; configure makes the map.

        Raise ParameterException or ValueError for a parameter that cannot be used.
        """
        super().__init__('lseg_map', **node_arguments)
        refuse_bad_requests(self)
        MAP_PARAMETERS.declare(self)
        self._settings = MAP_PARAMETERS.read(self)
        self._problems = ProblemLog(self)
        self._session: MapSession | None = None  # from configure to cleanup
        self._last_failure = ''
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._apply_parameters)
        group = MutuallyExclusiveCallbackGroup()
        self.create_service(SetLabels, '~/set_labels', self._set_labels, qos_profile=SERVICE_QOS, callback_group=group)
        others = ReentrantCallbackGroup()
        for kind, name, answer in (
            (QueryMap, 'query_map', self._query),
            (MapFile, 'save_map', self._save),
            (MapFile, 'load_map', self._load),
        ):
            self.create_service(kind, f'~/{name}', answer, qos_profile=SERVICE_QOS, callback_group=others)
        self._named_floor = ''  # what was last said of labels that are taken for the floor by their names
        self._diagnostics = DiagnosticsPublisher(self, self._examine)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Make an empty map and its topics, and follow the labels of the segmentation node."""
        try:
            self._session = MapSession(self, self._settings, self._problems.warn)
        except Exception as error:  # whatever a library raises, the transition can be tried again
            self._last_failure = f'cannot configure: {one_line(error)}'
            self.get_logger().error(self._last_failure)
            self.get_logger().debug(traceback.format_exc())
            return TransitionCallbackReturn.FAILURE
        self._last_failure = ''
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the cameras."""
        self._open_session().start()
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe from the cameras; the map is kept, and goes on answering."""
        self._open_session().stop()
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drop the map; save it first to keep it."""
        if self._session:
            self._session.close()
            self._session = None
        return TransitionCallbackReturn.SUCCESS

    on_shutdown = on_cleanup
    on_error = on_cleanup

    def close(self) -> None:
        """End the thread of the map; call this once the executor has stopped."""
        if self._session:
            self._session.worker.close()

    def destroy_node(self) -> None:
        """Leave the ROS graph at once; rclpy stays there for as long as the state machine lives."""
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    def _open_session(self) -> MapSession:
        if self._session is None:
            raise ValueError(NO_MAP)
        return self._session

    async def _set_labels(self, request: SetLabels.Request, response: SetLabels.Response) -> SetLabels.Response:
        try:
            if self._settings.uses_votes:
                raise ValueError(NO_OTHER_LABELS)
            await self._open_session().labels.change(request)
        except Exception as error:
            response.message = one_line(error)
        else:
            response.success = True
        in_force = self._session.labels.in_force if self._session else None
        if in_force is not None:
            response.label_set = label_set_to_message(in_force, 0)
        return response

    async def _query(self, request: QueryMap.Request, response: QueryMap.Response) -> QueryMap.Response:
        try:
            prompts = _checked(request.prompts)
            if not 0 <= request.minimum_score <= 1:
                raise ValueError(f'minimum_score must be 0 to 1, not {request.minimum_score}')
            if request.top_k > MOST_ANSWERS:
                raise ValueError(f'top_k must be 0 to {MOST_ANSWERS}, not {request.top_k}')
            texts = None if self._settings.uses_votes else await self._open_session().texts.encode(prompts)
            session = self._open_session()
            answers, cloud = await session.run(
                lambda worker: worker.ask(prompts, texts, request.top_k, request.minimum_score)
            )
        except Exception as error:
            response.message = one_line(error)
            return response
        if self._session is session:
            session.outputs.relevance.publish(cloud)
        response.success = True
        response.header, response.answers = cloud.header, answers
        return response

    async def _save(self, request: MapFile.Request, response: MapFile.Response) -> MapFile.Response:
        return await self._answer_file(lambda worker: worker.save(request.path), response)

    async def _load(self, request: MapFile.Request, response: MapFile.Response) -> MapFile.Response:
        return await self._answer_file(lambda worker: worker.load(request.path, self.get_clock().now()), response)

    async def _answer_file(self, action: Callable[[MapWorker], int], response: MapFile.Response) -> MapFile.Response:
        try:
            response.voxels = await self._open_session().run(action)
            response.success = True
        except Exception as error:
            response.message = one_line(error)
        return response

    def _check_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        try:
            for parameter in changed:
                MAP_PARAMETERS.check_change(parameter, is_configured=self._session is not None)
            names = {field.name for field in fields(self._settings)}
            values = {parameter.name: parameter.value for parameter in changed if parameter.name in names}
            replace(self._settings, **values).check()
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply_parameters(self, changed: list[Parameter]) -> None:
        self._settings = MAP_PARAMETERS.read(self)
        if self._session:
            self._session.apply(self._settings)

    def _examine(self) -> dict[str, Health]:
        if self._last_failure:
            return {'map': Health(DiagnosticStatus.ERROR, self._last_failure)}
        if self._session is None:
            return {'map': Health(DiagnosticStatus.OK, 'silent: unconfigured')}
        self._say_what_is_floor(self._session.worker.named_floor)
        return {'map': self._session.examine()}

    def _say_what_is_floor(self, names: str) -> None:
        if names and names != self._named_floor:
            self.get_logger().warning(
                f'no label is in the group traversable: the robot may drive on {names}, by the parameter traversable'
            )
        self._named_floor = names


def _checked(prompts: Sequence[str]) -> list[str]:
    if not 1 <= len(prompts) <= PROMPTS_PER_QUERY:
        raise ValueError(f'{len(prompts)} prompts: give 1 to {PROMPTS_PER_QUERY}')
    return [check_prompt(prompt) for prompt in prompts]


def main() -> int:
    """Run the node until it is told to stop; return the exit code."""
    return run_node('map_node', MapNode, close=MapNode.close)
