"""Insertion and deletion on an answer that looks at one pixel only."""

import numpy as np
import pytest

from models.saliency.insertion import area, curve


def looks_at_one_pixel(pictures: np.ndarray) -> np.ndarray:
    return np.asarray(pictures)[:, 3, 5, 0]


def test_the_area_is_the_trapezoids() -> None:
    assert area(np.array([1.0, 0.5, 0.0], np.float32)) == pytest.approx(0.5)
    assert area(np.array([0.2, 0.4, 0.6, 0.9], np.float32)) == pytest.approx(np.trapezoid([0.2, 0.4, 0.6, 0.9]) / 3)


def test_a_map_that_points_at_it_makes_the_answer_go_first_and_come_first() -> None:
    picture = np.full((8, 8, 1), 0.5, np.float32)
    picture[3, 5] = 1.0
    right, wrong = np.zeros((2, 8, 8), np.float32)
    right[3, 5], wrong[3, 5] = 1, -1
    gone = curve(looks_at_one_pixel, picture, right, "deletion", steps=4)
    np.testing.assert_allclose(gone, [1, 0, 0, 0, 0])
    np.testing.assert_allclose(curve(looks_at_one_pixel, picture, wrong, "deletion", steps=4), [1, 1, 1, 1, 0])
    come = curve(looks_at_one_pixel, picture, right, "insertion", steps=4)
    assert come[0] < 0.6
    np.testing.assert_allclose(come[1:], 1)
    late = curve(looks_at_one_pixel, picture, wrong, "insertion", steps=4)
    assert area(come) > area(late)
