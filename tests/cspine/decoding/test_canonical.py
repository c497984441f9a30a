"""The canonical picture, the preview and the thumbnail."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from cspine.decoding import Frame, canonical, previews
from tests.cspine.decoding.objects import ramp


def frame(rows: int, columns: int, display: tuple[int, int] | None = None) -> Frame:
    """Make a frame of a smooth picture."""
    return Frame(0, ramp(rows, columns, 8, np.uint8), *(display or (rows, columns)))


@pytest.mark.parametrize(
    ("shape", "display", "wanted"),
    [
        ((2500, 2048), None, (512, 419)),
        ((300, 200), None, (300, 200)),  # never enlarged
        ((64, 48), (128, 48), (128, 48)),  # squares
        ((1000, 1000), (2000, 1000), (512, 256)),
        ((400, 400), (400, 4000), (51, 512)),
        ((3000, 8), None, (512, 1)),
    ],
)
def test_the_canonical_shape(shape: tuple[int, int], display: tuple[int, int] | None, wanted: tuple[int, int]) -> None:
    made = canonical(frame(*shape, display))
    assert (made.shape, made.dtype) == (wanted, np.uint8)


def test_the_canonical_picture_is_the_mean_over_areas() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1024, 768), np.uint8)
    means = pixels.reshape(512, 2, 384, 2).mean(axis=(1, 3))
    assert np.abs(canonical(Frame(0, pixels, 1024, 768)) - means).max() <= 0.5


def test_a_picture_that_fits_is_left_as_it_is() -> None:
    small = frame(200, 300)
    assert np.array_equal(canonical(small), small.pixels)


@pytest.mark.parametrize(("which", "longest"), [(0, 1024), (1, 160)])
def test_jpegs_for_page_and_list(which: int, longest: int) -> None:
    for given in (frame(2500, 2048), frame(2048, 2500), frame(100, 80)):
        image = Image.open(io.BytesIO(previews(given)[which]))
        assert (image.format, image.mode) == ("JPEG", "L")
        assert max(image.size) == min(longest, max(given.pixels.shape))
        scale = max(image.size) / max(given.pixels.shape)
        wanted = cv2.resize(given.pixels, image.size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
        assert np.abs(np.asarray(image).astype(int) - wanted).max() <= 8


def test_the_hash_is_that_of_the_pixels() -> None:
    one, other = frame(20, 30), frame(20, 30, (40, 30))
    assert one.sha256 == other.sha256 != Frame(0, one.pixels[::-1], 20, 30).sha256
