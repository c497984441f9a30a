"""Likeness of maps, against its definition written out window by window."""

import numpy as np
import pytest

from models.saliency.similarity import SIDE, WINDOW, shown, spearman, ssim

X, Y = np.random.default_rng(0).random((2, 20, 16)).astype(np.float32)


def test_ssim_is_its_definition_over_whole_windows() -> None:
    found = []
    for top in range(20 - WINDOW + 1):
        for left in range(16 - WINDOW + 1):
            x, y = (a[top : top + WINDOW, left : left + WINDOW].astype(float).ravel() for a in (X, Y))
            (vx, cov), (_, vy) = np.cov(x, y)
            mx, my = x.mean(), y.mean()
            found.append(
                (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
            )  # fmt: skip
    assert ssim(X, Y) == pytest.approx(np.mean(found), abs=1e-6)
    assert ssim(X, X) == pytest.approx(1, abs=1e-6)


def test_rank_correlation_has_a_sign_and_bears_a_constant_map() -> None:
    assert spearman(X, np.exp(X)) == pytest.approx(1)
    assert spearman(X, -X) == pytest.approx(-1)
    assert spearman(X, np.zeros_like(X)) == 0.0


def test_what_is_shown_is_the_positive_part_over_its_greatest_value() -> None:
    grid = np.zeros((14, 14), np.float32)
    grid[3, 9], grid[0, 0] = 5.0, -7.0
    picture = shown(grid)
    assert picture.shape == (SIDE, SIDE)
    assert (picture.min(), picture.max()) == (0.0, 1.0)
    row, column = np.unravel_index(picture.argmax(), picture.shape)
    assert (row * 14 // SIDE, column * 14 // SIDE) == (3, 9)
    assert shown(-np.ones((7, 7), np.float32)).max() == 0
