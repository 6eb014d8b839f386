# SPDX-License-Identifier: Apache-2.0
"""Single-pass segmentation: ids and confidence for exactly the pixels of any image."""

import threading

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from lseg_ros.core.single_pass import SinglePassSegmenter
from lseg_ros.labels import LabelRegistry
from lseg_ros.model import LSeg

COLORS = {'black': (0, 0, 0), 'red': (255, 0, 0), 'green': (0, 255, 0), 'blue': (0, 0, 255)}


class ColorNetwork:
    """A network that recognises colours, each pixel on its own.

    Its grid is `grid` times coarser than its input, like a decoder's.
    """

    mean, std = (0.4, 0.5, 0.6), (0.5, 0.25, 0.2)
    stride, calibration, dtype, device = 32, 1.0, torch.float32, torch.device('cpu')

    normalise = LSeg.normalise

    def __init__(self, input_size=0, grid=1):
        self.input_size = input_size
        self.grid = grid

    def encode_text(self, prompts):
        return torch.tensor([COLORS[prompt] for prompt in prompts]) / 127.5 - 1

    def encode_image(self, pixels):
        assert pixels.shape[2] % self.stride == 0 == pixels.shape[3] % self.stride
        mean, std = (torch.tensor(value)[:, None, None] for value in (self.mean, self.std))
        return F.avg_pool2d(2 * (pixels * std + mean) - 1, self.grid)

    def correlate(self, embeddings, text):
        return torch.einsum('bdhw,kd->bkhw', embeddings, text)


