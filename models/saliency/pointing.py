"""Does a map point at the lesion? Hit rate, overlap, and the simple maps that a method must beat."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from cspine.card import Input
from cspine.preprocessing import geometry

Floats = NDArray[np.float32]
Masks = NDArray[np.bool_]
GAUSSIAN = 0.15  # deviation of the central map, as a share of the input's side


def in_square(mask: Masks, wanted: Input) -> Masks:
    """Bring a mask (h, w) of a canonical picture into the network's square (size, size)."""
    place = geometry(mask.shape[0], mask.shape[1], wanted)
    square = np.zeros((wanted.size, wanted.size), bool)
    sized = cv2.resize(mask.astype(np.uint8), (place.width, place.height), interpolation=cv2.INTER_NEAREST)
    square[place.top : place.top + place.height, place.left : place.left + place.width] = sized > 0
    return square


def hit(grid: Floats, mask: Masks) -> bool:
    """Say whether the middle of a map's greatest cell lies in the mask, both over the same square."""
    row, column = np.unravel_index(grid.argmax(), grid.shape)
    y = int((row + 0.5) * mask.shape[0] / grid.shape[0])
    x = int((column + 0.5) * mask.shape[1] / grid.shape[1])
    return bool(mask[y, x])


def iou(grid: Floats, mask: Masks) -> float:
    """Return the overlap, intersection over union, of the mask with the map's upper part by Otsu's threshold."""
    sized = cv2.resize(np.maximum(grid, 0).astype(np.float32), mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
    greatest = float(sized.max())
    if greatest <= 0:
        return 0.0
    grey = np.rint(255 * sized / greatest).astype(np.uint8)
    _, upper = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    union = np.count_nonzero((upper > 0) | mask)
    return np.count_nonzero((upper > 0) & mask) / union


def baselines(mean_position: Floats, seed: int = 0) -> dict[str, Callable[[Floats], Floats]]:
    """Return the simple maps by name, each a function of a picture (size, size, channels)."""
    rng = np.random.default_rng(seed)
    return {
        "random": lambda picture: rng.random(picture.shape[:2], np.float32) * inside(picture),
        "edge": edge,
        "centre_gaussian": centre_gaussian,
        "mean_position": lambda picture: mean_position,
    }


def inside(picture: Floats) -> Masks:
    """Return the rectangle of the square that the picture fills; what was letterboxed is exactly 0."""
    filled = (picture != 0).any(-1)
    return np.logical_and.outer(filled.any(1), filled.any(0))


def edge(picture: Floats) -> Floats:
    """Return the magnitude of the Sobel gradient inside the picture: what an edge detector would show."""
    mean = picture.mean(-1)
    magnitude = np.hypot(cv2.Sobel(mean, cv2.CV_32F, 1, 0), cv2.Sobel(mean, cv2.CV_32F, 0, 1))
    return magnitude * cv2.erode(inside(picture).astype(np.uint8), np.ones((5, 5), np.uint8))


def centre_gaussian(picture: Floats) -> Floats:
    """Return a bell in the middle of the square."""
    rows, columns = (np.linspace(-0.5, 0.5, side, dtype=np.float32) for side in picture.shape[:2])
    return np.exp(-np.add.outer(rows**2, columns**2) / (2 * GAUSSIAN**2)).astype(np.float32)


def mean_position(masks: Masks) -> Floats:
    """Return how often each pixel lies in a lesion, of masks (n, size, size) of other pictures."""
    return masks.mean(0, dtype=np.float32)
