"""Small changes of a training picture, other ones each epoch; nothing else is ever changed."""

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.training.data import MAP_STEP

Picture = NDArray[np.uint8]


class Augmentation(BaseModel):
    """How far a training picture may be changed; each value is drawn evenly from -x to x."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    turn: float = Field(0, ge=0, le=45, description="degrees")
    shift: float = Field(0, ge=0, le=0.3, description="share of the longer side")
    zoom: float = Field(0, ge=0, le=0.5)
    brightness: float = Field(0, ge=0, le=0.5, description="share of the whole range, added")
    contrast: float = Field(0, ge=0, le=1, description="logarithm of a gamma")
    noise: float = Field(0, ge=0, le=0.2, description="greatest deviation of added grain, share of the whole range")
    flip: float | None = Field(None, ge=0, le=1, description="probability; where not said 0.5 for drawings, else 0")
    """A drawing faces either way, and so may its mirror image. A film does not: by convention the face looks to one
    side, side markers are readable, and a film that comes mirrored is a fault that a network should find strange."""

    def for_source(self, drawn: bool) -> "Augmentation":
        """Return the same with the probability of a flip said."""
        return self if self.flip is not None else self.model_copy(update={"flip": 0.5 if drawn else 0.0})


def altered(
    picture: Picture, lesion: Picture | None, how: Augmentation, rng: np.random.Generator
) -> tuple[Picture, Picture | None]:
    """Change a picture, uint8 (h, w), at random, and its lesion, at a quarter of the size, in the same way."""
    height, width = picture.shape
    angle, zoom = rng.uniform(-how.turn, how.turn), 1 + rng.uniform(-how.zoom, how.zoom)
    move = cv2.getRotationMatrix2D((width / 2, height / 2), angle, zoom)
    move[:, 2] += rng.uniform(-how.shift, how.shift, 2) * max(height, width)
    if rng.random() < (how.flip or 0):
        move[0] = -move[0] + (0, 0, width - 1)
    gamma, added = np.exp(rng.uniform(-how.contrast, how.contrast)), 255 * rng.uniform(-how.brightness, how.brightness)
    curve = np.rint(np.clip(255 * (np.arange(256) / 255) ** gamma + added, 0, 255)).astype(np.uint8)
    picture = cv2.warpAffine(cv2.LUT(picture, curve), move, (width, height), borderMode=cv2.BORDER_REPLICATE)
    if how.noise:
        grain = rng.normal(0, 255 * rng.uniform(0, how.noise), picture.shape)
        picture = np.rint(np.clip(picture + grain, 0, 255)).astype(np.uint8)
    if lesion is not None:
        move[:, 2] /= MAP_STEP
        lesion = cv2.warpAffine(lesion, move, lesion.shape[::-1], flags=cv2.INTER_NEAREST)
    return picture, lesion
