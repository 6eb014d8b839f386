# SPDX-License-Identifier: Apache-2.0
"""Python clients of the nodes: their services, lifecycle and parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, ClassVar

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter, parameter_value_to_python
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool

from lseg_ros.nodes.service_qos import SERVICE_QOS
from lseg_ros.srv import EncodeText, MapFile, QueryMap, QueryText, SegmentImage, SetLabels

TRANSITION_TIMEOUT_S = 120.0  # configuring loads the model and warms it up


class NodeClient:
    """Calls the services that both nodes have, and waits for each response.

    Methods block, so call them from any thread except the one that spins `node`. A refused request
    does not raise: its response has `success` false and a `message`. Every method raises
    TimeoutError if the service does not appear or does not respond in time, and TypeError for a
    label or prompt that is no str.
    """

    TITLE: ClassVar[str] = 'node'
    SERVICES: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            'get_state': GetState,
            'change_state': ChangeState,
            'get_parameters': GetParameters,
            'set_parameters': SetParameters,
            'set_labels': SetLabels,
        }
    )

    def __init__(self, node: Node, target: str, timeout_s: float = 30.0) -> None:
        """Connect to the node `target`.

        Args:
            node: the caller's node, spinning in another thread.
            target: name of the node to call; relative to the namespace of `node` unless it
                starts with a slash.
            timeout_s: seconds to wait for a service to appear, and again for its response.
        """
        self.node = node
        self.target = target
        self._timeout_s = timeout_s
        self._services: dict[str, Any] = {
            name: node.create_client(kind, f'{target}/{name}', qos_profile=SERVICE_QOS)
            for name, kind in self.SERVICES.items()
        }

    def offers(self, name: str) -> bool:
        """Return whether a service, a key of SERVICES, is there now."""
        return bool(self._services[name].service_is_ready())

    def wait_for_node(self) -> None:
        """Return once the node runs, in any lifecycle state, and its services are available."""
        for name in self.SERVICES:
            self._wait_for_service(name)

    def state(self) -> str:
        """Return the label of the lifecycle state, for example 'active'."""
        label: str = self._call('get_state', GetState.Request()).current_state.label
        return label

    def change_state(self, transition: int) -> bool:
        """Request a lifecycle transition, a constant of Transition; return whether it succeeded."""
        request = ChangeState.Request(transition=Transition(id=transition))
        timeout_s = max(self._timeout_s, TRANSITION_TIMEOUT_S)
        success: bool = self._call('change_state', request, timeout_s).success
        return success

    def configure(self) -> bool:
        """Load the model; return whether that succeeded."""
        return self.change_state(Transition.TRANSITION_CONFIGURE)

    def activate(self) -> bool:
        """Start the stream; return whether that succeeded."""
        return self.change_state(Transition.TRANSITION_ACTIVATE)

    def bring_up(self) -> None:
        """Configure and activate the node as far as needed; raise RuntimeError on failure."""
        state = self.state()
        if state == 'unconfigured' and not self.configure():
            raise RuntimeError(f'the {self.TITLE} failed to configure: see its log')
        if state != 'active' and not self.activate():
            raise RuntimeError(f'the {self.TITLE} failed to activate: see its log')

    def set_labels(self, labels: Sequence[str], mode: str = '', groups: Sequence[str] = ()) -> SetLabels.Response:
        """Replace the labels or, with `mode` 'add' or 'remove', add to or remove from them.

        `groups`, written ``group=label|label``, get these members; without labels, only they
        change.
        """
        return self._call('set_labels', SetLabels.Request(labels=_texts(labels), mode=mode, groups=_texts(groups)))

    def get_parameter(self, name: str) -> Any:
        """Return the value of a parameter, or None if the node has no such parameter."""
        return self.get_parameters([name]).get(name)

    def get_parameters(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the values of parameters by name; None for those that the node does not have."""
        values = self._call('get_parameters', GetParameters.Request(names=_texts(names))).values
        return dict(zip(names, map(parameter_value_to_python, values)))

    def set_parameter(self, name: str, value: Any) -> SetParametersResult:
        """Set a parameter; if the node refuses it, the result's `reason` says why."""
        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        return self._call('set_parameters', request).results[0]

    def _call(self, name: str, request: Any, timeout_s: float | None = None) -> Any:
        self._wait_for_service(name)
        timeout_s = timeout_s or self._timeout_s
        response = None
        with suppress(TimeoutError):  # Jazzy returns None instead
            response = self._services[name].call(request, timeout_s)
        if response is None:
            full_name = self._services[name].service_name
            raise TimeoutError(f'no response from {full_name} within {timeout_s:g} s')
        return response

    def _wait_for_service(self, name: str) -> None:
        if not self._services[name].wait_for_service(self._timeout_s):
            full_name = self._services[name].service_name
            raise TimeoutError(f'no service {full_name}: is the {self.TITLE} running?')


