"""Pictures that a network trained on cervical spines has nothing to say about, by kind; all made here or shipped."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images

from cspine import phantoms

Picture = NDArray[np.uint8]
SHAPE = (512, 400)
FIRST_SEED = 7_000_000  # phantoms that nobody trains on


def white_noise(count: int, rng: np.random.Generator) -> list[Picture]:
    """Make pictures whose pixels have nothing to do with each other."""
    return [rng.integers(0, 256, SHAPE, np.uint8) for _ in range(count)]


def smooth_noise(count: int, rng: np.random.Generator) -> list[Picture]:
    """Make clouds of different fineness over the whole range of greys."""
    return [
        cv2.normalize(cv2.GaussianBlur(rng.normal(0, 1, SHAPE), (0, 0), rng.uniform(2, 40)), None, 0, 255,
                      cv2.NORM_MINMAX).astype(np.uint8)
        for _ in range(count)
    ]  # fmt: skip


def photographs(count: int, rng: np.random.Generator) -> list[Picture]:
    """Cut pieces of a fifth and more out of the two photographs that scikit-learn ships: a temple and a flower."""
    found = []
    whole = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in load_sample_images().images]
    for i in range(count):
        image = whole[i % len(whole)]
        height, width = (int(side * rng.uniform(0.45, 1)) for side in image.shape)
        top, left = rng.integers(0, image.shape[0] - height + 1), rng.integers(0, image.shape[1] - width + 1)
        found.append(np.ascontiguousarray(image[top : top + height, left : left + width]))
    return found


def turned_phantoms(count: int, rng: np.random.Generator) -> list[Picture]:
    """Draw phantoms and turn them by 90 degrees."""
    return [np.ascontiguousarray(np.rot90(picture)) for picture in _phantoms(count)]


def inverted_phantoms(count: int, rng: np.random.Generator) -> list[Picture]:
    """Draw phantoms and make black of white."""
    return [255 - picture for picture in _phantoms(count)]


def blanks(count: int, rng: np.random.Generator) -> list[Picture]:
    """Make pictures of one grey each."""
    return [np.full(SHAPE, grey, np.uint8) for grey in np.linspace(0, 255, count)]


KINDS: dict[str, Callable[[int, np.random.Generator], list[Picture]]] = {
    "white noise": white_noise,
    "smooth noise": smooth_noise,
    "photographs": photographs,
    "turned phantoms": turned_phantoms,
    "inverted phantoms": inverted_phantoms,
    "blank": blanks,
}


def _phantoms(count: int) -> list[Picture]:
    return [phantoms.draw(FIRST_SEED + i).pixels for i in range(count)]
