"""Polygons of a drawing: smooth, place, cut, and paint them as bone.

A polygon is float64 (n, 2), x to the right and y down, in pixels once placed.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

Polygon = NDArray[np.float64]
Canvas = NDArray[np.float32]
Mask = NDArray[np.bool_]


def smooth(points: ArrayLike, rounds: int = 2) -> Polygon:
    """Round the corners of a closed polygon by Chaikin's corner cutting."""
    polygon = np.asarray(points, float)
    for _ in range(rounds):
        following = np.roll(polygon, -1, axis=0)
        polygon = np.stack([0.75 * polygon + 0.25 * following, 0.25 * polygon + 0.75 * following], 1).reshape(-1, 2)
    return polygon


def curve(points: ArrayLike, steps: int = 8) -> Polygon:
    """Run a Catmull-Rom spline through the points of an open line."""
    knots = np.asarray(points, float)
    padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False)
    ]
    return np.concatenate([*pieces, knots[-1:]])


def strip(line: ArrayLike, thickness: ArrayLike) -> Polygon:
    """Return the closed outline of an open line that is drawn with a thickness at each of its points."""
    points = np.asarray(line, float)
    tangent = np.gradient(points, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], 1) / np.maximum(np.hypot(*tangent.T), 1e-9)[:, None]
    half = normal * np.broadcast_to(np.asarray(thickness, float) / 2, len(points))[:, None]
    return np.concatenate([points + half, (points - half)[::-1]])


def ellipse(x: float, y: float, across: float, down: float, turn: float = 0.0, corners: int = 48) -> Polygon:
    """Return an ellipse about (x, y) with two half-axes, turned clockwise by `turn` degrees."""
    t = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    outline: Polygon = rotate(np.stack([across * np.cos(t), down * np.sin(t)], 1), turn) + np.array([x, y])
    return outline


def rotate(points: ArrayLike, degrees: float, about: ArrayLike = (0.0, 0.0)) -> Polygon:
    """Turn points clockwise as seen on the screen."""
    centre, angle = np.asarray(about, float), np.deg2rad(degrees)
    x, y = (np.asarray(points, float) - centre).T
    turned: Polygon = (
        np.stack([x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)], 1) + centre
    )
    return turned


def cut(polygon: Polygon, point: ArrayLike, normal: ArrayLike) -> Polygon:
    """Return the part of a polygon on the side of the line to which `normal` points; empty if there is none."""
    distance = (polygon - np.asarray(point, float)) @ np.asarray(normal, float)
    kept: list[NDArray[np.float64]] = []
    for i, here in enumerate(distance):
        before = distance[i - 1]
        if (here >= 0) != (before >= 0):
            kept.append(polygon[i - 1] + (polygon[i] - polygon[i - 1]) * before / (before - here))
        if here >= 0:
            kept.append(polygon[i])
    return np.array(kept).reshape(-1, 2)


def paint(canvas: Canvas, polygon: Polygon, fill: float, rim: float, depth: float = 6.0) -> None:
    """Add a bone to a canvas: thicker towards its middle, with the bright rim of cortical bone.

    Overlapping bones add up, as attenuation does. `depth` is how far in, in pixels, the fill has grown to 63 %.
    """
    height, width = canvas.shape
    left, top = np.maximum(np.floor(polygon.min(0)).astype(int) - 2, -400)
    right, bottom = np.minimum(np.ceil(polygon.max(0)).astype(int) + 3, (width + 400, height + 400))
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if x1 <= x0 or y1 <= y0:
        return
    inside = filled(polygon - (left, top), (bottom - top, right - left))
    distance = ndimage.distance_transform_edt(inside).astype(np.float32)
    bone = fill * (1 - np.exp(-distance / depth)) + rim * np.exp(-(((distance - 1.2) / 1.6) ** 2)) * inside
    canvas[y0:y1, x0:x1] += bone[y0 - top : y1 - top, x0 - left : x1 - left]


def filled(polygon: Polygon, shape: Sequence[int]) -> Mask:
    """Return bool (rows, columns), true inside the polygon."""
    picture = Image.new("L", (int(shape[1]), int(shape[0])))
    ImageDraw.Draw(picture).polygon([(float(x), float(y)) for x, y in polygon], fill=1)
    return np.asarray(picture, bool)
