"""Colour to grey: Rec. 601 luma of RGB, the Y of YBR, palettes looked up (PS3.3 C.7.6.3.1)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cspine.decoding.attributes import Attributes
from cspine.decoding.codecs import Cells
from cspine.decoding.frame import Grey
from cspine.decoding.layout import Layout
from cspine.decoding.luts import read_lut
from cspine.decoding.syntax import Syntax
from cspine.errors import Refused
from cspine.reasons import Reason

WEIGHTS = (299, 587, 114)  # thousandths of red, green and blue
BAND = 2**20  # pixels
_PALETTES = ("RedPaletteColorLookupTable", "GreenPaletteColorLookupTable", "BluePaletteColorLookupTable")


def render(cells: Cells, layout: Layout, attributes: Attributes, syntax: Syntax) -> tuple[Grey, set[str]]:
    """Turn the cells of one colour frame into its grey picture.

    Parameters
    ----------
    cells : unsigned (rows, columns, 3), or (rows, columns) of palette indices or of luma.

    Returns
    -------
    The picture, uint8 (rows, columns), 0..255, and no flags.
    """
    top = (1 << layout.bits_stored) - 1
    if layout.photometric == "PALETTE COLOR":
        return palette(cells & np.array(top, cells.dtype), attributes, layout), set()
    if cells.ndim == 2:
        grey = cells
    elif layout.photometric in {"YBR_FULL", "YBR_FULL_422"}:
        grey = cells[..., 0]
    else:
        return luma(cells, top), set()
    return to_8_bits(np.minimum(grey, top), top), set()


def luma(rgb: Cells, top: int = 255) -> Grey:
    """Return the Rec. 601 luma of unsigned RGB (rows, columns, 3) whose greatest value is `top`: uint8 (rows, columns).

    Worked out in whole numbers, so that floor(y + 0.5) is exact.
    """
    return _by_bands(rgb, lambda total: np.minimum((total * 510 + 1000 * top) // (2000 * top), 255), np.uint8)


def band_luma(rgb: Cells) -> Cells:
    """Return the Rec. 601 luma of RGB (rows, columns, 3) in its own range: uint16 (rows, columns)."""
    return _by_bands(rgb, lambda total: (total + 500) // 1000, np.uint16)


def _by_bands(rgb: Cells, scale: Callable[[NDArray[np.uint64]], NDArray[np.uint64]], dtype: type) -> Cells:
    """Weigh the channels in bands of rows, so that a picture of 100 megapixels fits a child's memory."""
    grey: Cells = np.empty(rgb.shape[:2], dtype)
    step = max(1, BAND // max(1, rgb.shape[1]))
    weights = np.array(WEIGHTS, np.uint64)
    for start in range(0, len(rgb), step):
        grey[start : start + step] = scale(rgb[start : start + step].astype(np.uint64) @ weights)
    return grey


def to_8_bits(grey: Cells, top: int) -> Grey:
    """Scale unsigned values 0..`top` to 0..255 of the same shape, rounded half up."""
    if top == 255 and grey.dtype == np.uint8:
        return grey
    table = np.floor(np.arange(top + 1) * 255 / top + 0.5).astype(np.uint8)
    return table[grey]


def palette(indices: Cells, attributes: Attributes, layout: Layout) -> Grey:
    """Look indices up in the palette (PS3.3 C.7.6.3.1.5) and return the luma: uint8 of the same shape."""
    channels: list[NDArray[np.float64]] = []
    steps = np.arange(1 << layout.bits_stored)
    for name in _PALETTES:
        lut = read_lut(attributes, False, f"{name}Descriptor", f"{name}Data")
        if lut is None:
            raise Refused("no usable palette", Reason.UNSUPPORTED_PIXEL_TYPE)
        channels.append(lut(steps) * 255 / ((1 << lut.bits) - 1))
    shades = sum(weight * channel for weight, channel in zip(WEIGHTS, channels, strict=True)) / 1000
    table = np.floor(np.clip(shades, 0, 255) + 0.5).astype(np.uint8)
    return table[indices]