class SegmentationClient(NodeClient):
    """Calls the services of a segmentation node and waits for each response, as `NodeClient` does.

    node = rclpy.create_node('patrol')
    with spinning(node):
        client = SegmentationClient(node)
        client.bring_up()
        response = client.set_labels(['floor', 'door'])
    """

    TITLE = 'segmentation node'
    SERVICES = MappingProxyType(
        {
            **NodeClient.SERVICES,
            'enable': SetBool,
            'segment': SegmentImage,
            'query': QueryText,
            'encode_text': EncodeText,
        }
    )

    def __init__(self, node: Node, target: str = 'lseg', timeout_s: float = 30.0) -> None:
        super().__init__(node, target, timeout_s)

    def enable(self, on: bool) -> SetBool.Response:
        """Resume or pause the segmentation of the stream."""
        return self._call('enable', SetBool.Request(data=on))

    def segment(self, image: Image, labels: Sequence[str] = ()) -> SegmentImage.Response:
        """Segment one image, by default under the labels of the stream."""
        return self._call('segment', SegmentImage.Request(image=image, labels=_texts(labels)))

    def query(self, prompts: Sequence[str], camera: str = '') -> QueryText.Response:
        """Look for texts in the latest image of a camera, by default the first camera."""
        return self._call('query', QueryText.Request(prompts=_texts(prompts), camera=camera))

    def encode_text(self, prompts: Sequence[str]) -> EncodeText.Response:
        """Encode texts, to be compared with the vectors of ~/embedding."""
        return self._call('encode_text', EncodeText.Request(prompts=_texts(prompts)))


class MapClient(NodeClient):
    """Calls the services of a map node and waits for each response, as `NodeClient` does."""

    TITLE = 'map node'
    SERVICES = MappingProxyType(
        {**NodeClient.SERVICES, 'query_map': QueryMap, 'save_map': MapFile, 'load_map': MapFile}
    )

    def __init__(self, node: Node, target: str = 'lseg_map', timeout_s: float = 30.0) -> None:
        super().__init__(node, target, timeout_s)

    def query_map(self, prompts: Sequence[str], top_k: int = 0, minimum_score: float = 0.0) -> QueryMap.Response:
        """Look for texts in the map; zeros stand for one answer, and for the node's least score."""
        request = QueryMap.Request(prompts=_texts(prompts), top_k=top_k, minimum_score=minimum_score)
        return self._call('query_map', request)

    def save_map(self, path: str = '') -> MapFile.Response:
        """Save the map to a file on the node's machine, by default its parameter `map_file`."""
        return self._call('save_map', MapFile.Request(path=path))

    def load_map(self, path: str = '') -> MapFile.Response:
        """Load the map from such a file."""
        return self._call('load_map', MapFile.Request(path=path))


def _texts(values: Sequence[str]) -> list[str]:
    """Return the texts of a request: at anything else rosidl's C code would end the process."""
    for value in values:
        if not isinstance(value, str):
            raise TypeError(f'{value!r} is not a str but {type(value).__name__}')
    return list(values)
