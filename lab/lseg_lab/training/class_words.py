# SPDX-License-Identifier: Apache-2.0
"""Add the ImageNet classes that the image encoder knows to a trained network, without training."""

from __future__ import annotations

import dataclasses

import torch
from timm.data import ImageNetInfo
from torch import Tensor
from torch.nn import functional as F

from lseg_lab.training.initial_weights import imagenet_weights
from lseg_ros.model import LSeg
from lseg_ros.model.backbones import EFFICIENTNET_LITE
from lseg_ros.model.class_prior import IMAGENET_CLASSES
from lseg_ros.model.decoder import PyramidDecoder


@torch.no_grad()
def add_class_prior(model: LSeg, strength: float) -> None:
    """Give `model` a class prior of `strength`, in place of any other.

    The last layer, y = W x + b, turns its vectors into what the text encoder makes of the classes'
    names, or as much of that as W can express: they are pinv(W) T, with a column of T per class.
    Train and average before this; the vectors hold for one W only.
    Raise ValueError for a network without EfficientNet-Lite and the pyramid decoder,
    ModuleNotFoundError if the classifier's package is missing.
    """
    config, decoder = dataclasses.replace(model.config, class_prior=float(strength)), model.decoder
    if config.encoder not in EFFICIENTNET_LITE or not isinstance(decoder, PyramidDecoder):
        raise ValueError(f'{model.name} has no ImageNet classifier to add: only networks like lseg-lite have')
    weights = imagenet_weights(config.encoder)
    vectors = torch.linalg.pinv(decoder.projection.weight[:, :, 0, 0].double()) @ class_texts(model).double().T
    prior = decoder.add_class_prior(config.class_prior)
    tensors = {
        'classifier.weight': weights['classifier.weight'][:, :, None, None],
        'classifier.bias': weights['classifier.bias'],
        'vectors.weight': vectors[:, :, None, None],
    }
    prior.load_state_dict(tensors)
    prior.to(model.device, model.dtype).requires_grad_(False)
    model.config = config


def remove_class_prior(model: LSeg) -> None:
    """Take the class prior, if there is one, out of `model`."""
    if isinstance(model.decoder, PyramidDecoder):
        model.decoder.class_prior = None
    model.config = dataclasses.replace(model.config, class_prior=0.0)


def class_texts(model: LSeg) -> Tensor:
    """Return the text vector of each ImageNet class, unit rows [1000, D].

    It is the mean of two directions: that of all its names, and that of the first name with its
    definition. Names and definitions are WordNet's.
    """
    info = ImageNetInfo('imagenet-1k')
    names = [info.index_to_description(index).split(', ') for index in range(IMAGENET_CLASSES)]
    details = [info.index_to_description(index, detailed=True) for index in range(IMAGENET_CLASSES)]
    rows = model.encode_text([name for each in names for name in each]).split([len(each) for each in names])
    named = F.normalize(torch.stack([each.sum(0) for each in rows]), dim=1)
    defined = model.encode_text([f'{each[0]}: {detail.partition(": ")[2]}' for each, detail in zip(names, details)])
    return F.normalize(named + defined, dim=1)


def has_imagenet_encoder(model: LSeg) -> bool:
    """Return whether the encoder has its ImageNet weights, rounded to float16 or not."""
    weights = imagenet_weights(model.config.encoder)
    state = model.image_encoder.get_submodule('net').state_dict()
    return all(torch.equal(tensor.cpu().half(), weights[key].half()) for key, tensor in state.items())
