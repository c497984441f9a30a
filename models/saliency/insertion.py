"""Insertion and deletion (Petsiuk et al. 2018, https://arxiv.org/abs/1806.07421): does the answer follow the map?"""

from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from models.saliency.chunks import mapped

Floats = NDArray[np.float32]
STEPS = 28
BLUR, SIGMA = 73, 12.0  # of what insertion begins with; the paper's 11 and 5 leave a lesion visible at 224


def curve(
    probability: Callable[[Floats], Floats],
    picture: Floats,
    grid: Floats,
    mode: Literal["insertion", "deletion"],
    steps: int = STEPS,
) -> Floats:
    """Return a label's probability, (steps + 1,), while the map's pixels come or go, the greatest first.

    Parameters
    ----------
    probability
        From pictures (n, size, size, channels) to the probability of the label, (n,).
    picture
        (size, size, channels). Deletion sets pixels to 0; insertion sets those of a blurred copy to their own.
    grid
        The map (g, g) over the picture.
    """
    size = picture.shape[:2]
    order = np.argsort(-cv2.resize(grid.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR), None, "stable")
    rank = np.empty(order.size, int)
    rank[order] = np.arange(order.size)
    blurred = cv2.GaussianBlur(picture, (BLUR, BLUR), SIGMA).reshape(picture.shape)
    before, after = (picture, np.zeros_like(picture)) if mode == "deletion" else (blurred, picture)
    counts = np.linspace(0, order.size, steps + 1).round().astype(int)
    changed = np.stack([np.where((rank < count).reshape(*size, 1), after, before) for count in counts])
    return np.asarray(mapped(probability, changed), np.float32)


def area(values: Floats) -> float:
    """Return the area under a curve over 0..1: for deletion less is better, for insertion more."""
    return float((values.sum() - values[0] / 2 - values[-1] / 2) / (len(values) - 1))
