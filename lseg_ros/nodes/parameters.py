# SPDX-License-Identifier: Apache-2.0
"""Parameters of a node: declared once, as fields of a dataclass, and read into one frozen value."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from functools import partial
from typing import Any, Generic, TypeVar, cast

import numpy as np
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from lseg_ros.labels.syntax import quote

Value = bool | int | float | str | tuple[str, ...] | tuple[int, ...]
Range = tuple[float, float]
MOST_SHOWN = 8  # unknown parameters: a file may have those of other nodes


class Applies(Enum):
    """When a new value takes effect."""

    AT_ONCE = 'at once'
    ON_CONFIGURE = 'on configure'
    AT_START = 'at start'


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter: its name, default, meaning and limits, and when a change takes effect."""

    name: str
    default: Value
    description: str
    applies: Applies
    range: Range | None
    choices: tuple[str, ...]

    @property
    def descriptor(self) -> ParameterDescriptor:
        """The parameter as `ros2 param describe` shows it."""
        descriptor = ParameterDescriptor(
            name=self.name,
            description=self.description,
            read_only=self.applies is Applies.AT_START,
            additional_constraints=', '.join(map(repr, self.choices)),
        )
        if self.range is not None and isinstance(self.default, float):
            low, high = self.range
            descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
        elif self.range is not None:
            low, high = map(int, self.range)
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
        return descriptor

    def check(self, value: object) -> None:
        """Raise ValueError if the parameter has choices and `value` is not one of them."""
        if self.choices and value not in self.choices:
            allowed = ', '.join(map(repr, self.choices))
            raise ValueError(f'{self.name} must be one of {allowed}, not {value!r}')


def parameter(
    default: Value,
    description: str,
    *,
    applies: Applies = Applies.ON_CONFIGURE,
    range: Range | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Return a field of a settings class that is a parameter."""
    facts = {'description': description, 'applies': applies, 'range': range, 'choices': choices}
    return field(default=default, metadata=facts)


at_once = partial(parameter, applies=Applies.AT_ONCE)

SettingsType = TypeVar('SettingsType')


class Parameters(Mapping[str, ParameterSpec], Generic[SettingsType]):
    """The parameters that the fields of a frozen dataclass describe, by name."""

    def __init__(self, settings: type[SettingsType]) -> None:
        """Use the fields of `settings`, each made by `parameter` or `at_once`."""
        self._settings = settings
        described: Any = settings
        self._specs = {
            each.name: ParameterSpec(each.name, cast(Value, each.default), **each.metadata)
            for each in fields(described)
        }

    def __getitem__(self, name: str) -> ParameterSpec:
        return self._specs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)

    def declare(self, node: Node) -> None:
        """Declare the parameters on `node`; warn of values for parameters that it does not have.

        Raise the exceptions of rclpy for a value of the wrong type or out of range, and ValueError
        for a value that is not one of the choices.
        """
        for spec in self.values():
            default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
            spec.check(node.declare_parameter(spec.name, default, spec.descriptor).value)
        self._warn_of_unknown(node)

    def _warn_of_unknown(self, node: Node) -> None:
        """Log values that nobody will read, as of a misspelt name: rclpy passes over them."""
        given = node._parameter_overrides  # rclpy has no public way to them
        unknown = [name for name in given if not node.has_parameter(name) and not name.startswith('qos_overrides.')]
        if unknown:
            shown = ', '.join(map(self._with_hint, unknown[:MOST_SHOWN]))
            more = f' and {len(unknown) - MOST_SHOWN} more' if len(unknown) > MOST_SHOWN else ''
            node.get_logger().warning(f'ignored, as this node has no such parameters: {shown}{more}')

    def _with_hint(self, name: str) -> str:
        (close, *_) = (*difflib.get_close_matches(name, self, n=1, cutoff=0.8), '')
        return f'{quote(name)} (did you mean {close}?)' if close else quote(name)

    def read(self, node: Node) -> SettingsType:
        """Return the present values of the declared parameters."""
        return self._settings(**{spec.name: _value(node, spec) for spec in self.values()})

    def check_change(self, changed: Parameter[Any], is_configured: bool) -> None:
        """Raise ValueError if a declared parameter may not be set to this value now.

        `is_configured`: whether the node is past configure. Ignore undeclared parameters.
        """
        spec = self.get(changed.name)
        if spec is None:
            return
        spec.check(changed.value)
        if spec.applies is Applies.ON_CONFIGURE and is_configured:
            raise ValueError(f'{spec.name} takes effect on configure: clean the node up first')


def _value(node: Node, spec: ParameterSpec) -> Any:
    value = node.get_parameter_or(spec.name).value
    if spec.range is not None and isinstance(value, float):
        return float(np.clip(value, *spec.range))  # rclpy accepts a millionth more
    # An empty list in a YAML file has no type, so rclpy considers the parameter not set.
    return tuple(value or ()) if isinstance(spec.default, tuple) else value
