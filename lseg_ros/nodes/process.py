# SPDX-License-Identifier: Apache-2.0
"""Runs one node as a process, from the arguments to the exit code."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.logging import LoggingSeverity, get_logger_level, set_logger_level
from rclpy.node import Node

from lseg_ros.error_text import one_line
from lseg_ros.nodes.parameter_files import unread_files
from lseg_ros.nodes.spinning import EnduringExecutor

# How long a node may take to close after a signal; loading a model cannot be interrupted.
CLOSING_S = 0.5
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PLACE = re.compile(r'\s*, at \S+:\d+')

AnyNode = TypeVar('AnyNode', bound=Node)


def run_node(
    program: str,
    create: Callable[[], AnyNode],
    *,
    is_finished: Callable[[AnyNode], bool] = lambda _: False,
    close: Callable[[AnyNode], None] = lambda _: None,
) -> int:
    """Run a node until it finishes or a signal stops it; return the exit code.

    The signals are SIGINT, SIGTERM and SIGHUP, which a closing terminal sends. `close` is called
    once the node no longer spins. For an error in the arguments, the parameters, the log folder or
    the source of images, print one line and return 2.
    """
    for number in _SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, _interrupt_once)
    try:
        _init()
        node = create()
        for sentence in unread_files(node, sys.argv):
            node.get_logger().warning(sentence)
    except KeyboardInterrupt:
        rclpy.try_shutdown()
        return 0
    except (OSError, RuntimeError, ValueError, ParameterException) as error:
        return _complain(f'{program}: cannot start', error)
    patience_s = None
    try:
        _spin(node, lambda: is_finished(node))
    except (KeyboardInterrupt, ExternalShutdownException):
        patience_s = CLOSING_S
    except (OSError, ValueError) as error:
        return _complain(program, error)
    finally:
        _close(node, lambda: close(node), patience_s)
    return 0


def _interrupt_once(_number: int, _frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; ignore further signals, which must not interrupt closing."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _init() -> None:
    """Initialise rclpy without rcl logging errors that the exception explains better."""
    set_logger_level('rcl', LoggingSeverity.FATAL)
    rclpy.init()
    if get_logger_level('rcl') == LoggingSeverity.FATAL:  # not changed by an argument
        set_logger_level('rcl', LoggingSeverity.UNSET)


def _complain(subject: str, error: Exception) -> int:
    """Print the error in one line, without source locations in rcl; return the exit code."""
    print(f'{subject}: {_PLACE.sub("", one_line(error))}', file=sys.stderr)
    rclpy.try_shutdown()
    return 2


def _spin(node: Node, is_finished: Callable[[], bool]) -> None:
    executor = EnduringExecutor()
    executor.add_node(node)
    try:
        while rclpy.ok() and not is_finished():
            executor.spin_once()
    except RuntimeError as error:
        if rclpy.ok():
            raise
        # A signal ended the context while a timer published.
        raise ExternalShutdownException from error
    finally:
        executor.shutdown()


def _close(node: Node, close: Callable[[], None], patience_s: float | None) -> None:
    """Close the node and leave the ROS graph.

    With `patience_s`, wait no longer than that for `close`, then end the process at once: shutting
    down Python and PyTorch may take seconds.
    """
    closing = threading.Thread(target=close)
    closing.start()
    closing.join(patience_s)
    try:
        node.destroy_node()
        rclpy.try_shutdown()
    finally:
        if patience_s is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
