"""Alterations: small, the lesion with its picture, no flip for films unless it is asked for."""

import numpy as np
import pytest

from models.training.augmentation import Augmentation, altered
from models.training.data import MAP_STEP

EVERYTHING = Augmentation(turn=5, shift=0.045, zoom=0.06, brightness=0.1, contrast=0.25, noise=0.02, flip=0.5)
PICTURE = np.random.default_rng(0).integers(0, 256, (60, 44), np.uint8)


def test_the_lesion_moves_with_the_picture() -> None:
    """A bright square stands for the lesion: after any alteration the mask still lies on it."""
    picture = np.zeros((256, 200), np.uint8)
    picture[120:160, 60:100] = 255
    lesion = (picture[::MAP_STEP, ::MAP_STEP] > 0).astype(np.uint8)
    rng = np.random.default_rng(0)
    for _ in range(20):
        moved, mask = altered(picture, lesion, EVERYTHING, rng)
        assert mask is not None
        centre = np.argwhere(moved > 127).mean(0)
        assert np.abs(np.argwhere(mask > 0).mean(0) * MAP_STEP + MAP_STEP / 2 - centre).max() < 1.5 * MAP_STEP


def test_without_any_the_picture_stays_as_it_is() -> None:
    picture, _ = altered(PICTURE, None, Augmentation(), np.random.default_rng(0))
    np.testing.assert_array_equal(picture, PICTURE)


@pytest.mark.parametrize("one", [{"turn": 5}, {"shift": 0.05}, {"zoom": 0.1}, {"brightness": 0.1}, {"contrast": 0.2},
                                 {"noise": 0.1}, {"flip": 1}])  # fmt: skip
def test_each_does_something(one: dict[str, float]) -> None:
    picture, _ = altered(PICTURE, None, Augmentation(**one), np.random.default_rng(1))
    assert (picture != PICTURE).mean() > 0.2


def test_a_flip_mirrors() -> None:
    picture, _ = altered(PICTURE, None, Augmentation(flip=1), np.random.default_rng(0))
    np.testing.assert_array_equal(picture, PICTURE[:, ::-1])


def test_films_are_not_flipped_unless_it_is_said() -> None:
    assert Augmentation().for_source(drawn=False).flip == 0
    assert Augmentation().for_source(drawn=True).flip == 0.5
    assert Augmentation(flip=0.3).for_source(drawn=False).flip == 0.3
