"""The kinds of strange pictures are what they are called, and follow from the seed."""

import numpy as np
import pytest

from cspine import phantoms
from models.training.strangers import FIRST_SEED, KINDS


def made(kind: str, count: int = 4) -> list[np.ndarray]:
    """Make some of a kind."""
    return KINDS[kind](count, np.random.default_rng(3))


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_are_canonical_and_follow_from_the_seed(kind: str) -> None:
    pictures = made(kind)
    assert len(pictures) == 4
    for picture, again in zip(pictures, made(kind), strict=True):
        assert picture.dtype == np.uint8 and picture.ndim == 2 and picture.flags.c_contiguous
        np.testing.assert_array_equal(picture, again)
    assert all(picture.std() > 10 for picture in pictures) == (kind != "blank")
    assert len({picture.tobytes() for picture in pictures}) == 4


def test_each_is_what_it_is_called() -> None:
    own = phantoms.draw(FIRST_SEED).pixels
    np.testing.assert_array_equal(np.rot90(made("turned phantoms")[0], -1), own)
    np.testing.assert_array_equal(255 - made("inverted phantoms")[0], own)
    for rough, smooth in zip(made("white noise"), made("smooth noise"), strict=True):
        step, gentle = (np.abs(np.diff(picture.astype(float), axis=1)).mean() for picture in (rough, smooth))
        assert step > 70 and gentle < 20
