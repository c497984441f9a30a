"""Batches: only training pictures are altered, each epoch differently, and the map's target lies where it shall."""

import numpy as np
import pytest

from cspine.card import Input
from cspine.preprocessing import to_input
from models.training.augmentation import Augmentation
from models.training.batches import Batch, Batches, lesion_map
from models.training.data import Samples

WANTED = Input(size=64, channels=1)
ALTERED = Augmentation(turn=5, shift=0.05, contrast=0.25, noise=0.02)


def pictures(batches: list[Batch]) -> np.ndarray:
    """Join the pictures of an epoch."""
    return np.concatenate([pictures for pictures, _ in batches])


def test_held_out_pictures_are_as_served(samples: Samples) -> None:
    batches = Batches(samples, WANTED, 3, batch=5, seed=1, augmentation=None)
    for epoch in (0, 1):
        found = list(batches.epoch(epoch))
        assert [len(pictures) for pictures, _ in found] == [5, 5, 2]
        expected = np.stack([to_input(picture, WANTED) for picture in samples.pictures])
        np.testing.assert_array_equal(pictures(found), expected)
        assert np.concatenate([targets["logits"].argmax(1) for _, targets in found]).tolist() == samples.labels


def test_training_pictures_differ_each_epoch_and_follow_from_the_seed(samples: Samples) -> None:
    def epoch(seed: int, number: int) -> np.ndarray:
        return pictures(list(Batches(samples, WANTED, 3, 8, seed, ALTERED).epoch(number)))

    assert (epoch(1, 0) != epoch(1, 1)).any()
    assert (epoch(1, 0) != epoch(2, 0)).any()
    np.testing.assert_array_equal(epoch(1, 1), epoch(1, 1))


def test_each_picture_comes_once_an_epoch_with_its_label(samples: Samples) -> None:
    plain = [to_input(picture, WANTED) for picture in samples.pictures]
    seen = []
    for found, targets in Batches(samples, WANTED, 3, 5, 1, Augmentation()).epoch(3):
        for picture, label in zip(found, targets["logits"].argmax(1), strict=True):
            seen.append(next(i for i, expected in enumerate(plain) if (expected == picture).all()))
            assert samples.labels[seen[-1]] == label
    assert sorted(seen) == list(range(12)) != seen


def test_lesion_map_stands_in_its_labels_channel_and_cell() -> None:
    lesion = np.zeros((64, 64), np.uint8)
    lesion[16:32, 32:48] = 1  # a cell of a 4 x 4 map
    target = lesion_map(lesion, (256, 256), WANTED, label=2, classes=3, cells=(4, 4))
    assert target.shape == (4, 4, 3)
    assert target[1, 2, 2] == 1
    assert target.sum() == pytest.approx(1, abs=0.2)
    assert not lesion_map(np.zeros((64, 64), np.uint8), (256, 256), WANTED, 0, 3, (13, 13)).any()


def test_targets_of_the_map_go_with_their_pictures(samples: Samples) -> None:
    (_, targets), *_ = Batches(samples, WANTED, 3, 12, 1, None, cells=(5, 5)).epoch(0)
    sick = np.array(samples.labels) > 0
    assert targets["lesion_map"].shape == (12, 5, 5, 3)
    assert (targets["lesion_map"].max((1, 2, 3)) > 0).tolist() == sick.tolist()
