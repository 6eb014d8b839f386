# SPDX-License-Identifier: Apache-2.0
"""Published benchmark scores, shown next to the measured ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Published:
    """Scores in per cent by column of the table, and where they were published."""

    scores: Mapping[str, float]
    source: str


LSEG_ZOO = "the model zoo of LSeg's authors (github.com/isl-org/lang-seg)"
LSEG_PAPER = 'Table 5 of Li et al., 2022 (arXiv 2201.03546)'
TIPS_README = "the README of TIPSv2's authors (github.com/google-deepmind/tips)"
TALK2DINO_PAGE = (
    'wizwand.com on Barsellotti et al., 2025 (arXiv 2411.19331), which does not say whether B/14 or L/14; '
    'masks refined by PAMR, which is not done here'
)


def _talk2dino(mean_iou: float) -> dict[str, Published]:
    return {'Talk2DINO with PAMR': Published({'mIoU': mean_iou}, TALK2DINO_PAGE)}


# data set -> row of the table
PUBLISHED: Mapping[str, Mapping[str, Published]] = MappingProxyType(
    {
        'pascal5i': {
            'mIoU, ResNet-101': Published(
                {'fold 0': 52.8, 'fold 1': 53.8, 'fold 2': 44.4, 'fold 3': 38.5, 'mean': 47.4}, LSEG_ZOO
            )
        },
        'coco20i': {
            'mIoU, ResNet-101': Published(
                {'fold 0': 22.1, 'fold 1': 25.1, 'fold 2': 24.9, 'fold 3': 21.5, 'mean': 23.4}, LSEG_ZOO
            )
        },
        'fss1000': {'ResNet-101': Published({'mIoU': 84.7}, LSEG_ZOO), 'ViT-L/16': Published({'mIoU': 87.8}, LSEG_ZOO)},
        'ade20k': {
            'LSeg, ViT-B/32, truncated labels': Published({'pixel acc.': 79.7, 'mIoU': 37.8}, LSEG_PAPER),
            'TIPSv2 B/14': Published({'mIoU': 17.4}, TIPS_README),
            'TIPSv2 L/14': Published({'mIoU': 24.7}, TIPS_README),
        },
        'voc20': {},
        'voc21': _talk2dino(65.8),
        'context59': _talk2dino(42.4),
        'stuff171': _talk2dino(30.2),
        'cityscapes': _talk2dino(38.1),
    }
)
