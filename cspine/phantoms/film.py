"""The film of a phantom: exposure, sharpness, grain, markers and collimation, drawn without regard to the class."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cspine.phantoms.shapes import Canvas, filled, rotate

WORDS = ("L", "R", "LAT", "XT", "UP")
GLYPHS = {  # 5 x 7 dots, one row a number
    "A": (14, 17, 17, 31, 17, 17, 17),
    "L": (16, 16, 16, 16, 16, 16, 31),
    "P": (30, 17, 17, 30, 16, 16, 16),
    "R": (30, 17, 17, 30, 20, 18, 17),
    "T": (31, 4, 4, 4, 4, 4, 4),
    "U": (17, 17, 17, 17, 17, 17, 14),
    "X": (17, 17, 10, 4, 10, 17, 17),
}


@dataclass(frozen=True)
class Film:
    """How the film was exposed, processed and marked."""

    exposure: float
    gamma: float
    sharpening: float
    blur: float
    grain: float
    flipped: bool
    words: tuple[tuple[str, int, float, float, float], ...]  # word, dot size, x, y (0..1), brightness
    frame: tuple[float, float, float, float, float] | None  # left, top, right, bottom (0..1), degrees
    seed: int  # of grain and texture


def film(rng: np.random.Generator) -> Film:
    """Draw a film's properties at random."""
    words = tuple(
        (str(rng.choice(WORDS)), int(rng.integers(1, 4)), *_beside(rng), rng.uniform(0.6, 1))
        for _ in range(rng.integers(0, 3))
    )
    frame = (*rng.uniform(0.01, 0.09, 2), *rng.uniform(0.91, 0.99, 2), rng.uniform(-2, 2))
    return Film(
        exposure=rng.uniform(1.1, 1.8),
        gamma=rng.uniform(0.8, 1.3),
        sharpening=rng.uniform(0.2, 0.7) * (rng.random() < 0.6),
        blur=rng.uniform(0.7, 1.3),
        grain=rng.uniform(0.008, 0.026),
        flipped=bool(rng.random() < 0.5),
        words=words,
        frame=tuple(map(float, frame)) if rng.random() < 0.6 else None,  # type: ignore[arg-type]
        seed=int(rng.integers(2**31)),
    )


def _beside(rng: np.random.Generator) -> tuple[float, float]:
    """Return a place for a marker beside the spine, which a radiographer does not cover."""
    return float(rng.choice([rng.uniform(0.03, 0.18), rng.uniform(0.72, 0.86)])), rng.uniform(0.05, 0.9)


def texture(rng: np.random.Generator, shape: tuple[int, int], strength: float) -> Canvas:
    """Return a slowly varying factor about 1, float32."""
    coarse = ndimage.gaussian_filter(rng.standard_normal((shape[0] // 8, shape[1] // 8)), 1.5)
    coarse *= strength / max(float(coarse.std()), 1e-9)
    factor: Canvas = (1 + ndimage.zoom(coarse, 8, order=1)[: shape[0], : shape[1]]).astype(np.float32)
    return factor


def develop(attenuation: Canvas, f: Film) -> NDArray[np.uint8]:
    """Turn attenuation (float32, 0 is air) into the film's grey values, uint8, bright where attenuation is high."""
    rng = np.random.default_rng(f.seed)
    grey = 1 - np.exp(-f.exposure * attenuation)
    grey = ndimage.gaussian_filter(grey, f.blur)
    if f.sharpening:
        grey = grey + f.sharpening * (grey - ndimage.uniform_filter(grey, 41))
    grey = np.clip(grey, 0, 1) ** np.float32(f.gamma)
    grain = rng.standard_normal(grey.shape, dtype=np.float32)
    grey = grey + f.grain * ndimage.gaussian_filter(grain, 0.6) * 1.9 * (0.5 + np.sqrt(grey))
    if f.flipped:
        grey = grey[:, ::-1].copy()
    if f.frame is not None:
        grey *= _collimation(f.frame, grey.shape)
    for word, dot, x, y, brightness in f.words:
        _stamp(grey, word, dot, x, y, brightness)
    developed: NDArray[np.uint8] = np.clip(grey * 247 + 4, 0, 255).astype(np.uint8)
    return developed


def _collimation(frame: tuple[float, float, float, float, float], shape: tuple[int, ...]) -> Canvas:
    left, top, right, bottom, turn = frame
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)]) * (shape[1], shape[0])
    opened = filled(rotate(corners, turn, (shape[1] / 2, shape[0] / 2)), shape)
    shade: Canvas = (0.04 + 0.96 * ndimage.gaussian_filter(opened.astype(np.float32), 1.5)).astype(np.float32)
    return shade


def _stamp(grey: Canvas, word: str, dot: int, x: float, y: float, brightness: float) -> None:
    rows = [
        [bool(GLYPHS[letter][row] >> (4 - column) & 1) for letter in word for column in range(-1, 5)]
        for row in range(7)
    ]
    dots = np.kron(np.array(rows, np.float32), np.ones((dot, dot), np.float32))
    top, left = int(y * grey.shape[0]), int(x * grey.shape[1])
    area = grey[top : top + dots.shape[0], left : left + dots.shape[1]]
    stamp = dots[: area.shape[0], : area.shape[1]] * brightness
    np.maximum(area, stamp, out=area)
