# SPDX-License-Identifier: Apache-2.0
"""Published benchmark scores of LSeg, shown next to the measured ones.

Zero-shot scores are from the authors' model zoo, ADE20K's from Table 5 of Li et al., 2022.
"""

from __future__ import annotations

from types import MappingProxyType

# data set -> measure -> column -> per cent
PUBLISHED = MappingProxyType(
    {
        'pascal5i': {
            'mIoU, ResNet-101': {'fold 0': 52.8, 'fold 1': 53.8, 'fold 2': 44.4, 'fold 3': 38.5, 'mean': 47.4}
        },
        'coco20i': {'mIoU, ResNet-101': {'fold 0': 22.1, 'fold 1': 25.1, 'fold 2': 24.9, 'fold 3': 21.5, 'mean': 23.4}},
        'fss1000': {'ResNet-101': {'mIoU': 84.7}, 'ViT-L/16': {'mIoU': 87.8}},
        'ade20k': {'ViT-B/32, truncated labels': {'pixel acc.': 79.7, 'mIoU': 37.8}},
    }
)
