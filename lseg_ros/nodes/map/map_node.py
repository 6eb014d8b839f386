# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node that fuses embeddings into a map and answers where things are."""

from __future__ import annotations

import copy
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future as Job
from dataclasses import fields, replace
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.subscription import Subscription
from rclpy.task import Task
from rclpy.timer import Timer
from tf2_ros import Buffer, TransformListener

from lseg_ros.core.cameras import Camera, parse_cameras
from lseg_ros.core.query import PROMPTS_PER_QUERY, with_other
from lseg_ros.core.table_history import TableHistory
from lseg_ros.error_text import one_line
from lseg_ros.labels import LabelRegistry, LabelSet
from lseg_ros.labels.syntax import check_prompt
from lseg_ros.mapping.labelling import EncodedLabels
from lseg_ros.mapping.request_limits import MOST_ANSWERS
from lseg_ros.msg import LabelSet as LabelSetMessage
from lseg_ros.nodes.awaiting import end_of
from lseg_ros.nodes.conversions import stamp_ns
from lseg_ros.nodes.diagnostics import DiagnosticsPublisher, Health
from lseg_ros.nodes.label_messages import label_set_from_message, label_set_to_message
from lseg_ros.nodes.label_modes import ADD, REMOVE, change_labels
from lseg_ros.nodes.latched import EVERY_TABLE
from lseg_ros.nodes.map.map_inputs import CameraInputs
from lseg_ros.nodes.map.map_outputs import MapOutputs
from lseg_ros.nodes.map.map_settings import MAP_PARAMETERS
from lseg_ros.nodes.map.map_worker import NO_OTHER_LABELS, MapWorker
from lseg_ros.nodes.map.text_client import TextClient
from lseg_ros.nodes.problem_log import ProblemLog
from lseg_ros.nodes.process import run_node
from lseg_ros.nodes.refusals import refuse_bad_requests
from lseg_ros.nodes.service_qos import SERVICE_QOS
from lseg_ros.srv import MapFile, QueryMap, SetLabels

MATCHING_PERIOD_S = 0.03
RETRY_S = 1.0  # between attempts to encode the labels
FOLLOWED_GROUPS = (
    'this map follows the labels of the segmentation node: change the groups there, or give the map its own labels '
    'with the groups'
)


