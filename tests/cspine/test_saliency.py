"""The share of a map that lies on the film's border."""

import numpy as np
import pytest

from cspine.preprocessing import Geometry, letterbox_geometry
from cspine.saliency import border_share

WHOLE = Geometry(1.0, 0, 0, 100, 100)


def test_the_outer_tenth_is_border_and_a_cell_counts_by_its_area() -> None:
    even = np.ones((10, 10), np.float32)
    assert border_share(even, WHOLE, 100) == pytest.approx(1 - 0.8**2)
    assert border_share(np.ones((7, 7), np.float32), WHOLE, 100) == pytest.approx(1 - 0.8**2)
    middle, corner = np.zeros((2, 10, 10), np.float32)
    middle[4, 4], corner[0, 9] = 2, 5
    assert border_share(middle, WHOLE, 100) == pytest.approx(0)
    assert border_share(corner, WHOLE, 100) == pytest.approx(1)


def test_what_speaks_against_the_label_does_not_count() -> None:
    grid = np.zeros((10, 10), np.float32)
    grid[0, :], grid[5, 5] = -9, 1
    assert border_share(grid, WHOLE, 100) == pytest.approx(0)
    assert border_share(-np.ones((10, 10), np.float32), WHOLE, 100) == 0.0


def test_a_few_large_cells_tell_nothing() -> None:
    corner = np.zeros((4, 4), np.float32)
    corner[0, 0] = 1
    assert border_share(corner, WHOLE, 100) == 0.0


def test_the_border_is_the_pictures_and_what_lies_beside_it_counts() -> None:
    place = letterbox_geometry(100, 50, 100)  # the picture stands in columns 25 to 75
    grid = np.zeros((20, 20), np.float32)
    grid[10, 2] = 1  # beside the picture
    assert border_share(grid, place, 100) == pytest.approx(1)
    grid[10, 5] = 1  # columns 25 to 30: its outer tenth
    grid[10, 6] = 2  # columns 30 to 35: inside
    assert border_share(grid, place, 100) == pytest.approx(0.5)
