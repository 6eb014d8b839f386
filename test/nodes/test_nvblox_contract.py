# SPDX-License-Identifier: Apache-2.0
"""What nvblox_node requires of a mask and of the CameraInfo next to it, as its source reads.

It copies height x width bytes of a mono8 image whatever its step, takes every value but 0 for
foreground, projects with K of the CameraInfo alone, and joins both by stamp: with depth
approximately, with colour exactly.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from harness import PICTURE, stamp_of
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo
from test_points import INFO, DepthCamera

from lseg_ros.labels import LabelRegistry
from lseg_ros.nodes.segmentation.settings import PARAMETERS

SYSTEM_DEFAULT = QoSProfile(depth=10)  # nvblox's input_qos: reliable, volatile


def test_parameters_in_the_docs_exist():
    page = (Path(__file__).parents[2] / 'docs' / 'nvblox.md').read_text(encoding='utf-8')
    blocks = map(yaml.safe_load, re.findall(r'^```yaml\n(.*?)^```$', page, re.MULTILINE | re.DOTALL))
    (parameters,) = (block['/**']['ros__parameters'] for block in blocks if '/**' in block)
    assert parameters.keys() <= PARAMETERS.keys()
    assert 'person' in LabelRegistry().replace(parameters['labels']).names


@pytest.mark.slow
@pytest.mark.parametrize('output_size', [[0, 0], [32, 24]], ids=['size of the image', 'reduced'])
def test_mask_and_camera_info_are_what_nvblox_reads(active, output_size):
    client = active(labels=['floor', 'person'], output_size=output_size)
    camera = DepthCamera(client, d=[])
    client.listen('lseg/masks/person', qos=SYSTEM_DEFAULT)
    client.listen('lseg/camera_info', CameraInfo, SYSTEM_DEFAULT)

    def pair():
        camera.shoot()
        infos = {stamp_of(info): info for info in client.received['lseg/camera_info']}
        masks = [mask for mask in client.received['lseg/masks/person'] if stamp_of(mask) in infos]
        return client.soon(lambda: masks and (masks[-1], infos[stamp_of(masks[-1])]), 0.1)

    mask, info = client.poll(pair, 'a mask with its camera info')
    assert mask.header == info.header and mask.header.frame_id == 'camera_optical'
    height, width = output_size[::-1] if any(output_size) else PICTURE.shape[:2]
    assert (mask.width, mask.height) == (info.width, info.height) == (width, height)
    assert mask.encoding == 'mono8' and len(mask.data) == width * height
    assert set(np.unique(mask.data)) <= {0, 255}
    scale = width / INFO['width']
    assert (info.k[0], info.k[4]) == pytest.approx((INFO['fx'] * scale, INFO['fy'] * scale))
    assert not any(info.d)
