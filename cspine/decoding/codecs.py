"""The decoders of compressed frames: imagecodecs (libjpeg-turbo, CharLS, OpenJPEG, OpenJPH), each behind its check."""

import itertools
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from cspine.decoding.layout import Layout
from cspine.decoding.scans import LOSSLESS, check_whole
from cspine.decoding.streams import JPEG_LS, StreamHeader, check_rle, read_jpeg, read_jpeg2000
from cspine.decoding.syntax import Codec
from cspine.errors import Refused
from cspine.reasons import Reason

Cells = NDArray[Any]
RGB, LUMA = {"colorspace": "RGB", "outcolorspace": "RGB"}, {"colorspace": "YCBCR", "outcolorspace": "GRAYSCALE"}
HUFFMAN_SOFS = {0xC0, 0xC1, 0xC2, 0xC3}  # baseline, extended, progressive, lossless; the rest is arithmetic coding


def decode_frame(data: bytes, codec: Codec, layout: Layout) -> Cells:
    """Decode one compressed frame.

    Returns
    -------
    uint8, uint16 or int16 of shape (rows, columns), or (rows, columns, 3); (rows, columns) for colour too where the
    decoder gave its luma at once.

    Raises `Refused` (corrupt, truncated, bad_geometry, ...).
    """
    cells = np.asarray(_DECODERS[codec](data, layout))
    if cells.dtype == np.int8:
        cells = cells.astype(np.int16)
    if cells.dtype not in (np.uint8, np.uint16, np.int16):
        raise Refused(f"decoded to {cells.dtype}", Reason.UNSUPPORTED_PIXEL_TYPE)
    if cells.shape[:2] != (layout.rows, layout.columns) or cells.ndim > 3:
        raise Refused(f"decoded to {cells.shape}", Reason.CORRUPT)
    return cells


def _call(decoder: Callable[..., Any], data: bytes, **options: Any) -> Any:
    lost: list[Any] = []  # OpenJPH's errors are written to this hook, and what it gave until then is returned
    hook, sys.unraisablehook = sys.unraisablehook, lost.append
    try:
        result = decoder(data, **options)
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:  # each codec has a RuntimeError of its own
        raise Refused(f"{decoder.__name__}: {type(error).__name__}", Reason.CORRUPT) from error
    finally:
        sys.unraisablehook = hook
    if lost:
        raise Refused(f"{decoder.__name__}: {lost[0].exc_value}", Reason.CORRUPT)
    return result


def _check(header: StreamHeader, layout: Layout) -> None:
    if (header.rows, header.columns) != (layout.rows, layout.columns):
        raise Refused(f"stream of {header.rows} x {header.columns}", Reason.BAD_GEOMETRY)
    if header.components != layout.samples:
        raise Refused(f"stream of {header.components} components", Reason.UNSUPPORTED_PIXEL_TYPE)
    if not 0 < header.precision <= layout.bits_allocated:
        raise Refused(f"stream of {header.precision} bits", Reason.UNSUPPORTED_BIT_LAYOUT)


def _jpeg(data: bytes, layout: Layout) -> Any:
    header = read_jpeg(data)
    if header.sof == JPEG_LS:
        raise Refused("a JPEG-LS stream", Reason.CORRUPT)
    if header.sof not in HUFFMAN_SOFS:
        raise Refused(f"JPEG process with SOF{header.sof - 0xC0}", Reason.UNSUPPORTED_TRANSFER_SYNTAX)
    _check(header, layout)
    if data[header.lines_at : header.lines_at + 2] == b"\0\0":  # libjpeg does not read DNL
        data = data[: header.lines_at] + layout.rows.to_bytes(2, "big") + data[header.lines_at + 2 :]
    options = {}
    if layout.samples == 3:
        is_rgb = header.is_rgb or header.sof == LOSSLESS or (layout.photometric == "RGB" and not _is_ycbcr(data))
        options = RGB if is_rgb else LUMA

    def decode(stream: bytes) -> Cells:
        return np.asarray(_call(imagecodecs.jpeg8_decode, stream, **options))

    cells = decode(data)
    check_whole(data, header, cells, decode)
    return cells


def _is_ycbcr(data: bytes) -> bool:
    """Say whether the stream itself says YCbCr (JFIF, or Adobe with a transform), whatever the data set says."""
    return b"JFIF\0" in data[:64] or b"Adobe" in data[:256]


def _jpegls(data: bytes, layout: Layout) -> Any:
    header = read_jpeg(data)
    if header.sof != JPEG_LS:
        raise Refused("no JPEG-LS stream", Reason.CORRUPT)
    _check(header, layout)
    return _call(imagecodecs.jpegls_decode, data)


def _jpeg2000(data: bytes, layout: Layout) -> Any:
    header = read_jpeg2000(data)
    _check(header, layout)
    if header.high_throughput and not header.open_end:  # OpenJPH fills up what is cut; OpenJPEG, far slower, says so
        return _call(imagecodecs.htj2k_decode, data[header.start :])
    return _call(imagecodecs.jpeg2k_decode, data, numthreads=1)


def _rle(data: bytes, layout: Layout) -> Cells:
    if layout.bits_allocated == 1:
        raise Refused("RLE of single bits", Reason.UNSUPPORTED_BIT_LAYOUT)
    width = layout.bits_allocated // 8
    check_rle(data, layout.samples * width)
    dtype = np.dtype(f"u{width}")
    unpacked = b""
    with suppress(Refused):
        unpacked = _call(imagecodecs.dicomrle_decode, data, dtype=dtype)
    exact = len(unpacked) == layout.frame_bytes
    planes: Cells = np.frombuffer(unpacked, dtype) if exact else _by_segment(data, layout, width)
    planes = planes.reshape(layout.samples, layout.rows, layout.columns)
    return planes[0] if layout.samples == 1 else np.moveaxis(planes, 0, -1)


def _by_segment(data: bytes, layout: Layout, width: int) -> Cells:
    """Decode each byte plane by itself and leave out what some encoders pad it with, less than a row: (samples, n)."""
    offsets = [*struct.unpack_from(f"<{layout.samples * width}L", data, 4), len(data)]
    count = layout.rows * layout.columns
    planes = np.zeros((layout.samples, count), f"u{width}")
    for index, (start, end) in enumerate(itertools.pairwise(offsets)):
        plane: bytes = _call(imagecodecs.packbits_decode, data[start:end])
        if not count <= len(plane) < count + layout.columns:
            reason = Reason.TRUNCATED if len(plane) < count else Reason.CORRUPT
            raise Refused(f"{len(plane)} bytes in an RLE segment of {count}", reason)
        sample = planes[index // width]
        sample |= np.frombuffer(plane, np.uint8, count).astype(planes.dtype) << (width - 1 - index % width) * 8
    return planes


_DECODERS: dict[Codec, Callable[[bytes, Layout], Any]] = {
    "jpeg": _jpeg,
    "jpegls": _jpegls,
    "jpeg2000": _jpeg2000,
    "htj2k": _jpeg2000,
    "rle": _rle,
}
