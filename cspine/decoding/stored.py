"""The cells of each frame as they are stored, from plain or encapsulated pixel data."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from cspine.decoding import fragments
from cspine.decoding.codecs import Cells, decode_frame
from cspine.decoding.layout import Layout
from cspine.errors import Refused
from cspine.reasons import Reason

if TYPE_CHECKING:
    from cspine.decoding.dicom import DicomObject

PADDING = 1  # a value of odd length gets one byte more


def stored_frames(image: "DicomObject", flags: set[str]) -> Iterator[Cells]:
    """Give the cells of each frame: unsigned or int16, (rows, columns) or (rows, columns, 3).

    Adds excess_pixel_data to `flags` where more is there than the header says. Raises `Refused`.
    """
    layout = image.layout
    if image.pixels.length is not None:
        if image.pixels.length > layout.pixel_bytes + PADDING:
            flags.add(Reason.EXCESS_PIXEL_DATA.value)
        yield from _plain_frames(image)
        return
    streams = fragments.frames(image.source, image.syntax.codec, layout.frames)
    for index, data in enumerate(streams):
        if index == layout.frames:
            flags.add(Reason.EXCESS_PIXEL_DATA.value)
            return
        if image.syntax.codec != "plain":
            yield decode_frame(data, image.syntax.codec, layout)
        elif len(data) < layout.frame_bytes:
            raise Refused(f"{len(data)} bytes in a frame of {layout.frame_bytes}", Reason.TRUNCATED)
        else:
            yield _cells(data, layout, "<")


def _plain_frames(image: "DicomObject") -> Iterator[Cells]:
    layout, order = image.layout, "<" if image.attributes.little else ">"
    if layout.bits_allocated == 1:
        count = layout.rows * layout.columns
        bits = np.unpackbits(np.frombuffer(image.source.read(layout.pixel_bytes), np.uint8), bitorder="little")
        for index in range(layout.frames):
            yield bits[index * count : (index + 1) * count].reshape(layout.rows, layout.columns)
        return
    # Words of 16 bits in big-endian order hold two cells of 8 bits each (PS3.5 8.2 and annex A.3)
    swapped = order == ">" and layout.bits_allocated == 8 and image.pixels.vr == "OW"
    if swapped:
        whole = image.source.read(min(layout.pixel_bytes + layout.pixel_bytes % 2, image.pixels.length or 0))
        data = np.frombuffer(whole[: len(whole) // 2 * 2], np.uint16).byteswap().tobytes()
        for index in range(layout.frames):
            yield _cells(data[index * layout.frame_bytes : (index + 1) * layout.frame_bytes], layout, order)
        return
    for _ in range(layout.frames):
        yield _cells(image.source.read(layout.frame_bytes), layout, order)


def _cells(data: bytes, layout: Layout, order: str) -> Cells:
    if layout.bits_allocated == 1:
        bits = np.unpackbits(np.frombuffer(data[: layout.frame_bytes], np.uint8), bitorder="little")
        return bits[: layout.rows * layout.columns].reshape(layout.rows, layout.columns)
    dtype = np.dtype(f"{order}u{layout.bits_allocated // 8}")
    cells: Cells = np.frombuffer(data[: layout.frame_bytes], dtype).astype(dtype.newbyteorder("="), copy=False)
    if layout.photometric == "YBR_FULL_422" and layout.columns % 2:
        raise Refused(f"YBR_FULL_422 of {layout.columns} columns", Reason.BAD_GEOMETRY)
    if layout.photometric == "YBR_FULL_422":  # two luma samples, then the chroma that they share
        return cells.reshape(layout.rows, layout.columns // 2, 4)[:, :, :2].reshape(layout.rows, layout.columns)
    if layout.samples == 1:
        return cells.reshape(layout.rows, layout.columns)
    if layout.by_plane:
        return np.moveaxis(cells.reshape(layout.samples, layout.rows, layout.columns), 0, -1)
    return cells.reshape(layout.rows, layout.columns, layout.samples)
