# SPDX-License-Identifier: Apache-2.0
"""The parameters of the segmentation node."""

from __future__ import annotations

from dataclasses import dataclass

from lseg_ros.backends import BACKENDS
from lseg_ros.core.cloud import POINT_COLORS
from lseg_ros.core.smoothing import WARPS
from lseg_ros.nodes.parameters import Applies, Parameters, at_once, parameter


@dataclass(frozen=True)
class Settings:
    """The values of all parameters at one moment; the fields are the table of parameters."""

    model: str = parameter(
        'lseg-lite',
        'Name of a model, lseg-lite or one fetched with lseg fetch (see lseg info), or path of a weights file.',
    )
    text_model: str = parameter(
        '', 'Folder of the text encoder; empty: use the installed Python package, or else the hub cache.'
    )
    device: str = parameter('auto', 'Where the network runs: cpu, cuda or cuda:1; auto: a GPU if there is one.')
    precision: str = parameter(
        'auto',
        'Number format of the network; auto: float16 on a GPU with tensor cores, float32 elsewhere.',
        choices=('auto', 'float32', 'float16', 'bfloat16'),
    )
    backend: str = parameter(
        'auto',
        'What runs the network; auto: openvino on a CPU, if it is installed and can run the network, '
        'torch otherwise. onnxruntime uses TensorRT, CUDA or the CPU, in this order. eager is the '
        'plain PyTorch network, for comparison.',
        choices=BACKENDS,
    )
    compile: bool = parameter(
        False,
        'Whether the backend torch, and auto as torch, compiles the network: faster, but configure takes longer the '
        'first time; needs a C++ compiler.',
    )
    openvino_device: str = parameter(
        'CPU', 'Where the backend openvino runs the network: CPU, GPU or NPU of Intel, GPU.1 ..., or AUTO.'
    )
    cpu_threads: int = parameter(
        0, 'Number of CPU threads for the network, resizing and deciding; 0: one per core.', range=(0, 256)
    )
    input_size: int = parameter(
        0,
        'Short side, in pixels, to which images are reduced for the network; 0: the default of '
        'the model. A larger size reveals smaller things and takes longer.',
        range=(0, 4096),
    )
    labels: tuple[str, ...] = at_once(
        ('floor', 'wall', 'ceiling', 'door', 'window', 'table', 'chair', 'person'),
        'Classes to look for, each a name or name=prompt|prompt|...; ~/set_labels also changes them.',
    )
    labels_file: str = parameter(
        '',
        'Label file to load at each configure instead of `labels`: the name of a shipped file '
        '(indoor, ade20k, ...) or a path; empty: none.',
    )
    include_other: bool = parameter(
        True,
        'Whether to include id 0, other, which takes the pixels that fit none of the labels.',
        applies=Applies.AT_START,
    )
    other_prompts: tuple[str, ...] = parameter(('other',), 'Prompts of the class other.', applies=Applies.AT_START)
    confidence_threshold: float = at_once(
        0.0, 'Pixels with a lower confidence become 255, unlabelled.', range=(0.0, 1.0)
    )
    temporal_smoothing: float = at_once(
        0.0,
        'Weight of the previous frames in the class scores: 0.8 gives steady masks; 0: judge each frame on its own.',
        range=(0.0, 0.95),
    )
    temporal_warp: str = parameter(
        'flow',
        'How smoothing follows a moving camera: flow: by optical flow; none: not at all, for a fixed camera.',
        choices=WARPS,
    )
    cameras: tuple[str, ...] = parameter(
        ('',),
        'Camera names: front subscribes to front/image and publishes ~/front/label_image, robot1/front '
        'to robot1/front/image and ~/robot1/front/label_image; a single empty name: one camera, image '
        'and ~/label_image.',
    )
    max_rate: float = at_once(
        0.0,
        'Maximum number of batches per second, each with the newest image of every camera; 0: no limit.',
        range=(0.0, 1000.0),
    )
    image_transport: str = parameter(
        'raw',
        'raw: subscribe to image (Image); compressed: to image/compressed (CompressedImage).',
        choices=('raw', 'compressed'),
    )
    output_size: tuple[int, ...] = parameter(
        (0, 0),
        'Width and height of the published images, sampled by nearest neighbour, with a matching '
        '~/camera_info; 0, 0: the size of the input image.',
    )
    depth_slop: float = at_once(
        0.02, 'Maximum difference, in seconds, between the stamps of an image and its depth image.', range=(0.0, 1.0)
    )
    points_stride: int = parameter(
        1, 'Use every nth row and column for ~/points; a costmap layer needs 1.', range=(1, 64)
    )
    points_color: str = at_once(
        'class',
        'Colour of ~/points: class: that of the class in ~/label_set, black if unlabelled; image: that of the pixel.',
        choices=POINT_COLORS,
    )
    embedding_stride: int = at_once(
        2, "Use every nth row and column of the network's grid for ~/embedding.", range=(1, 64)
    )
    rectified: bool = parameter(
        False, 'Whether the images are rectified: use P of camera_info, without distortion, instead of K and D.'
    )
    overlay_alpha: float = at_once(
        0.5, 'Opacity of the class colours in ~/overlay; 0: image only, 1: colours only.', range=(0.0, 1.0)
    )
    image_timeout: float = at_once(
        3.0, 'Seconds without an image before the node warns and says why none arrives.', range=(0.1, 3600.0)
    )


PARAMETERS = Parameters(Settings)
