# SPDX-License-Identifier: Apache-2.0
"""Answers requests that would make the services that rclpy gives every node raise."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.node import Node

from lseg_ros.error_text import one_line

Callback = Callable[[Any, Any], Any]


def refuse_bad_requests(node: Node) -> None:
    """Make the present services of `node` answer every request; call this before adding more.

    rclpy raises for a parameter type that does not exist and for a transition that is invalid in
    the current lifecycle state, and an exception in a service would reach the executor.
    """
    answers = {SetParameters: _set_each, SetParametersAtomically: _set_all}
    for service in node.services:
        warn = partial(_warn, node, service.srv_name)
        service.callback = partial(answers.get(service.srv_type, _answer), service.callback, warn)


def _answer(callback: Callback, warn: Callable[[Exception], None], request: Any, response: Any) -> Any:
    """Return what `callback` returns or, if it raises, a response with default values."""
    try:
        return callback(request, response)
    except Exception as error:
        warn(error)
        return type(response)()


def _set_each(callback: Callback, warn: Callable[[Exception], None], request: Any, response: Any) -> Any:
    """Set the parameters one by one, so that a bad one does not stop the others."""
    for parameter in request.parameters:
        try:
            answer = callback(SetParameters.Request(parameters=[parameter]), SetParameters.Response())
            response.results.extend(answer.results)
        except Exception as error:
            warn(error)
            response.results.append(_refused(parameter.name, error))
    return response


def _set_all(callback: Callback, warn: Callable[[Exception], None], request: Any, response: Any) -> Any:
    try:
        return callback(request, response)
    except Exception as error:
        warn(error)
        names = ', '.join(parameter.name for parameter in request.parameters)
        return SetParametersAtomically.Response(result=_refused(names, error))


def _refused(names: str, error: Exception) -> SetParametersResult:
    return SetParametersResult(successful=False, reason=f'{names}: {error}')


def _warn(node: Node, service: str, error: Exception) -> None:
    if node.context.ok():  # otherwise the shutdown caused it
        node.get_logger().warning(f'{service} refused a request: {one_line(error)}')
