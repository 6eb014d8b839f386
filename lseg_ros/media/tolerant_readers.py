# SPDX-License-Identifier: Apache-2.0
"""Readers of MCAP and ROS 1 files that do not read the definitions of messages.

The library rosbags refuses a whole file for one definition that it cannot read.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

from rosbags import rosbag1
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat
from rosbags.rosbag1 import reader as rosbag1_reader
from rosbags.rosbag2 import storage_mcap


def text(data: bytes) -> str:
    """Decode UTF-8, with a replacement for what is not."""
    return data.decode(errors='replace')


def _calling(function: Any, **others: Any) -> Any:
    """Return a copy of a function of rosbags with the globals named in `others` replaced."""
    return FunctionType(function.__code__, {**function.__globals__, **others})


_NO_DEFINITION = MessageDefinition(MessageDefinitionFormat.NONE, '')
_IGNORING_SCHEMAS = {
    'get_msgdef': lambda _: _NO_DEFINITION,
    'get_qos': lambda _: [],
    'read_string': lambda source: text(storage_mcap.read_bytes(source)),
}


class AnySchemaReader(storage_mcap.McapReader):
    """Ignores schemas; the library raises KeyError or UnicodeDecodeError for an unknown one."""

    read_index = _calling(storage_mcap.McapReader.read_index, **_IGNORING_SCHEMAS)
    meta_scan = _calling(storage_mcap.McapReader.meta_scan, **_IGNORING_SCHEMAS)


class _AnyTextHeader(rosbag1_reader.Header):
    def get_string(self, name: str) -> str:
        return text(self[name])


class AnyDefinitionReader(rosbag1.Reader):
    """Accepts message definitions that are not UTF-8, for which the library refuses the bag."""

    read_connection = _calling(rosbag1.Reader.read_connection, Header=_AnyTextHeader)