class LargestTensor(TorchDispatchMode):
    """Records the number of elements of the largest tensor created."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.elements = max(self.elements, result.numel())
        return result


def labelled(segmenter, *labels, include_other=False):
    return segmenter.prepare(LabelRegistry(include_other=include_other).replace(labels))


def colour_labels(segmenter):
    """Ids: 1 black, 2 red, 3 green, 4 blue."""
    return labelled(segmenter, *COLORS)


def painted(ids):
    """Return an image whose pixels have the colours of `ids`."""
    return np.array([(9, 9, 9), *COLORS.values()], np.uint8)[ids]


def quarters(height, width):
    """Return ids in four parts, with seams off the centre."""
    ids = np.full((height, width), 1, np.uint8)
    ids[: height // 3, width * 3 // 7 :] = 2
    ids[height // 3 :, : width * 3 // 7] = 3
    ids[height // 3 :, width * 3 // 7 :] = 4
    return ids


@pytest.fixture(scope='module')
def tiny(tiny_model):
    return SinglePassSegmenter(tiny_model)


@pytest.fixture(scope='module')
def noise():
    return np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)


@pytest.mark.parametrize('size', [(1, 1), (1, 7), (7, 1), (31, 33), (65, 129), (240, 320)])
def test_unscaled_image_comes_back_pixel_for_pixel(size):
    segmenter = SinglePassSegmenter(ColorNetwork())
    ids = quarters(*size)
    result = segmenter.segment([painted(ids)], colour_labels(segmenter))[0]
    np.testing.assert_array_equal(result.ids, ids)
    assert result.ids.dtype == result.confidence.dtype == np.uint8
    assert result.confidence.shape == size


@pytest.mark.parametrize('size', [(241, 323), (479, 641), (640, 480), (721, 1277), (2160, 3840)])
@pytest.mark.parametrize('grid', [1, 4])
def test_scaled_image_comes_back_in_place(size, grid):
    segmenter = SinglePassSegmenter(ColorNetwork(input_size=240, grid=grid))
    ids = quarters(*size)
    result = segmenter.segment([painted(ids)], colour_labels(segmenter))[0]
    # Only pixels within one grid cell of a seam may differ.
    seam = int(np.ceil(grid * min(size) / 240))
    rows, columns = np.nonzero(result.ids != ids)
    to_seam = np.minimum(np.abs(rows + 0.5 - size[0] // 3), np.abs(columns + 0.5 - size[1] * 3 // 7))
    assert to_seam.size == 0 or to_seam.max() < seam


@pytest.mark.parametrize('size', [(479, 641), (1080, 1921)])
@pytest.mark.parametrize('grid', [1, 4])
def test_a_disc_is_found_where_it_is(size, grid):
    segmenter = SinglePassSegmenter(ColorNetwork(input_size=240, grid=grid))
    y, x = np.mgrid[: size[0], : size[1]]
    disc = np.hypot(y - 0.37 * size[0], x - 0.81 * size[1]) < 0.15 * size[0]
    found = segmenter.segment([painted(1 + disc)], colour_labels(segmenter))[0].ids == 2
    for truth, result in zip(np.nonzero(disc), np.nonzero(found)):
        assert abs(truth.mean() - result.mean()) < 0.1 * grid * size[0] / 240
    assert abs(found.sum() / disc.sum() - 1) < 0.02


@pytest.mark.parametrize('size', [(1, 3000), (3000, 1), (2, 5001), (33, 31), (500, 20)])
def test_padding_takes_no_part(size):
    segmenter = SinglePassSegmenter(ColorNetwork(input_size=64, grid=4))
    result = segmenter.segment([np.full((*size, 3), (0, 0, 255), np.uint8)], colour_labels(segmenter))[0]
    assert result.ids.shape == size and (result.ids[: size[0] // 2 + 1] == 4).all()


def test_small_images_are_not_enlarged_and_strips_are_reduced(monkeypatch):
    seen = []
    network = ColorNetwork(input_size=100)
    monkeypatch.setattr(network, 'encode_image', lambda pixels: seen.append(pixels.shape[2:]) or pixels)
    segmenter = SinglePassSegmenter(network)
    for size in ((40, 50), (100, 200), (200, 100), (50, 4000)):
        segmenter.segment([np.zeros((*size, 3), np.uint8)], colour_labels(segmenter))
    assert seen == [(64, 64), (128, 224), (224, 128), (32, 416)]


def test_reduced_images_are_squeezed_a_little_to_save_padding(monkeypatch):
    seen = []
    network = ColorNetwork(input_size=128)
    monkeypatch.setattr(network, 'encode_image', lambda pixels: seen.append(tuple(pixels.shape[2:])) or pixels)
    segmenter = SinglePassSegmenter(network)
    for size in ((720, 1280), (1280, 720), (480, 640), (98, 98)):
        segmenter.segment([np.zeros((*size, 3), np.uint8)], colour_labels(segmenter))
    assert seen == [(128, 224), (224, 128), (128, 192), (128, 128)]


def test_reduced_image_gives_the_result_of_its_original():
    segmenter = SinglePassSegmenter(ColorNetwork(input_size=64))
    ids = quarters(320, 480)
    assert segmenter.network_size((320, 480)) == (64, 96)
    original, reduced = (
        segmenter.segment([image], colour_labels(segmenter), sizes=[(320, 480)])[0]
        for image in (painted(ids), painted(ids)[::2, ::2])
    )
    assert reduced.ids.shape == (320, 480)
    assert (reduced.ids == original.ids).mean() > 0.99


def test_images_of_many_sizes_in_one_call_give_what_each_gives_alone(tiny, noise):
    prepared = labelled(tiny, 'floor', 'wall', 'chair')
    images = [noise[:50, :60], noise, noise[:33, :33], noise[::-1], noise[:64, :64]]
    together = tiny.segment(images, prepared)
    for image, result in zip(images, together, strict=True):
        alone = tiny.segment([image], prepared)[0]
        assert result.ids.shape == image.shape[:2]
        assert (result.ids == alone.ids).mean() > 0.999
        assert np.abs(result.confidence.astype(int) - alone.confidence).max() <= 1
    assert tiny.segment([], prepared) == []


@pytest.mark.parametrize('size', [(48, 64), (33, 50), (96, 128), (200, 300)])
def test_output_size_samples_the_result_by_nearest_neighbour(tiny, noise, size):
    prepared = labelled(tiny, 'floor', 'wall', 'chair')
    (full,) = tiny.segment([noise], prepared)
    (sampled,) = tiny.segment([noise], prepared, output_size=size)
    rows, columns = (((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(size, full.ids.shape))
    np.testing.assert_array_equal(sampled.ids, full.ids[rows][:, columns])
    np.testing.assert_array_equal(sampled.confidence, full.confidence[rows][:, columns])


def test_result_is_that_of_the_network_itself(tiny, tiny_model, noise):
    prepared = labelled(tiny, 'floor', 'wall', 'chair', 'table')
    mean, std = (torch.tensor(value) for value in (tiny_model.mean, tiny_model.std))
    pixels = ((torch.from_numpy(noise) / 255 - mean) / std).permute(2, 0, 1)[None]
    scores = (tiny_model(pixels, prepared.text).softmax(1).amax(1), tiny_model(pixels, prepared.text).argmax(1) + 1)
    result = tiny.segment([noise], prepared)[0]
    assert (result.ids == scores[1][0].numpy()).mean() > 0.98
    assert np.abs(result.confidence - 255 * scores[0][0].numpy()).max() < 4


def test_read_only_and_reversed_images_are_taken(tiny, noise):
    prepared = labelled(tiny, 'floor', 'wall')
    expected = tiny.segment([np.ascontiguousarray(noise[:, :, ::-1])], prepared)[0]
    reversed_view = noise[:, :, ::-1]
    reversed_view.flags.writeable = False
    np.testing.assert_array_equal(tiny.segment([reversed_view], prepared)[0].ids, expected.ids)


def test_best_prompt_of_a_class_counts():
    segmenter = SinglePassSegmenter(ColorNetwork())
    prepared = labelled(segmenter, 'dark=black', 'bright=red|green|blue')
    ids = quarters(40, 50)
    result = segmenter.segment([painted(ids)], prepared)[0]
    np.testing.assert_array_equal(result.ids, np.where(ids == 1, 1, 2))


def test_other_is_id_0_and_without_it_every_pixel_has_a_label():
    segmenter = SinglePassSegmenter(ColorNetwork())
    image = painted(quarters(40, 50))
    with_other = labelled(segmenter, 'red', 'other=black|green|blue', include_other=True)
    assert set(np.unique(segmenter.segment([image], with_other)[0].ids)) == {0, 1}
    without = labelled(segmenter, 'red', 'blue')
    assert set(np.unique(segmenter.segment([image], without)[0].ids)) == {1, 2}


def test_confidence_is_the_calibrated_probability_and_the_threshold_cuts_it():
    network = ColorNetwork()
    network.calibration = 2.0
    segmenter = SinglePassSegmenter(network)
    prepared = colour_labels(segmenter)
    image = painted(quarters(40, 50))
    image[:, :10] = 96  # closest to black, but not by much
    result = segmenter.segment([image], prepared)[0]
    # red on red: cosine terms 3, against 1 of black and -1 of green and blue, halved
    odds = np.exp(np.array([3, 1, -1, -1]) / 2)
    assert abs(int(result.confidence[0, -1]) - 255 * odds[0] / odds.sum()) <= 1
    cut = segmenter.segment([image], prepared, threshold=0.5)[0]
    np.testing.assert_array_equal(cut.ids, np.where(result.confidence < 127.5, 255, result.ids))
    assert (cut.ids[:, :10] == 255).all() and (cut.ids[:, 25:] != 255).all()
    np.testing.assert_array_equal(cut.confidence, result.confidence)


def test_memory_depends_neither_on_4k_nor_on_254_labels(tiny_model):
    segmenter = SinglePassSegmenter(tiny_model, input_size=240)
    image = np.random.default_rng(0).integers(0, 256, (2160, 3840, 3), np.uint8)
    prepared = labelled(segmenter, *(f'thing {number}' for number in range(254)))
    with LargestTensor() as largest:
        result = segmenter.segment([image], prepared)[0]
    assert result.ids.shape == (2160, 3840)
    assert largest.elements <= image.size


def test_labels_may_be_prepared_in_another_thread(tiny, noise):
    prepared = labelled(tiny, 'floor', 'wall')
    expected = tiny.segment([noise], prepared)[0].ids
    made = []

    def churn():
        made.extend(labelled(tiny, f'thing {n}', f'stuff {n}') for n in range(40))

    thread = threading.Thread(target=churn)
    thread.start()
    while thread.is_alive():
        np.testing.assert_array_equal(tiny.segment([noise], prepared)[0].ids, expected)
    thread.join()
    assert [labels.labels.names[0] for labels in made] == [f'thing {n}' for n in range(40)]


def test_warm_up_takes_any_size(tiny):
    tiny.warm_up(1, 1)
    tiny.warm_up(48, 100)


@pytest.mark.parametrize(
    'image, reason',
    [
        (np.zeros((4, 4, 3), np.float32), 'uint8, not float32'),
        (np.zeros((4, 4), np.uint8), r'not \[4, 4\]'),
        (np.zeros((4, 4, 4), np.uint8), r'not \[4, 4, 4\]'),
        (np.zeros((0, 4, 3), np.uint8), r'not \[0, 4, 3\]'),
        ([[1, 2, 3]], 'not list'),
    ],
)
def test_bad_image_is_refused_with_its_place_in_the_list(image, reason):
    segmenter = SinglePassSegmenter(ColorNetwork())
    with pytest.raises(ValueError, match=f'image 1 .*{reason}'):
        segmenter.segment([np.zeros((4, 4, 3), np.uint8), image], colour_labels(segmenter))


@pytest.mark.parametrize('threshold', [1.1, -1, float('nan')])
def test_threshold_out_of_range_is_refused(tiny, noise, threshold):
    prepared = labelled(tiny, 'floor')
    with pytest.raises(ValueError, match=f'threshold must be 0..1, not {threshold}'):
        tiny.segment([noise], prepared, threshold=threshold)


def test_negative_input_size_is_refused():
    with pytest.raises(ValueError, match='input_size'):
        SinglePassSegmenter(ColorNetwork(), input_size=-1)
