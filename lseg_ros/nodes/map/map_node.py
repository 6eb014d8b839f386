# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node that fuses embeddings into a map and answers where things are."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import fields, replace
from functools import partial
from typing import Any, TypeVar

from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.subscription import Subscription
from rclpy.timer import Timer
from tf2_ros import Buffer, TransformListener

from lseg_ros.core.cameras import Camera, parse_cameras
from lseg_ros.core.query import PROMPTS_PER_QUERY
from lseg_ros.core.table_history import TableHistory
from lseg_ros.error_text import one_line
from lseg_ros.labels import LabelSet
from lseg_ros.labels.syntax import check_prompt
from lseg_ros.mapping.labelling import EncodedLabels
from lseg_ros.mapping.ranges import MOST_ANSWERS
from lseg_ros.msg import LabelSet as LabelSetMessage
from lseg_ros.nodes.awaiting import end_of
from lseg_ros.nodes.conversions import stamp_ns
from lseg_ros.nodes.diagnostics import DiagnosticsPublisher, Health
from lseg_ros.nodes.label_messages import label_set_from_message, label_set_to_message
from lseg_ros.nodes.latched import EVERY_TABLE
from lseg_ros.nodes.map.autosave import Autosave
from lseg_ros.nodes.map.map_health import MapHealth
from lseg_ros.nodes.map.map_inputs import CameraInputs
from lseg_ros.nodes.map.map_labels import MapLabels
from lseg_ros.nodes.map.map_outputs import MapOutputs
from lseg_ros.nodes.map.map_settings import MAP_PARAMETERS
from lseg_ros.nodes.map.map_worker import NO_OTHER_LABELS, MapWorker
from lseg_ros.nodes.map.text_client import TextClient
from lseg_ros.nodes.problem_log import ProblemLog
from lseg_ros.nodes.process import run_node
from lseg_ros.nodes.refusals import refuse_bad_requests
from lseg_ros.nodes.service_qos import SERVICE_QOS
from lseg_ros.nodes.steady import steady_timer
from lseg_ros.srv import MapFile, QueryMap, SetLabels

Result = TypeVar('Result')
MATCHING_PERIOD_S = 0.03
NO_MAP = 'there is no map: configure the node first'


