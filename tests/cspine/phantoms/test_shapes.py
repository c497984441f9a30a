"""Polygons: cut, strip, paint."""

import numpy as np
import pytest

from cspine.phantoms.shapes import curve, cut, ellipse, filled, paint, rotate, smooth, strip

SQUARE = np.array([(0.0, 0.0), (10, 0), (10, 10), (0, 10)])


def area(polygon: np.ndarray) -> float:
    """Return the area of a polygon by the shoelace formula."""
    x, y = polygon.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def test_cut_keeps_the_side_of_its_normal() -> None:
    right = cut(SQUARE, (4, 0), (1, 0))
    assert area(right) == pytest.approx(60)
    assert right[:, 0].min() == pytest.approx(4)


def test_the_two_sides_of_a_cut_make_the_whole() -> None:
    normal = np.array([0.6, 0.8])
    assert area(cut(SQUARE, (3, 5), normal)) + area(cut(SQUARE, (3, 5), -normal)) == pytest.approx(100)


def test_cut_beside_the_polygon_leaves_all_or_nothing() -> None:
    assert area(cut(SQUARE, (-1, 0), (1, 0))) == pytest.approx(100)
    assert len(cut(SQUARE, (11, 0), (1, 0))) == 0


def test_strip_has_the_asked_thickness() -> None:
    outline = strip([(0, 0), (5, 0), (10, 0)], 2.0)
    assert area(outline) == pytest.approx(20)


def test_curve_goes_through_its_points() -> None:
    points = np.array([(0.0, 0.0), (5, 3), (9, 1)])
    line = curve(points, steps=4)
    for point in points:
        assert np.hypot(*(line - point).T).min() == pytest.approx(0, abs=1e-9)


def test_rotate_turns_clockwise_on_the_screen() -> None:
    assert rotate([(1.0, 0.0)], 90)[0] == pytest.approx([0, 1])


def test_smooth_cuts_corners_only() -> None:
    assert 80 < area(smooth(SQUARE)) < 100


def test_painted_bone_has_a_bright_rim_and_adds_up() -> None:
    canvas = np.zeros((60, 60), np.float32)
    disc = ellipse(30, 30, 20, 20)
    paint(canvas, disc, fill=0.2, rim=0.4)
    once = canvas.copy()
    paint(canvas, disc, fill=0.2, rim=0.4)
    assert once[30, 11] > once[30, 30] > 0
    assert once[2, 2] == 0
    np.testing.assert_allclose(canvas, 2 * once, rtol=1e-5)


def test_bone_across_the_edge_is_cropped_not_rimmed() -> None:
    canvas = np.zeros((40, 40), np.float32)
    paint(canvas, ellipse(0, 20, 15, 15), fill=0.2, rim=0.4)
    assert canvas[20, 0] < 0.25  # the middle of the bone, not an edge of its own
    paint(canvas, ellipse(-100, 20, 15, 15), fill=0.2, rim=0.4)
    assert filled(SQUARE, (12, 12)).sum() > 99
