# SPDX-License-Identifier: Apache-2.0
"""How the demo's processes talk to the segmentation node: lifecycle and services."""

from __future__ import annotations

import threading

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

SEGMENTATION_NODE = 'lseg'
CONFIGURE_TIMEOUT_S = 120.0
REPLY_TIMEOUT_S = 30.0


class ServiceCaller(Node):
    """Calls the segmentation node and waits for its answers, in any thread but its own."""

    def bring_up(self) -> None:
        """Configure and activate the node, unless somebody has done so already."""
        state = self.call(GetState, 'get_state', GetState.Request()).current_state.id
        if state == State.PRIMARY_STATE_UNCONFIGURED:
            self._change_state(Transition.TRANSITION_CONFIGURE, 'configure')
        if state != State.PRIMARY_STATE_ACTIVE:
            self._change_state(Transition.TRANSITION_ACTIVATE, 'activate')

    def _change_state(self, transition: int, name: str) -> None:
        request = ChangeState.Request(transition=Transition(id=transition))
        if not self.call(ChangeState, 'change_state', request, CONFIGURE_TIMEOUT_S).success:
            raise RuntimeError(f'the segmentation node could not {name}; its log says why')

    def call(self, interface, service: str, request, timeout_s: float = REPLY_TIMEOUT_S):
        """Return the node's answer; raises TimeoutError when there is none."""
        client = self.create_client(interface, f'/{SEGMENTATION_NODE}/{service}')
        answered = threading.Event()
        if not client.wait_for_service(timeout_s):
            raise TimeoutError(f'no service /{SEGMENTATION_NODE}/{service}: is the node running?')
        future = client.call_async(request)
        future.add_done_callback(lambda _: answered.set())
        if not answered.wait(timeout_s):
            raise TimeoutError(f'/{SEGMENTATION_NODE}/{service} gave no answer in {timeout_s} s')
        self.destroy_client(client)
        return future.result()


def start_spinning(node: Node) -> threading.Thread:
    """Let a node hear, in a thread of its own that ends with ROS."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=_spin, args=(executor,), daemon=True)
    thread.start()
    return thread


def _spin(executor: SingleThreadedExecutor) -> None:
    try:
        executor.spin()
    except ExternalShutdownException:
        pass
