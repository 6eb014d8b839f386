# SPDX-License-Identifier: Apache-2.0
"""The lifecycle node: images of cameras in; label images, masks and their tables out."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from concurrent.futures import Future as Job
from contextlib import ExitStack

import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool

from lseg_ros.backends.device import free_memory
from lseg_ros.labels import LabelRegistry, LabelSet, read_label_file
from lseg_ros.nodes.conversions import label_set_to_message
from lseg_ros.nodes.segmentation import parameters
from lseg_ros.nodes.segmentation.awaiting import end_of
from lseg_ros.nodes.segmentation.camera_input import TRANSPORTS, CameraInput
from lseg_ros.nodes.segmentation.diagnostics import DiagnosticsPublisher
from lseg_ros.nodes.segmentation.health import WHOLE, Health, NodeState, examine
from lseg_ros.nodes.segmentation.image_services import ImageServices
from lseg_ros.nodes.segmentation.label_control import REPLACE, LabelControl
from lseg_ros.nodes.segmentation.stream import SegmentationStream
from lseg_ros.nodes.segmentation.stream_factory import create_stream
from lseg_ros.srv import SetLabels

WARNING_PERIOD_S = 5.0


class SegmentationNode(LifecycleNode):
    """Wires parameters, services and lifecycle to the stream that segments the cameras' images.

    The executor only hands things on: images are decoded and segmented in the stream's thread,
    labels encoded in that of the label control.
    """

    def __init__(self, **node_arguments) -> None:
        """Declare parameters and services; the model is loaded by configure.

        Raises ParameterException or ValueError for a parameter that cannot be used.
        """
        super().__init__('lseg', **node_arguments)
        parameters.declare(self)
        self._labels = LabelControl(
            LabelRegistry(
                include_other=self._value('include_other'),
                other_prompts=self._value('other_prompts'),
            )
        )
        if not self._value('labels_file'):
            self._labels.submit(REPLACE, self._value('labels'))  # configure reports what is wrong
        self._stream: SegmentationStream | None = None
        self._inputs: tuple[CameraInput, ...] = ()
        self._enabled = True
        self._last_failure = ''
        self._mirroring = False
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._apply_parameters)
        # In a group of its own, so that everything else goes on while a change awaits its text.
        self.create_service(
            SetLabels,
            '~/set_labels',
            self._set_labels,
            callback_group=MutuallyExclusiveCallbackGroup(),
        )
        self.create_service(SetBool, '~/enable', self._enable)
        self._image_services = ImageServices(self, self._labels, lambda: self._stream)
        self._diagnostics = DiagnosticsPublisher(self, self._examine)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm up the model, latch the tables."""
        return self._attempt('configure', self._open_stream)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the cameras and let results out."""
        return self._attempt('activate', self._open_inputs)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Leave the cameras; once this returns nothing more goes out."""
        self._close_inputs()
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model and remove the topics; labels and their ids are kept."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop, from whatever state."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Fall back to unconfigured."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> None:
        """Free the model and end the threads; the executor must have stopped."""
        self._release()
        self._image_services.close()
        self._labels.close()

    def _attempt(self, transition: str, action: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            action()
        except Exception as error:  # whatever a library raises, the transition can be tried again
            self._last_failure = f'cannot {transition}: {" ".join(str(error).split())}'
            self.get_logger().error(self._last_failure)
            self.get_logger().debug(traceback.format_exc())
            return TransitionCallbackReturn.FAILURE
        self._last_failure = ''
        return TransitionCallbackReturn.SUCCESS

    def _open_stream(self) -> None:
        self._set_initial_labels()
        self._stream = self._labels.open_stream(
            lambda labels: create_stream(self, labels, self._warn)
        )
        self.get_logger().info(
            f'{self._value("model")} is ready on '
            f'{self._stream.segmenter.model.device}, run by '
            f'{self._stream.segmenter.backend_name}'
        )

    def _set_initial_labels(self) -> None:
        labels_file = self._value('labels_file')
        if labels_file:
            table = self._labels.submit_file(read_label_file(labels_file)).result()
            self._mirror_labels(table.labels)
        elif self._labels.table is None:
            self._labels.submit(REPLACE, self._value('labels')).result()

    def _open_inputs(self) -> None:
        transport = TRANSPORTS[self._value('image_transport')]
        with ExitStack() as undo:
            undo.callback(self._close_inputs)
            for stream in self._stream.cameras.values():
                self._inputs += (CameraInput(self, stream.camera, transport, self._stream),)
            undo.pop_all()
        if self._enabled:
            self._stream.start()

    def _close_inputs(self) -> None:
        if self._inputs:
            for camera in self._inputs:
                camera.destroy()
            self._inputs = ()
            self._stream.pause()

    def _release(self) -> None:
        self._close_inputs()
        self._labels.close_stream()
        self._stream = None
        free_memory()

    async def _set_labels(
        self, request: SetLabels.Request, response: SetLabels.Response
    ) -> SetLabels.Response:
        job = self._labels.submit(request.mode, request.labels)
        await end_of(self, job)
        error = job.exception()
        response.success = error is None
        response.message = '' if error is None else str(error)
        table = job.result() if error is None else self._labels.table
        if table is not None:
            response.label_set = label_set_to_message(table.labels, table.since_ns)
        if error is None:
            self._mirror_labels(table.labels)
        return response

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        if request.data != self._enabled:
            self._enabled = request.data
            if self._inputs:
                (self._stream.start if self._enabled else self._stream.pause)()
        response.success = True
        response.message = 'enabled' if self._enabled else 'disabled'
        if not self._inputs:
            response.message += ', and the node is not active'
        return response

    def _mirror_labels(self, labels: LabelSet) -> None:
        """Let the parameter show what the service has set."""
        self._mirroring = True
        try:
            self.set_parameters(
                [
                    Parameter(
                        'labels',
                        Parameter.Type.STRING_ARRAY,
                        [label.spec for label in labels.classes],
                    )
                ]
            )
        finally:
            self._mirroring = False

    def _check_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        try:
            for parameter in changed:
                parameters.check_change(parameter, is_configured=self._stream is not None)
                if parameter.name == 'labels' and not self._mirroring:
                    self._labels.check(REPLACE, parameter.value)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _apply_parameters(self, changed: list[Parameter]) -> None:
        for parameter in changed:
            if parameter.name == 'labels' and not self._mirroring:
                self._labels.submit(REPLACE, parameter.value).add_done_callback(self._report)
            elif self._stream is not None:
                self._stream.set_parameter(parameter.name, parameter.value)

    def _report(self, job: Job) -> None:
        if job.exception() is not None:
            self.get_logger().error(f'labels not changed: {job.exception()}')

    def _warn(self, text: str) -> None:
        self.get_logger().warning(text, throttle_duration_sec=WARNING_PERIOD_S)

    def _examine(self) -> dict[str, Health]:
        table = self._labels.table
        parts = examine(
            NodeState(
                model=self._value('model'),
                labels=table.labels if table else None,
                stream=self._stream,
                inputs=self._inputs,
                is_enabled=self._enabled,
                last_failure=self._last_failure,
                image_timeout=self._value('image_timeout'),
            )
        )
        if parts[WHOLE].level == DiagnosticStatus.WARN:
            self._warn(parts[WHOLE].message)
        return parts

    def _value(self, name: str):
        return parameters.value_of(self, name)


def main() -> int:
    """Run the node until it is told to stop; return the exit code."""
    rclpy.init()
    try:
        return _run()
    except (ParameterException, ValueError) as error:
        print(f'segmentation_node: {error}', file=sys.stderr)
        return 2
    finally:
        rclpy.try_shutdown()


def _run() -> int:
    node = SegmentationNode()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.close()
        node.destroy_node()
    return 0
