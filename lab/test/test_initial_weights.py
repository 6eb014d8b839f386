# SPDX-License-Identifier: Apache-2.0
"""Training starts from weights that recognise what they were trained on."""

from pathlib import Path

import numpy as np
import pytest
import skimage.data
import timm
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from lseg_lab.training.initial_weights import PACKAGES, build_pretrained, config_of, imagenet_weights
from lseg_ros.model import LSegConfig


@pytest.mark.parametrize('name', PACKAGES)
def test_imagenet_weights_recognise_photographs(name):
    """The keys are matched by position: only right answers show that they match."""
    classifier = timm.create_model(name).eval()
    classifier.load_state_dict(imagenet_weights(name))
    photographs = load_sample_images()
    china = next(
        image for file, image in zip(photographs.filenames, photographs.images) if Path(file).name == 'china.jpg'
    )
    camera = np.repeat(skimage.data.camera()[..., None], 3, axis=2)
    images = [skimage.data.chelsea(), skimage.data.coffee(), camera, china]
    with torch.no_grad():
        best = classifier(torch.stack([_classifier_input(image) for image in images])).argmax(1)
    cats, espresso, tripod, palace = {281, 282, 285}, {967}, {872}, {698}
    for index, right in zip(best.tolist(), (cats, espresso, tripod, palace)):
        assert index in right


def test_image_encoder_has_the_pretrained_features():
    encoder = build_pretrained(LSegConfig(width=16)).image_encoder.eval()
    classifier = timm.create_model('tf_efficientnet_lite0').eval()
    classifier.load_state_dict(imagenet_weights('tf_efficientnet_lite0'))
    torch.manual_seed(0)
    pixels = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        maps = encoder(pixels)
        torch.testing.assert_close(maps[-1], classifier.forward_features(pixels))
    assert [tuple(m.shape[1:]) for m in maps] == [(24, 16, 24), (40, 8, 12), (112, 4, 6), (320, 2, 3), (1280, 2, 3)]
    assert encoder.channels == (24, 40, 112, 320, 1280)


def test_a_clip_file_that_is_missing_is_named():
    with pytest.raises(FileNotFoundError, match='text model nowhere.pt is not a file'):
        build_pretrained(config_of('lseg-rn101'), 'nowhere.pt')


def test_models_that_are_fetched_whole_are_not_trained():
    with pytest.raises(ValueError, match='tipsv2-b14 is not trained here: train lseg-lite'):
        config_of('tipsv2-b14')


def _classifier_input(image: np.ndarray) -> torch.Tensor:
    """Return the centre of `image` (uint8 [H, W, 3]) as the classifier's 224 x 224 input."""
    picture = Image.fromarray(image)
    scale = 256 / min(picture.size)
    picture = picture.resize([round(side * scale) for side in picture.size], Image.Resampling.BICUBIC)
    left, top = (side // 2 - 112 for side in picture.size)
    pixels = np.array(picture.crop((left, top, left + 224, top + 224)))
    return torch.from_numpy(pixels).permute(2, 0, 1) / 127.5 - 1
