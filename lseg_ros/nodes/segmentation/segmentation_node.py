# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node: camera images in; label images, masks and their tables out."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from concurrent.futures import Future as Job
from contextlib import ExitStack
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from lseg_ros.core.cameras import parse_cameras
from lseg_ros.error_text import one_line
from lseg_ros.labels import LabelSet
from lseg_ros.nodes.awaiting import end_of
from lseg_ros.nodes.diagnostics import DiagnosticsPublisher, Health
from lseg_ros.nodes.label_messages import label_set_to_message
from lseg_ros.nodes.label_modes import REPLACE
from lseg_ros.nodes.problem_log import ProblemLog
from lseg_ros.nodes.process import run_node
from lseg_ros.nodes.refusals import refuse_bad_requests
from lseg_ros.nodes.segmentation.camera_input import TRANSPORTS, CameraInput
from lseg_ros.nodes.segmentation.frames import LabelTable
from lseg_ros.nodes.segmentation.health import WHOLE, NodeState, examine
from lseg_ros.nodes.segmentation.image_services import ImageServices
from lseg_ros.nodes.segmentation.session import Session
from lseg_ros.nodes.segmentation.settings import PARAMETERS
from lseg_ros.nodes.segmentation.stream import SegmentationStream
from lseg_ros.nodes.service_qos import SERVICE_QOS
from lseg_ros.srv import SetLabels


