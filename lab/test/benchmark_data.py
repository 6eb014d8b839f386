# SPDX-License-Identifier: Apache-2.0
"""Pictures and masks for the benchmark tests, and a network that recognises red."""

import numpy as np
import torch
from PIL import Image
from torch import nn

from lseg_ros.model import LSeg
from lseg_ros.sharing.workers import Workers

ALONE = Workers(torch.device('cpu'))


class RedNetwork(nn.Module):
    """Segments red areas as any class, and everything else as "others"."""

    name, mean, std, stride = 'red', (0.5, 0.4, 0.3), (0.5, 0.25, 0.2), 32
    device, dtype = torch.device('cpu'), torch.float32
    normalise = LSeg.normalise

    def __init__(self):
        super().__init__()
        self.register_buffer('weight', torch.ones(1))
        self.asked = []

    def encode_text(self, prompts):
        self.asked.append(tuple(prompts))
        return torch.tensor([[-1.0] if prompt == 'others' else [1.0] for prompt in prompts])

    def forward(self, pixels, text):
        assert pixels.shape == (1, 3, 480, 480)
        red = pixels[:, :1] * self.std[0] + self.mean[0] - 0.5
        return red * text[None, :, :, None]


def picture(path, red_columns=24, size=(48, 48)):
    """Write a picture whose left columns are red."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[:, :red_columns] = 255, 0, 0
    Image.fromarray(pixels).save(path, quality=100, subsampling=0)


def mask(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(path)


def columns(value, count, ignored_rows=0):
    """Return a mask with `value` in its left columns and 255 in its last rows."""
    values = np.zeros((48, 48), np.uint8)
    values[:, :count] = value
    values[48 - ignored_rows :] = 255
    return values


def write_fss(root):
    """Write FSS-1000 with two categories; the first in alphabetical order is listed last."""
    for name, count in (('zebra', 1), ('ac_wall', 2)):
        for number in range(1, count + 1):
            folder = root / 'FSS-1000' / name
            picture(folder / f'{number}.jpg')
            grey = np.where(columns(1, 12 * number) == 1, 128, 127)
            mask(folder / f'{number}.png', np.repeat(grey[..., None], 3, axis=2))
    split = root / 'splits' / 'fss' / 'test.txt'
    split.parent.mkdir(parents=True)
    split.write_text('zebra\nac_wall\n')
