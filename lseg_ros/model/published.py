# SPDX-License-Identifier: Apache-2.0
"""The networks that LSeg's authors published, and the layout of their checkpoints."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

from lseg_ros.model.lseg import LSegConfig
from lseg_ros.model.spatial import NO_SPATIAL

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
SPATIAL_PREFIX = 'scratch.head_block.'

# Prefixes of our keys -> those of the published ones; the first match counts.
_PREFIXES = {
    r'image_encoder\.net\.conv1\.': 'pretrained.layer1.0.',
    r'image_encoder\.net\.bn1\.': 'pretrained.layer1.1.',
    r'image_encoder\.net\.layer1\.': 'pretrained.layer1.4.',
    r'image_encoder\.net\.layer(?=[234]\.)': 'pretrained.layer',
    r'image_encoder\.net\.': 'pretrained.model.',
    r'image_encoder\.reassemble\.(\d)\.readout\.': 'pretrained.act_postprocess{}.0.project.0.',
    r'image_encoder\.reassemble\.(\d)\.project\.': 'pretrained.act_postprocess{}.3.',
    r'image_encoder\.reassemble\.(\d)\.resample\.': 'pretrained.act_postprocess{}.4.',
    r'decoder\.laterals\.(\d)\.': 'scratch.layer{}_rn.',
    r'decoder\.fusions\.(\d)\.skip\.': 'scratch.refinenet{}.resConfUnit1.',
    r'decoder\.fusions\.(\d)\.refine\.': 'scratch.refinenet{}.resConfUnit2.',
    r'decoder\.fusions\.(\d)\.output\.': 'scratch.refinenet{}.out_conv.',
    r'decoder\.head\.': 'scratch.head1.',
    r'spatial\.conv\.': 'scratch.head_block.depthwise.depthwise.',
    r'text_encoder\.net\.': 'clip_pretrained.',
}

# Never used: CLIP's image encoder and scale, the transformer's classifier, a unit of the coarsest
# level that has no input, and batch counters.
_UNUSED = re.compile(
    r'clip_pretrained\.(visual\.|logit_scale$)|pretrained\.model\.(norm|head)\.'
    r'|scratch\.refinenet4\.resConfUnit1\.|.*\.num_batches_tracked$'
)


@dataclass(frozen=True)
class PublishedNetwork:
    """A published network, and the key and shape of the tensor that identifies it."""

    config: LSegConfig
    key: str
    shape: tuple[int, ...]


def _config(name: str, encoder: str) -> LSegConfig:
    return LSegConfig(
        name=name, encoder=encoder, decoder='dpt', width=256, text='clip-vit-b-32', input_size=480, align_corners=True
    )


_NETWORKS = (
    PublishedNetwork(
        _config('lseg-vitl16', 'vit_large_patch16_384'), 'pretrained.model.patch_embed.proj.weight', (1024, 3, 16, 16)
    ),
    PublishedNetwork(
        _config('lseg-vitb32', 'vit_base_patch32_384'), 'pretrained.model.patch_embed.proj.weight', (768, 3, 32, 32)
    ),
    PublishedNetwork(
        replace(_config('lseg-rn101', 'resnet101'), mean=IMAGENET_MEAN, std=IMAGENET_STD),
        'pretrained.layer3.22.conv3.weight',
        (1024, 256, 1, 1),
    ),
)
NETWORKS = MappingProxyType({network.config.name: network for network in _NETWORKS})


class HasShape(Protocol):
    """A tensor, in memory or on disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each dimension."""


def find_state_dict(content: Any) -> Mapping[str, Any]:
    """Return the state dict in a published file, with "net." and "module." stripped from its keys.

    It is the content itself, or its entry `state_dict` (Lightning) or `model`.
    Raise ValueError if there is none.
    """
    for name in ('state_dict', 'model'):
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
            break
    if not isinstance(content, dict) or not content:
        raise ValueError('has no state dict: save the state_dict() of the network, alone or under the key state_dict')
    return {re.sub(r'^((net|module)\.)+', '', str(key)): value for key, value in content.items()}


def identify(state: Mapping[str, HasShape]) -> PublishedNetwork:
    """Return the published network with this state dict; raise ValueError if there is none."""
    for network in NETWORKS.values():
        if network.key in state and tuple(state[network.key].shape) == network.shape:
            return network
    raise ValueError(_describe_unknown(state))


def configure(network: PublishedNetwork, has_blocks: bool, spatial: str | None) -> LSegConfig:
    """Return the configuration of a published file.

    The file does not record the settings of its spatial regularisation; `spatial` does, see
    SpatialSettings.parse. The ResNet is a zero-shot network, and the authors' zero-shot code
    ignores spatial regularisation.
    Raise ValueError if `spatial` is missing or does not fit the file.
    """
    if network.config.encoder == 'resnet101':
        return network.config
    if has_blocks and spatial is None:
        raise ValueError(
            'has spatial regularisation blocks but does not record which kind: give '
            "spatial='KIND:DEPTH:ACTIVATION' as in training, e.g. 'bottleneck:2:lrelu' "
            f'(arch_option 1) or {"depthwise:2:lrelu"!r} (2), or {NO_SPATIAL!r} to leave them '
            'out; lseg convert --spatial writes a file that records it'
        )
    if spatial not in (None, NO_SPATIAL) and not has_blocks:
        raise ValueError(f'has no spatial regularisation blocks: leave out spatial={spatial!r}')
    return replace(network.config, spatial=spatial or NO_SPATIAL)


def published_key(key: str) -> str:
    """Return the published key of a tensor from its key in LSeg.state_dict."""
    for ours, published in _PREFIXES.items():
        if match := re.match(ours, key):
            # The authors count levels from 1.
            levels = (int(level) + 1 for level in match.groups())
            return published.format(*levels) + key[match.end() :]
    raise KeyError(key)


def describe(content: Any, state: Mapping[str, HasShape], config: LSegConfig) -> dict[str, str]:
    """Return the properties of a published file, by name."""
    lightning = isinstance(content.get('state_dict'), dict)
    unused = sum(math.prod(tensor.shape) for key, tensor in state.items() if not is_used(key, config))
    has_optimizer = bool(content.get('optimizer_states') or content.get('optimizer'))
    facts = {
        'layout': 'checkpoint of PyTorch Lightning' if lightning else 'state dict of PyTorch',
        'never used': f'{unused / 1e6:.2f} M parameters, dropped by lseg convert',
        'optimizer state': 'yes' if has_optimizer else 'no',
    }
    if has_spatial(state):
        facts['spatial regularisation'] = 'yes, of a kind that the file does not record'
    for key in ('epoch', 'global_step', 'pytorch-lightning_version'):
        if isinstance(content.get(key), int | str):
            facts[key.replace('_', ' ')] = str(content[key])
    return facts


def _describe_unknown(state: Mapping[str, HasShape]) -> str:
    backbones = [
        f'{key} {list(state[key].shape)}'
        for key in dict.fromkeys(network.key for network in NETWORKS.values())
        if key in state
    ]
    found = backbones[0] if backbones else f'{len(state)} tensors, first {min(state, default="none")}'
    expected = ', '.join(f'{name}: {network.key} {list(network.shape)}' for name, network in NETWORKS.items())
    return (
        f"is not one of the networks that LSeg's authors published: it has {found}, "
        f'expected {expected}; give one of their checkpoints'
    )


def has_spatial(keys: Iterable[str]) -> bool:
    """Return whether a published file has spatial regularisation blocks."""
    return any(key.startswith(SPATIAL_PREFIX) for key in keys)


def is_used(key: str, config: LSegConfig) -> bool:
    """Return whether inference with `config` needs the tensor `key` of a published file."""
    if key.startswith(SPATIAL_PREFIX) and config.spatial == NO_SPATIAL:
        return False
    return not _UNUSED.match(key)
