"""A decoded picture: 8-bit grey pixels with what is needed to show them in their true shape."""

import hashlib
import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from cspine.decoding.attributes import Attributes
from cspine.decoding.header import Header
from cspine.reasons import Reason

Grey = NDArray[np.uint8]

MAX_ASPECT = 20.0
BLANK_SHARE = 0.998


@dataclass(frozen=True)
class Frame:
    """One frame or page. `pixels` is uint8 (rows, columns), 0..255, as decoded and before aspect correction."""

    index: int
    pixels: Grey
    display_rows: int
    display_columns: int
    flags: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """The hash of the pixels, by which two pictures of one UID are told apart."""
        return hashlib.sha256(np.ascontiguousarray(self.pixels).data).hexdigest()


@dataclass(frozen=True)
class Decoded:
    """A file with all of its frames; the flags of the header hold those of decoding too."""

    header: Header
    frames: list[Frame]

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of the file."""
        return self.header.flags


class Geometry(NamedTuple):
    """The size of a picture when its pixels are shown as squares."""

    rows: int
    columns: int

    @classmethod
    def of(cls, rows: int, columns: int, attributes: Attributes) -> "Geometry":
        """Stretch the side along which pixels are larger, by (0028,0030) *Pixel Spacing*, else *Pixel Aspect Ratio*.

        (0018,1164) *Imager Pixel Spacing* is at the detector, not calibrated, and says nothing here.
        """
        pair = attributes.numbers("PixelSpacing") or attributes.numbers("PixelAspectRatio")
        if len(pair) != 2 or min(pair) <= 0 or not 1 / MAX_ASPECT <= pair[0] / pair[1] <= MAX_ASPECT:
            return cls(rows, columns)
        ratio = pair[0] / pair[1]  # height of a pixel by its width
        if ratio >= 1:
            return cls(math.floor(rows * ratio + 0.5), columns)
        return cls(rows, math.floor(columns / ratio + 0.5))


def blank(pixels: Grey) -> tuple[str, ...]:
    """Flag a picture in which (nearly) all pixels have one value: constant, all black, saturated."""
    counts = cv2.calcHist([pixels], [0], None, [256], [0, 256])
    return (Reason.BLANK_IMAGE.value,) if counts.max() >= BLANK_SHARE * pixels.size else ()
