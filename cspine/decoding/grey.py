"""From stored cells to 8-bit grey, as one lookup table (design, section 5; PS3.3 C.7.6.3, C.11.1, C.11.2).

Every step of the rule is a function of the one cell: bits, sign, Modality LUT or rescale, VOI, polarity, padding. So
the whole rule is worked out in float64 for each of the 256 or 65,536 values that a cell can have, and the picture goes
once through that table: the same result to the bit as float64 arithmetic on every pixel, at a fortieth of its cost.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cspine.decoding.attributes import Attributes
from cspine.decoding.codecs import Cells
from cspine.decoding.frame import Grey
from cspine.decoding.layout import Layout
from cspine.decoding.luts import read_lut
from cspine.decoding.syntax import Syntax
from cspine.reasons import Reason

Table = NDArray[np.float64]
Unsigned = NDArray[np.uint8 | np.uint16]
WHITE = 255.0


def render(cells: Cells, layout: Layout, attributes: Attributes, syntax: Syntax) -> tuple[Grey, set[str]]:
    """Turn the cells of one frame into its picture.

    Parameters
    ----------
    cells : uint8, uint16 or int16 (rows, columns), as stored or as the decoder gave them.

    Returns
    -------
    The picture, uint8 (rows, columns), 0..255, and the flags that came up (bad_rescale, bad_window).
    """
    unsigned: Unsigned = np.ascontiguousarray(cells).view(np.uint8 if cells.dtype.itemsize == 1 else np.uint16)
    stored = stored_values(layout, unsigned.dtype.itemsize, cells.dtype == np.int16, syntax.lossy)
    padding = padding_cells(stored, attributes, layout)
    with np.errstate(over="ignore", invalid="ignore"):  # absurd slopes and windows; what is no number becomes black
        values, flags = modality(stored, attributes, layout)
        shades, odd = voi(values, attributes, layout)
        if shades is None:
            counts = cv2.calcHist([unsigned], [0], None, [len(stored)], [0, len(stored)])
            shades = full_range(values, (counts.ravel() > 0) & ~padding)
    if layout.photometric == "MONOCHROME1":
        shades = WHITE - shades
    shades[padding] = 0
    table = np.floor(np.clip(np.nan_to_num(shades), 0, WHITE) + 0.5).astype(np.uint8)
    return np.asarray(cv2.LUT(unsigned, table), np.uint8), flags | odd


def stored_values(layout: Layout, width: int, signed_cells: bool, lossy: bool) -> NDArray[np.int64]:
    """Return the stored value of every cell of `width` bytes: int64 (256 or 65536,).

    The sample's bits end at HighBit; what lies above or below is an overlay or nothing (PS3.5 8.1.1). A lossy decoder
    may overshoot the range, which is then clipped, where a mask would turn white to black.
    """
    cells: NDArray[np.int64] = np.arange(256**width, dtype=np.int64)
    top = 1 << layout.bits_stored
    if layout.signed and signed_cells:
        cells = (cells ^ 0x8000) - 0x8000
        return np.clip(cells, -(top >> 1), (top >> 1) - 1)
    if lossy and not layout.signed:
        return np.minimum(cells, top - 1)
    values: NDArray[np.int64] = (cells >> (layout.high_bit + 1 - layout.bits_stored)) & (top - 1)
    return (values ^ (top >> 1)) - (top >> 1) if layout.signed else values


def padding_cells(stored: NDArray[np.int64], attributes: Attributes, layout: Layout) -> NDArray[np.bool_]:
    """Say which cells are padding by (0028,0120) *Pixel Padding Value* and its *Range Limit*: bool, like `stored`."""
    value = attributes.integer("PixelPaddingValue")
    if value is None:
        return np.zeros(len(stored), np.bool_)
    limit = attributes.integer("PixelPaddingRangeLimit")
    modulus = 1 << layout.bits_allocated
    cells = np.arange(len(stored))

    def meant(number: int) -> int:
        number %= modulus
        return number - modulus if layout.signed and number >= modulus >> 1 else number

    low, high = sorted((meant(value), meant(value if limit is None else limit)))
    whole = np.where(layout.signed & (cells >= modulus >> 1), cells - modulus, cells)
    return ((stored >= low) & (stored <= high)) | ((whole >= low) & (whole <= high))


def modality(stored: NDArray[np.int64], attributes: Attributes, layout: Layout) -> tuple[Table, set[str]]:
    """Apply the Modality LUT, else slope and intercept: float64, like `stored`, in the units of the modality.

    The flag bad_rescale is given where one of them is there and makes no sense; the values then stay as they are.
    """
    flags: set[str] = set()
    item = attributes.first("ModalityLUTSequence")
    if item is not None:
        lut = read_lut(item, layout.signed)
        if lut is not None:
            return lut(stored), flags
        flags.add(Reason.BAD_RESCALE.value)
    slope, intercept = attributes.number("RescaleSlope"), attributes.number("RescaleIntercept")
    given = [bool(attributes.raw(key).strip(b" \0")) for key in ("RescaleSlope", "RescaleIntercept")]
    if (given[0] and not slope) or (given[1] and intercept is None):
        flags.add(Reason.BAD_RESCALE.value)
    return stored.astype(np.float64) * (slope or 1.0) + (intercept or 0.0), flags


def voi(values: Table, attributes: Attributes, layout: Layout) -> tuple[Table | None, set[str]]:
    """Apply the VOI LUT, else the first window: float64, 0..255; None where neither is usable.

    The flag bad_window is given where one of them is there and makes no sense; an empty one is simply absent.
    """
    flags: set[str] = set()
    item = attributes.first("VOILUTSequence")
    if item is not None:
        lut = read_lut(item, layout.signed or bool(values.min() < 0))
        if lut is not None:
            return lut(values) * WHITE / ((1 << lut.bits) - 1), flags
        flags.add(Reason.BAD_WINDOW.value)
    centre, width = attributes.number("WindowCenter"), attributes.number("WindowWidth")
    given = [attributes.raw(key).strip(b" \0\\") for key in ("WindowCenter", "WindowWidth")]
    shades = (
        None if centre is None or width is None else window(values, centre, width, attributes.code("VOILUTFunction"))
    )
    if shades is None and any(given):
        flags.add(Reason.BAD_WINDOW.value)
    return shades, flags


def window(values: NDArray[Any], centre: float, width: float, function: str = "LINEAR") -> Table | None:
    """Apply a window by its function (PS3.3 C.11.2.1.2, C.11.2.1.3): float64, 0..255; None for an impossible width."""
    name = function.upper()
    if width <= 0 or (width < 1 and name not in {"SIGMOID", "LINEAR_EXACT"}):
        return None
    if name == "SIGMOID":
        return np.asarray(WHITE / (1 + np.exp(-4 * (values - centre) / width)), np.float64)
    if name != "LINEAR_EXACT":
        centre, width = centre - 0.5, width - 1
    if width == 0:
        return np.where(values <= centre, 0.0, WHITE)
    shades = ((values - centre) / width + 0.5) * WHITE
    shades = np.where(values <= centre - width / 2, 0.0, shades)
    return np.asarray(np.where(values > centre + width / 2, WHITE, shades), np.float64)


def full_range(values: Table, counts: NDArray[np.bool_]) -> Table:
    """Spread the least to the greatest of the values that count over 0..255; a constant picture is black."""
    seen = values[counts]
    if not len(seen) or seen.max() == seen.min():
        return np.zeros_like(values)
    shades: Table = np.clip((values - seen.min()) * WHITE / (seen.max() - seen.min()), 0, WHITE)
    return shades
