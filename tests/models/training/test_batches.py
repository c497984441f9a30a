"""Batches: only training pictures are altered, and the lesion's map follows its picture."""

import numpy as np
import pytest

from cspine.card import Input
from cspine.preprocessing import to_input
from models.training.batches import Batches, altered, lesion_map
from models.training.data import MAP_STEP, Samples

WANTED = Input(size=64, channels=1)


def test_held_out_pictures_are_as_served(samples: Samples) -> None:
    batches = Batches(samples, WANTED, 3, batch=4, seed=1, augmented=False)
    assert len(batches) == 3
    pictures, targets = batches[0]
    for i in range(4):
        np.testing.assert_array_equal(pictures[i], to_input(samples.pictures[i], WANTED))
    assert targets["logits"].argmax(1).tolist() == samples.labels[:4]
    batches.begin(1)
    np.testing.assert_array_equal(batches[0][0], pictures)


def test_training_pictures_differ_each_epoch_and_follow_from_the_seed(samples: Samples) -> None:
    def epochs(seed: int) -> list[np.ndarray]:
        batches = Batches(samples, WANTED, 3, batch=8, seed=seed, augmented=True)
        first = batches[0][0]
        batches.begin(1)
        return [first, batches[0][0]]

    first, second = epochs(1)
    assert (first != second).any()
    np.testing.assert_array_equal(first, epochs(1)[0])
    np.testing.assert_array_equal(second, epochs(1)[1])
    assert (first != epochs(2)[0]).any()


def test_the_lesion_moves_with_the_picture() -> None:
    """A bright square stands for the lesion: after any alteration the mask still lies on it."""
    picture = np.zeros((256, 200), np.uint8)
    picture[120:160, 60:100] = 255
    lesion = (picture[::MAP_STEP, ::MAP_STEP] > 0).astype(np.uint8)
    rng = np.random.default_rng(0)
    for _ in range(20):
        moved, mask = altered(picture, lesion, rng)
        assert mask is not None
        centre = np.argwhere(moved > 127).mean(0)
        assert np.abs(np.argwhere(mask > 0).mean(0) * MAP_STEP + MAP_STEP / 2 - centre).max() < 1.5 * MAP_STEP


def test_lesion_map_stands_in_its_labels_channel_and_cell() -> None:
    lesion = np.zeros((64, 64), np.uint8)
    lesion[16:32, 32:48] = 1  # a cell of a 4 x 4 map
    target = lesion_map(lesion, (256, 256), WANTED, label=2, classes=3)
    assert target.shape == (4, 4, 3)
    assert target[1, 2, 2] == 1
    assert target.sum() == pytest.approx(1, abs=0.2)
    assert not lesion_map(np.zeros((64, 64), np.uint8), (256, 256), WANTED, label=0, classes=3).any()
