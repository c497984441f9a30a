"""What is made of a decoded frame: the canonical picture, the preview and the thumbnail."""

import cv2
import numpy as np

from cspine.decoding.frame import Frame, Grey

CANONICAL, PREVIEW, THUMBNAIL = 512, 1024, 160
QUALITY = 88


def canonical(frame: Frame) -> Grey:
    """Return the picture that training and serving alike begin with.

    Returns
    -------
    uint8 (h, w), 0..255: pixels as squares, longest side at most 512, never enlarged.
    """
    return fitted(frame, CANONICAL)


def previews(frame: Frame) -> tuple[bytes, bytes]:
    """Return two JPEGs: longest side at most 1024 for the page; shrunk from that one, at most 160 for the list."""
    large = fitted(frame, PREVIEW)
    scale = min(1.0, THUMBNAIL / max(large.shape))
    rows, columns = (max(1, round(side * scale)) for side in large.shape)
    return _jpeg(large), _jpeg(_resized(large, rows, columns, cv2.INTER_AREA))


def fitted(frame: Frame, longest: int) -> Grey:
    """Show pixels as squares and shrink to `longest` at most: uint8 (h, w).

    A side that shrinks is averaged over areas; one that grows, to make squares of flat pixels, is interpolated.
    """
    scale = min(1.0, longest / max(frame.display_rows, frame.display_columns))
    rows, columns = (max(1, round(side * scale)) for side in (frame.display_rows, frame.display_columns))
    pixels = _resized(
        frame.pixels, min(rows, frame.pixels.shape[0]), min(columns, frame.pixels.shape[1]), cv2.INTER_AREA
    )
    return _resized(pixels, rows, columns, cv2.INTER_LINEAR)


def _resized(pixels: Grey, rows: int, columns: int, interpolation: int) -> Grey:
    if pixels.shape == (rows, columns):
        return pixels
    return np.asarray(cv2.resize(pixels, (columns, rows), interpolation=interpolation), np.uint8)


def _jpeg(pixels: Grey) -> bytes:
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise RuntimeError("the JPEG encoder gave nothing")
    return data.tobytes()