class SegmentationNode(LifecycleNode):
    """Connects parameters, services and lifecycle to the session, which does the work.

    The executor only passes things on: images are decoded and segmented in the stream's thread,
    and text is encoded in the session's.
    """

    def __init__(self, **node_arguments: Any) -> None:
        """Declare parameters and services; the model is loaded by configure.

        Raise ParameterException or ValueError for a parameter that cannot be used.
        """
        super().__init__('lseg', **node_arguments)
        refuse_bad_requests(self)
        PARAMETERS.declare(self)
        self._settings = PARAMETERS.read(self)
        self._problems = ProblemLog(self)
        self._session = Session(self, self._settings, self._problems.warn)
        if not self._settings.labels_file:  # configure reports labels that cannot be used
            self._session.change_labels(REPLACE, self._settings.labels)
        self._inputs: tuple[CameraInput, ...] = ()
        self._enabled = True
        self._last_failure = ''
        self._mirroring = False
        self._last_change: Job[LabelTable] | None = None
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._apply_parameters)
        # In a group of its own, so that everything else goes on while text is being encoded.
        group = MutuallyExclusiveCallbackGroup()
        self.create_service(SetLabels, '~/set_labels', self._set_labels, qos_profile=SERVICE_QOS, callback_group=group)
        self.create_service(SetBool, '~/enable', self._enable, qos_profile=SERVICE_QOS)
        self._image_services = ImageServices(self, self._session)
        self._diagnostics = DiagnosticsPublisher(self, self._examine)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm up the model, and latch the tables."""
        return self._attempt('configure', self._open)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the cameras and publish results."""
        return self._attempt('activate', self._start)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe from the cameras; once this returns, nothing more is published."""
        self._stop()
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model and remove the topics; keep the labels and their ids."""
        self._stop()
        self._session.release()
        return TransitionCallbackReturn.SUCCESS

    on_shutdown = on_cleanup
    on_error = on_cleanup  # back to unconfigured

    def close(self) -> None:
        """Free the model and end the threads; call this once the executor has stopped."""
        self._stop()
        self._last_change = None  # the executor would not run what follows it
        self._image_services.close()
        self._session.close()

    def destroy_node(self) -> None:
        """Leave the ROS graph at once; rclpy stays there for as long as the state machine lives."""
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    def _attempt(self, transition: str, action: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            action()
        except Exception as error:  # whatever a library raises, the transition can be tried again
            self._last_failure = f'cannot {transition}: {one_line(error)}'
            self.get_logger().error(self._last_failure)
            self.get_logger().debug(traceback.format_exc())
            return TransitionCallbackReturn.FAILURE
        self._last_failure = ''
        return TransitionCallbackReturn.SUCCESS

    def _open(self) -> None:
        segmenter = self._session.open(self._settings).segmenter
        if self._settings.labels_file and (table := self._session.table):
            self._mirror_labels(table.labels)
        self.get_logger().info(
            f'{self._settings.model} is ready on {segmenter.model.device}, run by {segmenter.backend_name}'
        )

    def _start(self) -> None:
        stream = self._stream()
        transport = TRANSPORTS[self._settings.image_transport]
        with ExitStack() as undo:
            undo.callback(self._stop)
            for camera in stream.cameras.values():
                self._inputs += (CameraInput(self, camera.camera, transport, stream),)
            undo.pop_all()
        if self._enabled:
            stream.start()

    def _stop(self) -> None:
        if self._inputs:
            for camera in self._inputs:
                camera.destroy()
            self._inputs = ()
            self._stream().pause()

    def _stream(self) -> SegmentationStream:
        stream = self._session.stream
        if stream is None:
            raise RuntimeError('the node is not configured')
        return stream

    async def _set_labels(self, request: SetLabels.Request, response: SetLabels.Response) -> SetLabels.Response:
        job = self._last_change = self._session.change_labels(request.mode, request.labels, request.groups)
        await end_of(self, job)
        error = job.exception()
        response.success = error is None
        response.message = '' if error is None else one_line(error)
        table = job.result() if error is None else self._session.table
        if table is not None:
            response.label_set = label_set_to_message(table.labels, table.since_ns)
        self._show_labels_after(job)
        return response

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if request.data != self._enabled:
            self._enabled = request.data
            if self._inputs:
                (self._stream().start if self._enabled else self._stream().pause)()
        response.success = True
        response.message = 'enabled' if self._enabled else 'disabled'
        if not self._inputs:
            response.message += ', but the node is not active'
        return response

    def _show_labels_after(self, change: Job[LabelTable]) -> None:
        """Let the parameter show the labels in force, unless another change has begun."""
        if change is self._last_change and (table := self._session.table):
            self._mirror_labels(table.labels)

    def _mirror_labels(self, labels: LabelSet) -> None:
        """Set the parameter to labels that are in force already."""
        specs = [label.spec for label in labels.in_order]
        self._mirroring = True
        try:
            self.set_parameters([Parameter('labels', Parameter.Type.STRING_ARRAY, specs)])
        finally:
            self._mirroring = False

    def _check_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        try:
            for parameter in changed:
                PARAMETERS.check_change(parameter, is_configured=self._session.stream is not None)
                if parameter.name == 'labels' and not self._mirroring:
                    self._session.preview(REPLACE, parameter.value)
                elif parameter.name == 'cameras':
                    parse_cameras(parameter.value or ())
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply_parameters(self, changed: list[Parameter]) -> None:
        self._settings = PARAMETERS.read(self)
        self._session.apply(self._settings)
        if not self._mirroring and any(parameter.name == 'labels' for parameter in changed):
            self._last_change = self._session.change_labels(REPLACE, self._settings.labels)
            self._last_change.add_done_callback(self._report)

    def _report(self, job: Job[LabelTable]) -> None:
        if error := job.exception():
            self.get_logger().error(f'labels not changed: {one_line(error)}')
            if job is self._last_change and (executor := self.executor):
                executor.create_task(self._show_labels_after, job)

    def _examine(self) -> dict[str, Health]:
        state = NodeState(
            self._settings, self._session.table, self._session.stream, self._inputs, self._enabled, self._last_failure
        )
        parts = examine(state)
        if parts[WHOLE].level == DiagnosticStatus.WARN:
            self._problems.warn(parts[WHOLE].message)
        return parts


def main() -> int:
    """Run the node until it is told to stop; return the exit code."""
    return run_node('segmentation_node', SegmentationNode, close=SegmentationNode.close)
