"""How alike two maps are: structural similarity of what is shown, rank correlation of the values."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from scipy.stats import spearmanr

Floats = NDArray[np.float32]
SIDE = 64
WINDOW = 7
K1, K2 = 0.01, 0.03  # Wang et al. 2004


def shown(grid: Floats) -> Floats:
    """Return a map as a person sees it: its positive part over its greatest value, 0..1, (SIDE, SIDE)."""
    positive = np.maximum(grid, 0.0).astype(np.float32)
    shrinks = grid.shape[0] > SIDE
    sized = cv2.resize(positive, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    greatest = float(sized.max())
    return sized / greatest if greatest > 0 else sized


def ssim(one: Floats, other: Floats) -> float:
    """Return the mean structural similarity of two pictures (h, w) of range 0..1, over whole windows of 7 x 7."""
    x, y = one.astype(np.float64), other.astype(np.float64)
    unbiased = WINDOW**2 / (WINDOW**2 - 1)
    mx, my = uniform_filter(x, WINDOW), uniform_filter(y, WINDOW)
    vx, vy = (unbiased * (uniform_filter(a * a, WINDOW) - m * m) for a, m in ((x, mx), (y, my)))
    cov = unbiased * (uniform_filter(x * y, WINDOW) - mx * my)
    c1, c2 = K1**2, K2**2
    local = (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    edge = WINDOW // 2
    return float(local[edge:-edge, edge:-edge].mean())


def spearman(one: Floats, other: Floats) -> float:
    """Return the rank correlation of two maps' values; 0 where one of them is constant."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(spearmanr(one.ravel(), other.ravel()).statistic)