class MapNode(LifecycleNode):
    """Connects topics, services and parameters to the map, which has a thread of its own.

    It knows the segmentation node by its topics and services only.
    """

    def __init__(self, **node_arguments: Any) -> None:
        """Declare parameters and services; configure makes the map.

        Raise ParameterException or ValueError for a parameter that cannot be used.
        """
        super().__init__('lseg_map', **node_arguments)
        refuse_bad_requests(self)
        MAP_PARAMETERS.declare(self)
        self._settings = MAP_PARAMETERS.read(self)
        self._problems = ProblemLog(self)
        self._tables: dict[str, TableHistory] = {}  # for votes, by camera: each has stamps of its own
        self._followed: list[Subscription[LabelSetMessage]] = []
        self._periodic: list[Timer] = []
        self._worker: MapWorker | None = None
        self._texts: TextClient | None = None
        self._labels: MapLabels | None = None
        self._autosave: Autosave | None = None
        self._health: MapHealth | None = None
        self._outputs: MapOutputs | None = None
        self._inputs: tuple[CameraInputs, ...] = ()
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
            self._open()
        except Exception as error:  # whatever a library raises, the transition can be tried again
            self._last_failure = f'cannot configure: {one_line(error)}'
            self.get_logger().error(self._last_failure)
            self.get_logger().debug(traceback.format_exc())
            self._close_map()
            return TransitionCallbackReturn.FAILURE
        self._last_failure = ''
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the cameras."""
        self._buffer.clear()
        self._inputs = tuple(
            CameraInputs(self, camera, self._settings, self._buffer, self._tables.get(camera.name), self._problems.warn)
            for camera in parse_cameras(self._settings.cameras)
        )
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe from the cameras; the map is kept, and goes on answering."""
        self._stop()
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drop the map; save it first to keep it."""
        self._stop()
        self._close_map()
        return TransitionCallbackReturn.SUCCESS

    on_shutdown = on_cleanup
    on_error = on_cleanup

    def close(self) -> None:
        """End the thread of the map; call this once the executor has stopped."""
        if self._worker:
            self._worker.close()

    def destroy_node(self) -> None:
        """Leave the ROS graph at once; rclpy stays there for as long as the state machine lives."""
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    def _open(self) -> None:
        settings = self._settings
        cameras = parse_cameras(settings.cameras)
        self._worker = MapWorker(settings)
        self._buffer = Buffer(node=self)
        self._listener = TransformListener(self._buffer, self)
        self._texts = TextClient(self, settings.segmentation_node)
        self._labels = MapLabels(self._texts, partial(self._use_labels, self._worker), self._problems.warn)
        self._autosave, self._health = Autosave(self._worker, self._problems.warn), MapHealth(self._worker)
        self._outputs = MapOutputs(self, settings.publish_rate, self._worker, self._problems.warn)
        self._tables = {camera.name: TableHistory() for camera in cameras if settings.uses_votes}
        self._followed = [self._follow_tables(camera) for camera in (cameras if settings.uses_votes else cameras[:1])]
        self._periodic = [steady_timer(self, MATCHING_PERIOD_S, self._match)]
        if settings.autosave_period:
            self._periodic.append(steady_timer(self, settings.autosave_period, self._autosave.save_changes))

    def _follow_tables(self, camera: Camera) -> Subscription[LabelSetMessage]:
        topic = f'{self._settings.segmentation_node}/{camera.input("label_set")}'
        return self.create_subscription(LabelSetMessage, topic, partial(self._follow, camera), EVERY_TABLE)

    def _close_map(self) -> None:
        if self._worker is None:
            return
        self._worker.close()
        self._worker = None
        if self._outputs is not None:
            self._outputs.destroy()
        if self._texts is not None:
            self._listener.unregister()
            self._texts.destroy()
        self._outputs = self._texts = self._labels = self._autosave = self._health = None
        for timer in self._periodic:
            self.destroy_timer(timer)
        for subscription in self._followed:
            self.destroy_subscription(subscription)
        self._periodic, self._followed = [], []

    def _stop(self) -> None:
        for camera in self._inputs:
            camera.destroy()
        self._inputs = ()

    def _match(self) -> None:
        """Hand complete frames to the map, and labels to be encoded to the segmentation node."""
        worker = self._open_worker()
        for camera in self._inputs:
            for frame in camera.complete(self._settings.tf_timeout):
                worker.offer(frame, self._problems.warn)
        if not self._settings.uses_votes:
            self._open_labels().follow(self)

    def _follow(self, camera: Camera, message: LabelSetMessage) -> None:
        try:
            labels, since_ns = label_set_from_message(message), stamp_ns(message.header)
        except ValueError as error:
            self._problems.warn(f'label_set not used: {one_line(error)}')
            return
        if camera.name in self._tables:
            self._tables[camera.name].add(since_ns, labels)
        if camera == parse_cameras(self._settings.cameras)[0]:  # all have the same labels
            self._take_announced(labels)

    def _take_announced(self, labels: LabelSet) -> None:
        if self._settings.uses_votes:
            worker = self._open_worker()
            worker.run(lambda: worker.follow(labels))
        self._open_labels().announce(labels)

    async def _use_labels(self, worker: MapWorker, encoded: EncodedLabels) -> None:
        await self._result_of(worker.run(lambda: worker.set_labels(encoded)))

    async def _set_labels(self, request: SetLabels.Request, response: SetLabels.Response) -> SetLabels.Response:
        try:
            if self._settings.uses_votes:
                raise ValueError(NO_OTHER_LABELS)
            await self._open_labels().change(request)
        except Exception as error:
            response.message = one_line(error)
        else:
            response.success = True
        in_force = self._labels.in_force if self._labels else None
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
            texts = None if self._settings.uses_votes else await self._text_client().encode(prompts)
            worker = self._open_worker()
            answers, cloud = await self._result_of(
                worker.run(lambda: worker.ask(prompts, texts, request.top_k, request.minimum_score))
            )
        except Exception as error:
            response.message = one_line(error)
            return response
        if self._outputs is not None:
            self._outputs.relevance.publish(cloud)
        response.success = True
        response.header, response.answers = cloud.header, answers
        return response

    async def _save(self, request: MapFile.Request, response: MapFile.Response) -> MapFile.Response:
        return await self._answer_file(lambda worker: worker.save(request.path), response)

    async def _load(self, request: MapFile.Request, response: MapFile.Response) -> MapFile.Response:
        return await self._answer_file(lambda worker: worker.load(request.path, self.get_clock().now()), response)

    async def _answer_file(self, action: Callable[[MapWorker], int], response: MapFile.Response) -> MapFile.Response:
        try:
            worker = self._open_worker()
            response.voxels = await self._result_of(worker.run(lambda: action(worker)))
            response.success = True
        except Exception as error:
            response.message = one_line(error)
        return response

    async def _result_of(self, job: Future[Result]) -> Result:
        """Return what the thread of the map returns; raise what it raises."""
        await end_of(self, job)
        return job.result()

    def _open_worker(self) -> MapWorker:
        if self._worker is None:
            raise ValueError(NO_MAP)
        return self._worker

    def _text_client(self) -> TextClient:
        if self._texts is None:
            raise ValueError(NO_MAP)
        return self._texts

    def _open_labels(self) -> MapLabels:
        if self._labels is None:
            raise ValueError(NO_MAP)
        return self._labels

    def _check_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        try:
            for parameter in changed:
                MAP_PARAMETERS.check_change(parameter, is_configured=self._worker is not None)
            names = {field.name for field in fields(self._settings)}
            values = {parameter.name: parameter.value for parameter in changed if parameter.name in names}
            replace(self._settings, **values).check()
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply_parameters(self, changed: list[Parameter]) -> None:
        settings = self._settings = MAP_PARAMETERS.read(self)
        if worker := self._worker:
            worker.run(lambda: worker.use(settings))

    def _examine(self) -> dict[str, Health]:
        if self._last_failure:
            return {'map': Health(DiagnosticStatus.ERROR, self._last_failure)}
        if self._worker is None or self._health is None:
            return {'map': Health(DiagnosticStatus.OK, 'silent: unconfigured')}
        self._say_what_is_floor(self._worker.named_floor)
        unsaved = self._autosave.problem if self._autosave else ''
        return {'map': self._health.examine(self._inputs, unsaved)}

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
