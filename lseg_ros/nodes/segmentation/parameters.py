# SPDX-License-Identifier: Apache-2.0
"""The parameters of the segmentation node: one table, from which all else follows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from lseg_ros.backends import BACKENDS
from lseg_ros.core.smoothing import WARPS

ParameterValue = bool | int | float | str | tuple[str, ...] | tuple[int, ...]


class Applies(Enum):
    """When a value that is set takes effect."""

    AT_ONCE = 'at once'
    ON_CONFIGURE = 'on configure'
    AT_START = 'at start'


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter: what it is called, may hold, means, and when a change takes effect."""

    name: str
    default: ParameterValue
    description: str
    applies: Applies = Applies.ON_CONFIGURE
    range: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()

    @property
    def descriptor(self) -> ParameterDescriptor:
        """The parameter as ROS describes it to `ros2 param describe`."""
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
            low, high = self.range
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
        return descriptor

    def check(self, value: ParameterValue) -> None:
        """Raise ValueError unless `value` is one of the choices, where there are any."""
        if self.choices and value not in self.choices:
            allowed = ', '.join(map(repr, self.choices))
            raise ValueError(f'{self.name} must be one of {allowed}, not {value!r}')


_TABLE = (
    ParameterSpec(
        'model', 'lseg-lite', 'Name of a model (lseg info lists them), or path of a weights file.'
    ),
    ParameterSpec(
        'text_model',
        '',
        "Folder of the text encoder; empty: the installed Python package, then the hub's cache.",
    ),
    ParameterSpec(
        'device',
        'auto',
        'Where the network runs: cpu, cuda or cuda:1; auto: a GPU when there is one.',
    ),
    ParameterSpec(
        'precision',
        'auto',
        'Number format of the network; auto: float16 on a GPU with tensor cores, else float32.',
        choices=('auto', 'float32', 'float16', 'bfloat16'),
    ),
    ParameterSpec(
        'backend',
        'auto',
        'What runs the network; auto: openvino for lseg-lite on a CPU, if installed, else torch.',
        choices=BACKENDS,
    ),
    ParameterSpec(
        'cpu_threads',
        0,
        'CPU threads that the network, resizing and decision may use; 0: one for each core.',
        range=(0, 256),
    ),
    ParameterSpec(
        'input_size',
        0,
        "Short side in pixels to which images are reduced for the network; 0: the model's own. "
        'More shows small things and takes longer.',
        range=(0, 4096),
    ),
    ParameterSpec(
        'quality',
        'fast',
        "fast: one pass through the network; best: the authors' six scales, mirrored and in "
        'windows, about forty passes an image.',
        choices=('fast', 'best'),
    ),
    ParameterSpec(
        'labels',
        ('floor', 'wall', 'ceiling', 'door', 'window', 'table', 'chair', 'person'),
        'Classes to look for, each a name or name=prompt|prompt|...; ~/set_labels changes it too.',
        applies=Applies.AT_ONCE,
    ),
    ParameterSpec(
        'labels_file',
        '',
        'Label file that gives the labels at each configure, in place of `labels`: the name of a '
        'shipped one (indoor, ade20k, ...) or a path; empty: none.',
    ),
    ParameterSpec(
        'include_other',
        True,
        'Whether id 0, other, is among the classes: what is none of the labels goes there.',
        applies=Applies.AT_START,
    ),
    ParameterSpec(
        'other_prompts', ('other',), 'Texts that stand for other.', applies=Applies.AT_START
    ),
    ParameterSpec(
        'confidence_threshold',
        0.0,
        'Pixels whose confidence is lower become 255, unlabelled.',
        applies=Applies.AT_ONCE,
        range=(0.0, 1.0),
    ),
    ParameterSpec(
        'temporal_smoothing',
        0.0,
        'Share of the class scores that is kept from the frames before: 0.8 makes masks calm; 0: '
        'each frame alone.',
        applies=Applies.AT_ONCE,
        range=(0.0, 0.95),
    ),
    ParameterSpec(
        'temporal_warp',
        'flow',
        'How the scores of the frames before follow a moving camera: flow: by optical flow; none: '
        'not at all, for a camera that stands.',
        choices=WARPS,
    ),
    ParameterSpec(
        'cameras',
        ('',),
        'Names of the cameras: front has front/image and ~/front/label_image; one empty name: a '
        'single camera, image and ~/label_image.',
    ),
    ParameterSpec(
        'max_rate',
        0.0,
        'At most this many batches a second, each with the newest image of every camera; 0: no '
        'limit.',
        applies=Applies.AT_ONCE,
        range=(0.0, 1000.0),
    ),
    ParameterSpec(
        'image_transport',
        'raw',
        'raw: subscribe to image (Image); compressed: to image/compressed (CompressedImage).',
        choices=('raw', 'compressed'),
    ),
    ParameterSpec(
        'label_encoding', 'mono8', 'Encoding of ~/label_image.', choices=('mono8', 'mono16')
    ),
    ParameterSpec(
        'output_size',
        (0, 0),
        'Width and height of what is published, sampled by nearest neighbour, with a '
        '~/camera_info to match; 0, 0: the size of the image.',
    ),
    ParameterSpec(
        'depth_slop',
        0.02,
        'Seconds by which the stamps of an image and its depth may differ.',
        applies=Applies.AT_ONCE,
        range=(0.0, 1.0),
    ),
    ParameterSpec(
        'points_stride',
        1,
        'Every nth row and column gives points; a costmap layer needs 1.',
        range=(1, 64),
    ),
    ParameterSpec(
        'rectified',
        False,
        'Whether images are rectified: P of camera_info holds for them, otherwise K and D.',
    ),
    ParameterSpec(
        'overlay_alpha',
        0.5,
        'Opacity of the class colours in ~/overlay; 0: only the image, 1: only the colours.',
        applies=Applies.AT_ONCE,
        range=(0.0, 1.0),
    ),
    ParameterSpec(
        'image_timeout',
        3.0,
        'Seconds without an image after which the node warns and says why none comes.',
        applies=Applies.AT_ONCE,
        range=(0.1, 3600.0),
    ),
)
PARAMETERS = MappingProxyType({spec.name: spec for spec in _TABLE})


