"""A map as a picture for a person: the film, the film with the map over it, and below them what the map is.

Nothing is written over the film. The colours and the transparency are those of the study page.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cspine.preprocessing import Geometry

Grey = NDArray[np.uint8]
Colour = NDArray[np.uint8]
Floats = NDArray[np.float32]
STOPS = (
    (0.0, 48, 60, 160),
    (0.25, 38, 120, 190),
    (0.5, 40, 180, 140),
    (0.75, 190, 210, 60),
    (1.0, 255, 232, 70),
)  # web/static/js/colours.js
OPACITY, THRESHOLD = 0.55, 0.0
GAP, MARGIN, LINE, TEXT = 8, 12, 19, 14  # pixels
BAR = (160, 10)
INK, PAPER = (214, 220, 229), (15, 19, 24)


def draw(
    picture: Grey,
    grid: Floats,
    place: Geometry,
    size: int,
    lines: Sequence[str],
    opacity: float = OPACITY,
    threshold: float = THRESHOLD,
) -> Colour:
    """Draw the film, and beside it the film under the map, over a footer.

    Parameters
    ----------
    picture
        uint8 (h, w).
    grid
        The map (g, g) over the network's square of `size` pixels, in which the picture lies at `place`.
    lines
        The footer's sentences; long ones are broken.
    opacity
        Of the map's greatest value, 0..1; a lesser value v is sqrt(v) times as opaque.
    threshold
        Share of the greatest value below which the film stays as it is.

    Returns
    -------
    uint8 (rows, columns, 3): the film's pixels stand in it unchanged at the left.
    """
    values = over_picture(grid, place, size, *picture.shape)
    film = np.repeat(picture[:, :, None], 3, axis=2)
    alpha = opacity * np.sqrt(values) * (values > 0) * (values >= threshold)
    mixed = film + alpha[:, :, None] * (colours(values) - film.astype(np.float32))
    gap = np.full((len(film), GAP, 3), PAPER, np.uint8)
    both = np.concatenate([film, gap, np.rint(mixed).astype(np.uint8)], axis=1)
    return np.concatenate([both, footer(lines, both.shape[1], float(grid.max()))])


def over_picture(grid: Floats, place: Geometry, size: int, rows: int, columns: int) -> Floats:
    """Return the positive part of a map over its greatest value, bilinear, for each pixel of a picture."""
    y = (place.top + (np.arange(rows, dtype=np.float32) + 0.5) / rows * place.height) / size * grid.shape[0] - 0.5
    x = (place.left + (np.arange(columns, dtype=np.float32) + 0.5) / columns * place.width) / size * grid.shape[1] - 0.5
    across, down = np.meshgrid(x, y)
    values = cv2.remap(grid.astype(np.float32), across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.maximum(values, 0.0) / max(float(grid.max()), np.finfo(np.float32).tiny)


def colours(values: Floats) -> Floats:
    """Return the colours, float32 (..., 3) of 0..255, of values in 0..1."""
    places, *channels = zip(*STOPS, strict=True)
    return np.stack([np.interp(values, places, channel) for channel in channels], axis=-1).astype(np.float32)


def footer(lines: Sequence[str], width: int, greatest: float) -> Colour:
    """Write the scale and the sentences on a strip, uint8 (rows, width, 3)."""
    font = ImageFont.load_default(TEXT)
    broken = [part for line in lines for part in _broken(line, font, width - 2 * MARGIN)]
    strip = Image.new("RGB", (width, 2 * MARGIN + LINE * (len(broken) + 1)), PAPER)
    pen = ImageDraw.Draw(strip)
    pen.text((MARGIN, MARGIN), "0", INK, font)
    bar = np.repeat(colours(np.linspace(0, 1, BAR[0], dtype=np.float32))[None], BAR[1], axis=0)
    left = MARGIN + 16
    strip.paste(Image.fromarray(np.rint(bar).astype(np.uint8)), (left, MARGIN + 4))
    words = f"{greatest:.2g}" if greatest > 0 else "no positive value"
    pen.text((left + BAR[0] + 8, MARGIN), words, INK, font)
    for number, line in enumerate(broken, 1):
        pen.text((MARGIN, MARGIN + LINE * number), line, INK, font)
    return np.asarray(strip)


def _broken(line: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Break a sentence into lines that fit."""
    found = [""]
    for word in line.split():
        longer = f"{found[-1]} {word}".strip()
        if found[-1] and font.getlength(longer) > width:
            found.append(word)
        else:
            found[-1] = longer
    return found
