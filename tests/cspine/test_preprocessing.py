"""From canonical picture to network input."""

import numpy as np
import pytest
from PIL import Image

from cspine.card import Input
from cspine.preprocessing import Geometry, geometry, letterbox_geometry, to_input

RNG = np.random.default_rng(5)
FILM = RNG.integers(0, 256, (512, 400), np.uint8)


def test_letterbox_centres_and_keeps_the_proportions() -> None:
    assert letterbox_geometry(512, 400, 224) == Geometry(0.4375, 0, 24, 224, 175)
    assert letterbox_geometry(100, 200, 224) == Geometry(1.12, 56, 0, 112, 224)
    assert letterbox_geometry(1, 512, 224).height == 1


def test_stretch_fills_the_square() -> None:
    assert geometry(512, 400, Input(size=64, channels=1, fit="stretch")) == Geometry(0.125, 0, 0, 64, 64)


def test_only_the_picture_is_standardised_and_the_border_is_zero() -> None:
    made = to_input(FILM, Input(size=224, channels=1))
    assert made.shape == (224, 224, 1)
    assert made.dtype == np.float32
    inside = made[:, 24:199]
    assert inside.mean() == pytest.approx(0, abs=1e-4)
    assert inside.std() == pytest.approx(1, abs=1e-4)
    assert not made[:, :24].any() and not made[:, 199:].any()


def test_grey_is_copied_to_every_channel() -> None:
    made = to_input(FILM, Input(size=64, channels=3))
    assert made.shape == (64, 64, 3)
    np.testing.assert_array_equal(made[..., 0], made[..., 2])


@pytest.mark.parametrize(("scale", "low", "high"), [("unit", 0.0, 1.0), ("symmetric", -1.0, 1.0)])
def test_fixed_scales(scale: str, low: float, high: float) -> None:
    steps = np.repeat(np.array([[0, 255]], np.uint8), 64, axis=0).repeat(32, axis=1)
    made = to_input(steps, Input(size=64, channels=1, scale=scale))  # type: ignore[arg-type]
    assert (made.min(), made.max()) == (low, high)


@pytest.mark.parametrize("shape", [(512, 400), (324, 323), (150, 200), (224, 224)])
def test_nearest_picks_the_pixels_that_pillow_does(shape: tuple[int, int]) -> None:
    film = RNG.integers(0, 256, shape, np.uint8)
    made = to_input(film, Input(size=224, channels=3, scale="unit", fit="stretch", resample="nearest"))
    theirs = np.asarray(Image.fromarray(film).convert("RGB").resize((224, 224), Image.Resampling.NEAREST))
    np.testing.assert_array_equal(made, theirs.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize(("order", "mean"), [("bgr", (104, 117, 123)), ("rgb", (123, 117, 104))])
def test_caffes_scale_takes_the_mean_of_each_channel_off(order: str, mean: tuple[int, int, int]) -> None:
    wanted = Input(size=224, channels=3, scale="caffe", order=order)  # type: ignore[arg-type]
    made = to_input(np.full((448, 400), 200, np.uint8), wanted)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made[:, 12:212], np.broadcast_to(np.subtract(200, mean), (224, 200, 3)), atol=1e-4)
    assert not made[:, :12].any() and not made[:, 212:].any()


@pytest.mark.parametrize("grey", [0, 77, 255])
@pytest.mark.parametrize("scale", ["standardise", "unit", "symmetric"])
def test_a_blank_picture_gives_finite_numbers(grey: int, scale: str) -> None:
    made = to_input(np.full((300, 200), grey, np.uint8), Input(size=64, channels=1, scale=scale))  # type: ignore[arg-type]
    assert np.isfinite(made).all()
    if scale == "standardise":
        assert np.abs(made).max() < 1e-3


def test_exposure_does_not_change_a_standardised_picture() -> None:
    dim = (FILM // 4 + 20).astype(np.uint8)
    bright = (dim * 2).astype(np.uint8)
    wanted = Input(size=64, channels=1)
    np.testing.assert_allclose(to_input(dim, wanted), to_input(bright, wanted), atol=1e-4)


def test_a_small_picture_is_enlarged_smoothly() -> None:
    made = to_input(FILM[:32, :32], Input(size=64, channels=1, scale="unit"))
    assert made.shape == (64, 64, 1)
    assert np.abs(np.diff(made[..., 0], axis=0)).max() < 1