class MapNode(LifecycleNode):
    """Connects topics, services and parameters to the map, which has a thread of its own.

    It knows the segmentation node by its topics and services only. Its labels are those of the
    segmentation node until ~/set_labels gives it its own.
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
        self._registry: LabelRegistry | None = None  # None: follow the segmentation node
        self._announced: LabelSet | None = None  # by the segmentation node
        self._tables: dict[str, TableHistory] = {}  # for votes, by camera: each has stamps of its own
        self._followed: list[Subscription[LabelSetMessage]] = []
        self._periodic: list[Timer] = []
        self._worker: MapWorker | None = None
        self._texts: TextClient | None = None
        self._outputs: MapOutputs | None = None
        self._inputs: tuple[CameraInputs, ...] = ()
        self._wanted: LabelSet | None = None  # labels that are not in force yet
        self._encoding: Task | None = None
        self._encode_at = 0.0  # time.monotonic() before which it is not tried again
        self._saving: Job[int] | None = None
        self._unsaved_because = ''  # why the last autosave failed
        self._examined: tuple[int, Counter[str]] = (0, Counter())  # frames integrated, and drops
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
        self._outputs = MapOutputs(self, settings.publish_rate, self._worker, self._problems.warn)
        self._tables = {camera.name: TableHistory() for camera in cameras if settings.uses_votes}
        self._followed = [self._follow_tables(camera) for camera in (cameras if settings.uses_votes else cameras[:1])]
        self._periodic = [self.create_timer(MATCHING_PERIOD_S, self._match)]
        if settings.autosave_period:
            self._periodic.append(self.create_timer(settings.autosave_period, self._save_changes))

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
        self._outputs = self._texts = None
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
        is_idle = self._encoding is None or self._encoding.done()
        is_due = is_idle and time.monotonic() >= self._encode_at
        if self._wanted is not None and is_due and self._text_client().is_ready and self.executor:
            self._encoding = self.executor.create_task(self._adopt, self._wanted)

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
        self._announced = labels
        if self._settings.uses_votes:
            worker = self._open_worker()
            worker.run(lambda: worker.follow(labels))
        elif self._registry is None:
            self._wanted = labels

    async def _adopt(self, labels: LabelSet) -> None:
        """Put labels that the segmentation node announced into force."""
        try:
            encoded = await self._encode(labels)
        except Exception as error:  # the segmentation node may be busy, or gone
            self._problems.warn(f'labels not changed yet: {one_line(error)}')
            self._encode_at = time.monotonic() + RETRY_S
            return
        try:
            if self._wanted is labels:  # no others have been announced or set meanwhile
                await self._use_labels(encoded)
        except Exception as error:
            self._problems.warn(f'labels not changed: {one_line(error)}')
        if self._wanted is labels:
            self._wanted = None

    async def _encode(self, labels: LabelSet) -> EncodedLabels:
        labels = with_other(labels)
        return EncodedLabels(labels, await self._text_client().encode(labels.prompts))

    async def _use_labels(self, encoded: EncodedLabels) -> None:
        await self._result(lambda: self._open_worker().set_labels(encoded))

    async def _set_labels(self, request: SetLabels.Request, response: SetLabels.Response) -> SetLabels.Response:
        try:
            if self._settings.uses_votes:
                raise ValueError(NO_OTHER_LABELS)
            registry = self._registry_to_change(request)
            labels = change_labels(registry, request.mode, request.labels, request.groups)
            await self._use_own_labels(registry, await self._encode(labels))
        except Exception as error:
            response.message = one_line(error)
        else:
            response.success = True
        in_force = self._registry.current if self._registry else self._announced
        if in_force is not None:
            response.label_set = label_set_to_message(in_force, 0)
        return response

    async def _use_own_labels(self, registry: LabelRegistry, encoded: EncodedLabels) -> None:
        """Put own labels into force; if that fails, follow what was followed before."""
        before, wanted, announced = self._registry, self._wanted, self._announced
        self._registry, self._wanted = registry, None  # announced labels come too late from now on
        try:
            await self._use_labels(encoded)
        except Exception:
            self._registry = before
            is_late = before is None and self._announced is not announced  # it arrived meanwhile
            self._wanted = self._announced if is_late else wanted
            raise

    def _registry_to_change(self, request: SetLabels.Request) -> LabelRegistry:
        """Return a copy of its own labels or, without any, of those of the segmentation node.

        Raise ValueError if it has neither to change, and if only groups are to change of labels
        that it follows: copied, they would not follow any more.
        """
        if self._registry is not None:
            return copy.deepcopy(self._registry)
        only_groups = bool(request.groups and not request.labels)
        if self._announced is None and (only_groups or request.mode in (ADD, REMOVE)):
            raise ValueError('the labels of the segmentation node have not arrived yet: try again, or replace them')
        if only_groups:
            raise ValueError(FOLLOWED_GROUPS)
        return LabelRegistry() if self._announced is None else LabelRegistry.of(self._announced)

    async def _query(self, request: QueryMap.Request, response: QueryMap.Response) -> QueryMap.Response:
        try:
            prompts = _checked(request.prompts)
            if not 0 <= request.minimum_score <= 1:
                raise ValueError(f'minimum_score must be 0 to 1, not {request.minimum_score}')
            if request.top_k > MOST_ANSWERS:
                raise ValueError(f'top_k must be 0 to {MOST_ANSWERS}, not {request.top_k}')
            texts = None if self._settings.uses_votes else await self._text_client().encode(prompts)
            worker = self._open_worker()
            answers, cloud = await self._result(
                lambda: worker.ask(prompts, texts, request.top_k, request.minimum_score)
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
            response.voxels = await self._result(lambda: action(worker))
            response.success = True
        except Exception as error:
            response.message = one_line(error)
        return response

    def _save_changes(self) -> None:
        worker = self._open_worker()
        if worker.unsaved and (self._saving is None or self._saving.done()):
            self._saving = worker.run(lambda: worker.save(''))
            self._saving.add_done_callback(self._report_save)

    def _report_save(self, job: Job[int]) -> None:
        if job.cancelled():
            return
        error = job.exception()
        self._unsaved_because = f'map not saved: {one_line(error)}' if error else ''
        if error:
            self._problems.warn(self._unsaved_because)

    async def _result(self, function: Callable[[], Any]) -> Any:
        """Return what `function` returns in the thread of the map; raise what it raises."""
        job = self._open_worker().run(function)
        await end_of(self, job)
        return job.result()

    def _open_worker(self) -> MapWorker:
        if self._worker is None:
            raise ValueError('there is no map: configure the node first')
        return self._worker

    def _text_client(self) -> TextClient:
        if self._texts is None:
            raise ValueError('there is no map: configure the node first')
        return self._texts

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
        if self._worker is None:
            return {'map': Health(DiagnosticStatus.OK, 'silent: unconfigured')}
        self._say_what_is_floor(self._worker.named_floor)
        drops = sum((camera.drops for camera in self._inputs), self._worker.drops.copy())
        integrated = self._worker.integrated
        (before, known), self._examined = self._examined, (integrated, drops)
        values = self._worker.values | {f'dropped: {reason}': str(count) for reason, count in sorted(drops.items())}
        values['images received'] = str(sum(camera.received for camera in self._inputs))
        values['stamps running back'] = str(sum(camera.ran_back for camera in self._inputs))
        values['clock set back'] = str(sum(camera.set_back for camera in self._inputs))
        if not self._inputs:
            return {'map': Health(DiagnosticStatus.OK, 'not mapping: inactive', values)}
        if not any(camera.received for camera in self._inputs):
            topics = ', '.join(camera.topic for camera in self._inputs)
            return {'map': Health(DiagnosticStatus.WARN, f'not mapping: no {self._settings.input} on {topics}', values)}
        if (fresh := drops - known) and integrated == before:
            (reason, _), *_ = fresh.most_common(1)
            return {'map': Health(DiagnosticStatus.WARN, f'not mapping: {reason}', values)}
        if self._unsaved_because:
            return {'map': Health(DiagnosticStatus.WARN, f'mapping, but {self._unsaved_because}', values)}
        return {'map': Health(DiagnosticStatus.OK, 'mapping', values)}

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
