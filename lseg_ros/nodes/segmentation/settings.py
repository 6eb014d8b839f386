# SPDX-License-Identifier: Apache-2.0
"""The parameters of the segmentation node: declared once, and read into one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import Enum
from functools import partial
from types import MappingProxyType
from typing import Any, cast

import numpy as np
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from lseg_ros.backends import BACKENDS
from lseg_ros.core.smoothing import WARPS

Value = bool | int | float | str | tuple[str, ...] | tuple[int, ...]
Range = tuple[float, float]


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


def _parameter(
    default: Value,
    description: str,
    *,
    applies: Applies = Applies.ON_CONFIGURE,
    range: Range | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    facts = {'description': description, 'applies': applies, 'range': range, 'choices': choices}
    return field(default=default, metadata=facts)


_at_once = partial(_parameter, applies=Applies.AT_ONCE)


@dataclass(frozen=True)
class Settings:
    """The values of all parameters at one moment; the fields are the table of parameters."""

    model: str = _parameter(
        'lseg-lite',
        'Name of a model, lseg-lite or one fetched with lseg fetch (see lseg info), or path of a weights file.',
    )
    text_model: str = _parameter(
        '', 'Folder of the text encoder; empty: use the installed Python package, or else the hub cache.'
    )
    device: str = _parameter('auto', 'Where the network runs: cpu, cuda or cuda:1; auto: a GPU if there is one.')
    precision: str = _parameter(
        'auto',
        'Number format of the network; auto: float16 on a GPU with tensor cores, float32 elsewhere.',
        choices=('auto', 'float32', 'float16', 'bfloat16'),
    )
    backend: str = _parameter(
        'auto',
        'What runs the network; auto: openvino on a CPU, if it is installed and can run the network, '
        'torch otherwise. eager is the plain PyTorch network, for comparison.',
        choices=BACKENDS,
    )
    cpu_threads: int = _parameter(
        0, 'Number of CPU threads for the network, resizing and deciding; 0: one per core.', range=(0, 256)
    )
    input_size: int = _parameter(
        0,
        'Short side, in pixels, to which images are reduced for the network; 0: the default of '
        'the model. A larger size reveals smaller things and takes longer.',
        range=(0, 4096),
    )
    labels: tuple[str, ...] = _at_once(
        ('floor', 'wall', 'ceiling', 'door', 'window', 'table', 'chair', 'person'),
        'Classes to look for, each a name or name=prompt|prompt|...; ~/set_labels also changes them.',
    )
    labels_file: str = _parameter(
        '',
        'Label file to load at each configure instead of `labels`: the name of a shipped file '
        '(indoor, ade20k, ...) or a path; empty: none.',
    )
    include_other: bool = _parameter(
        True,
        'Whether to include id 0, other, which takes the pixels that fit none of the labels.',
        applies=Applies.AT_START,
    )
    other_prompts: tuple[str, ...] = _parameter(('other',), 'Prompts of the class other.', applies=Applies.AT_START)
    confidence_threshold: float = _at_once(
        0.0, 'Pixels with a lower confidence become 255, unlabelled.', range=(0.0, 1.0)
    )
    temporal_smoothing: float = _at_once(
        0.0,
        'Weight of the previous frames in the class scores: 0.8 gives steady masks; 0: judge each frame on its own.',
        range=(0.0, 0.95),
    )
    temporal_warp: str = _parameter(
        'flow',
        'How smoothing follows a moving camera: flow: by optical flow; none: not at all, for a fixed camera.',
        choices=WARPS,
    )
    cameras: tuple[str, ...] = _parameter(
        ('',),
        'Camera names: front subscribes to front/image and publishes ~/front/label_image; a '
        'single empty name: one camera, image and ~/label_image.',
    )
    max_rate: float = _at_once(
        0.0,
        'Maximum number of batches per second, each with the newest image of every camera; 0: no limit.',
        range=(0.0, 1000.0),
    )
    image_transport: str = _parameter(
        'raw',
        'raw: subscribe to image (Image); compressed: to image/compressed (CompressedImage).',
        choices=('raw', 'compressed'),
    )
    output_size: tuple[int, ...] = _parameter(
        (0, 0),
        'Width and height of the published images, sampled by nearest neighbour, with a matching '
        '~/camera_info; 0, 0: the size of the input image.',
    )
    depth_slop: float = _at_once(
        0.02, 'Maximum difference, in seconds, between the stamps of an image and its depth image.', range=(0.0, 1.0)
    )
    points_stride: int = _parameter(
        1, 'Use every nth row and column for ~/points; a costmap layer needs 1.', range=(1, 64)
    )
    embedding_stride: int = _at_once(
        2, "Use every nth row and column of the network's grid for ~/embedding.", range=(1, 64)
    )
    rectified: bool = _parameter(
        False, 'Whether the images are rectified: use P of camera_info, without distortion, instead of K and D.'
    )
    overlay_alpha: float = _at_once(
        0.5, 'Opacity of the class colours in ~/overlay; 0: image only, 1: colours only.', range=(0.0, 1.0)
    )
    image_timeout: float = _at_once(
        3.0, 'Seconds without an image before the node warns and says why none arrives.', range=(0.1, 3600.0)
    )


PARAMETERS = MappingProxyType(
    {each.name: ParameterSpec(each.name, cast(Value, each.default), **each.metadata) for each in fields(Settings)}
)


def declare_parameters(node: Node) -> None:
    """Declare the parameters on `node`.

    Raise the exceptions of rclpy for a value of the wrong type or out of range, and ValueError
    for a value that is not one of the choices.
    """
    for spec in PARAMETERS.values():
        default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
        spec.check(node.declare_parameter(spec.name, default, spec.descriptor).value)


def read_settings(node: Node) -> Settings:
    """Return the present values of the declared parameters."""
    return Settings(**{spec.name: _value(node, spec) for spec in PARAMETERS.values()})


def check_change(parameter: Parameter[Any], is_configured: bool) -> None:
    """Raise ValueError if a declared parameter may not be set to this value now.

    `is_configured`: whether the node has loaded its model. Ignore undeclared parameters.
    """
    spec = PARAMETERS.get(parameter.name)
    if spec is None:
        return
    spec.check(parameter.value)
    if spec.applies is Applies.ON_CONFIGURE and is_configured:
        raise ValueError(f'{spec.name} takes effect on configure: clean the node up first')


def _value(node: Node, spec: ParameterSpec) -> Any:
    value = node.get_parameter_or(spec.name).value
    if spec.range is not None and isinstance(value, float):
        return float(np.clip(value, *spec.range))  # rclpy accepts a millionth more
    # An empty list in a YAML file has no type, so rclpy considers the parameter not set.
    return tuple(value or ()) if isinstance(spec.default, tuple) else value
