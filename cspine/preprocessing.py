"""From the canonical picture to the network's input; the same code trains, serves and evaluates."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cspine.card import Input

VERSION = "1"
"""The rule of decoding, canonical picture and scaling, stamped on each result; raised when any of them changes."""

CAFFE_MEAN = {"rgb": (123, 117, 104), "bgr": (104, 117, 123)}
"""ImageNet's mean of each channel on 0..255, as the networks of the Caffe model zoo take it off."""


@dataclass(frozen=True)
class Geometry:
    """Where a picture lies in the network's square, in pixels of the input; kept beside a saliency grid."""

    scale: float
    top: int
    left: int
    height: int
    width: int


def letterbox_geometry(height: int, width: int, size: int) -> Geometry:
    """Return how a picture of height x width fits, centred and in proportion, into a square of `size`."""
    scale = size / max(height, width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    return Geometry(scale, (size - rows) // 2, (size - columns) // 2, rows, columns)


def geometry(height: int, width: int, wanted: Input) -> Geometry:
    """Return where a picture of height x width lies in the input that a card describes."""
    if wanted.fit == "stretch":
        return Geometry(wanted.size / max(height, width), 0, 0, wanted.size, wanted.size)
    return letterbox_geometry(height, width, wanted.size)


def to_input(canonical: NDArray[np.uint8], wanted: Input) -> NDArray[np.float32]:
    """Bring a canonical picture, uint8 (h, w), into the form that a card's network takes.

    Returns float32 (size, size, channels). Only the picture itself is scaled; the border has the value 0 after
    scaling, which for standardised pictures is their mean. A constant picture gives zeros, never NaN.
    """
    place = geometry(canonical.shape[0], canonical.shape[1], wanted)
    picture: NDArray[np.float32] = cv2.resize(  # type: ignore[assignment]  # float32 in, float32 out
        canonical.astype(np.float32), (place.width, place.height),
        interpolation=_interpolation(canonical.shape[0] > place.height, wanted),
    )  # fmt: skip
    square = np.zeros((wanted.size, wanted.size, wanted.channels), np.float32)
    rows, columns = slice(place.top, place.top + place.height), slice(place.left, place.left + place.width)
    square[rows, columns] = _scaled(picture, wanted)
    return square


def _interpolation(shrinks: bool, wanted: Input) -> int:
    if wanted.resample == "nearest":
        return cv2.INTER_NEAREST_EXACT  # picks the pixels that Pillow does; INTER_NEAREST picks others
    return cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR


def _scaled(picture: NDArray[np.float32], wanted: Input) -> NDArray[np.float32]:
    """Scale a picture, float32 (h, w) on 0..255, to (h, w, 1), or to (h, w, 3) where the channels differ."""
    picture = picture[:, :, None]
    if wanted.scale == "unit":
        return picture / np.float32(255)
    if wanted.scale == "symmetric":
        return picture / np.float32(127.5) - np.float32(1)
    if wanted.scale == "caffe":
        return picture - np.array(CAFFE_MEAN[wanted.order], np.float32)
    mean = picture.mean(dtype=np.float64)
    deviation = max(float(picture.std(dtype=np.float64)), 1.0)  # one grey value: a blank picture stays blank
    standardised: NDArray[np.float32] = ((picture - mean) / deviation).astype(np.float32)
    return standardised
