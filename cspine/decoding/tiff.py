"""TIFF: the directory of its pages, and the pages of 16 bits, which Pillow knows only in part."""

import io
from dataclasses import dataclass
from typing import BinaryIO

import imagecodecs
import numpy as np

from cspine.decoding.codecs import Cells
from cspine.decoding.directory import Directory, Form, read_directory
from cspine.decoding.layout import check_frames, check_size
from cspine.errors import Refused
from cspine.reasons import Reason
from cspine.settings import Settings

SUBFILE, WIDTH, LENGTH, BITS, PHOTOMETRIC, ORIENTATION, SAMPLES = 254, 256, 257, 258, 262, 274, 277
EXTRA_SAMPLES, SAMPLE_FORMAT = 338, 339
COMPRESSION, PLANAR = 259, 284
JPEG, JPEG_END, TAIL = 7, b"\xff\xd9", 16
STRIPS, STRIP_SIZES, TILES, TILE_SIZES = 273, 279, 324, 325
REDUCED = 1  # bit of NewSubfileType: a smaller copy of another page
MAX_SAMPLES = 4
NONE = np.zeros(0, np.uint8)
GREY_OR_RGB = {0, 1, 2}  # PhotometricInterpretation of the pages of 16 bits that are read
UNASSOCIATED_ALPHA = 2  # ExtraSamples; pixels under associated alpha lie over black already


@dataclass(frozen=True)
class Page:
    """One page: its place in the file and what its directory says."""

    index: int
    rows: int
    columns: int
    bits: int
    samples: int
    inverted: bool
    orientation: int
    has_alpha: bool


def read_pages(file: BinaryIO, settings: Settings) -> list[Page]:
    """Read the directories of a TIFF and check each page; smaller copies of a page are left out.

    Raises `Refused` (too_many_frames, too_many_pixels, truncated, unsupported_pixel_type, corrupt).
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(16)
    form = Form.of(head)
    at, index = form.offset(head[8:] if form.big else head[4:8]), 0
    pages: list[Page] = []
    seen: set[int] = set()
    while at and at not in seen:
        if index >= settings.max_frames:
            raise Refused(f"more than {settings.max_frames} pages", Reason.TOO_MANY_FRAMES)
        if at >= size:
            raise Refused("a page lies beyond the end", Reason.TRUNCATED)
        seen.add(at)
        directory, at = read_directory(file, at, form, size)
        if not _number(directory, SUBFILE, 0) & REDUCED:
            check_size(_number(directory, LENGTH, 0), _number(directory, WIDTH, 0), settings)
            pages.append(_page(directory, index, size))
            _check_jpeg(file, directory)
        index += 1
    if not pages:
        raise Refused("TIFF without a page", Reason.CORRUPT)
    for page in pages:
        check_frames(page.rows, page.columns, len(pages), settings)
    return pages


def decode_page(data: bytes, page: Page) -> Cells:
    """Decode a page of 16 bits by libtiff: uint16 (rows, columns) or (rows, columns, 2..4); raises `Refused`."""
    try:
        cells: Cells = imagecodecs.tiff_decode(data, index=page.index)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise Refused(f"tiff: {type(error).__name__}", Reason.CORRUPT) from error
    if cells.ndim == 3 and cells.shape[-1] != page.samples:
        cells = np.moveaxis(cells, 0, -1)
    if cells.dtype != np.uint16 or cells.shape[:2] != (page.rows, page.columns):
        raise Refused(f"decoded to {cells.dtype} {cells.shape}", Reason.UNSUPPORTED_PIXEL_TYPE)
    return cells if page.has_alpha or cells.ndim == 2 or page.samples in {1, 3} else cells[..., :-1]


def _page(directory: Directory, index: int, size: int) -> Page:
    bits = [int(number) for number in directory.get(BITS, [1])[: MAX_SAMPLES + 1]]
    samples = _number(directory, SAMPLES, 1)
    unsigned = _number(directory, SAMPLE_FORMAT, 1) in {1, 4}
    if bits[0] not in {1, 2, 4, 8, 16} or len(set(bits)) != 1 or not unsigned or not 1 <= samples <= MAX_SAMPLES:
        raise Refused(f"{samples} samples of {bits[0]} bits", Reason.UNSUPPORTED_PIXEL_TYPE)
    photometric = _number(directory, PHOTOMETRIC, 1)
    if bits[0] == 16 and photometric not in GREY_OR_RGB:
        raise Refused(f"16 bits of photometric interpretation {photometric}", Reason.UNSUPPORTED_PIXEL_TYPE)
    _check_data(directory, size)
    _check_plain(directory, bits[0], samples)
    return Page(
        index=index,
        rows=_number(directory, LENGTH, 0),
        columns=_number(directory, WIDTH, 0),
        bits=bits[0],
        samples=samples,
        inverted=photometric == 0,
        orientation=_number(directory, ORIENTATION, 1),
        has_alpha=_number(directory, EXTRA_SAMPLES, 0) == UNASSOCIATED_ALPHA,
    )


def _check_data(directory: Directory, size: int) -> None:
    for offsets_tag, sizes_tag in ((STRIPS, STRIP_SIZES), (TILES, TILE_SIZES)):
        offsets, sizes = directory.get(offsets_tag, NONE), directory.get(sizes_tag, NONE)
        count = min(len(offsets), len(sizes))
        ends = offsets[:count].astype(np.float64) + sizes[:count]
        if (ends > size).any():
            raise Refused("a strip lies beyond the end", Reason.TRUNCATED)


def _check_plain(directory: Directory, bits: int, samples: int) -> None:
    """See that the strips of a page without compression hold all of its rows."""
    if _number(directory, COMPRESSION, 1) != 1 or STRIP_SIZES not in directory:
        return
    planes = samples if _number(directory, PLANAR, 1) == 2 else 1
    row = (_number(directory, WIDTH, 0) * bits * samples // planes + 7) // 8 * planes
    held = int(directory[STRIP_SIZES].sum(dtype=np.int64))
    if held < row * _number(directory, LENGTH, 0):
        raise Refused(f"strips of {held} bytes", Reason.TRUNCATED)


def _check_jpeg(file: BinaryIO, directory: Directory) -> None:
    """See that every strip or tile of JPEG ends in its mark; libtiff takes one that does not."""
    if _number(directory, COMPRESSION, 1) != JPEG:
        return
    for offsets_tag, sizes_tag in ((STRIPS, STRIP_SIZES), (TILES, TILE_SIZES)):
        places = zip(directory.get(offsets_tag, NONE).tolist(), directory.get(sizes_tag, NONE).tolist(), strict=False)
        for offset, length in places:
            file.seek(offset + max(0, length - TAIL))
            if JPEG_END not in file.read(min(length, TAIL)):
                raise Refused("a strip of JPEG without its end", Reason.TRUNCATED)


def _number(directory: Directory, tag: int, default: int) -> int:
    return int(directory[tag][0]) if tag in directory else default