def declare(node: Node) -> None:
    """Declare every parameter of the table on `node`.

    Raises the exceptions of rclpy for a value of the wrong type or outside its range, and
    ValueError for one that is not among the choices.
    """
    for spec in PARAMETERS.values():
        default = list(spec.default) if isinstance(spec.default, tuple) else spec.default
        spec.check(node.declare_parameter(spec.name, default, spec.descriptor).value)


def value_of(node: Node, name: str) -> bool | float | str | list[str] | list[int]:
    """Return the value of a declared parameter."""
    value = node.get_parameter_or(name).value
    # An empty list in a YAML file has no type: rclpy takes the parameter for one not set.
    return [] if value is None else value


def check_change(parameter: Parameter, is_configured: bool) -> None:
    """Raise ValueError when a parameter of the table may not be set to this value now.

    `is_configured`: whether the node has its model loaded. Other parameters may be anything.
    """
    spec = PARAMETERS.get(parameter.name)
    if spec is None:
        return
    spec.check(parameter.value)
    if spec.applies is Applies.ON_CONFIGURE and is_configured:
        raise ValueError(f'{spec.name} takes effect on configure: clean the node up first')


def markdown_table(specs: Iterable[ParameterSpec] = _TABLE) -> str:
    """Return the parameters as the Markdown table that stands in the README."""
    rows = [
        f'| `{spec.name}` | {_markdown_value(spec.default)} | {_markdown_range(spec)} '
        f'| {spec.applies.value} | {_markdown_text(spec.description)} |'
        for spec in specs
    ]
    return '\n'.join(
        ['| parameter | default | range | applies | meaning |', '|---|---|---|---|---|', *rows]
    )


def _markdown_text(text: str) -> str:
    return text.replace('|', r'\|')


def _markdown_value(value: ParameterValue) -> str:
    if isinstance(value, tuple):
        return ', '.join(map(_markdown_value, value))
    if isinstance(value, bool):
        return f'`{str(value).lower()}`'
    return f'`{value}`' if value != '' else '(empty)'


def _markdown_range(spec: ParameterSpec) -> str:
    if spec.range is not None:
        return f'{spec.range[0]:g} to {spec.range[1]:g}'
    return ', '.join(f'`{choice}`' for choice in spec.choices)
