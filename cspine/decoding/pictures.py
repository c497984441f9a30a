"""PNG, JPEG, TIFF, BMP and WebP: to 8-bit grey by the rule of the design, section 5.

Pictures of 8 bits keep their values, so no ICC profile or gamma is applied. Alpha is laid over black, colour becomes
Rec. 601 luma, 16 bits go from 0..65535 to 0..255, or from least to greatest where only 12 bits are used.
"""

import io
import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO, cast

import imagecodecs
import numpy as np
from PIL import Image, UnidentifiedImageError

from cspine.decoding import jpeg, tiff
from cspine.decoding.bounded import Bounded
from cspine.decoding.codecs import HUFFMAN_SOFS, Cells
from cspine.decoding.colour import band_luma, luma
from cspine.decoding.completeness import is_complete, png_rows_are_there
from cspine.decoding.frame import Decoded, Frame, Grey, blank
from cspine.decoding.header import Header
from cspine.decoding.kinds import Kind
from cspine.decoding.layout import check_size
from cspine.decoding.scans import check_whole
from cspine.decoding.streams import JPEG_LS, JpegHeader, read_jpeg
from cspine.errors import Refused
from cspine.reasons import Reason
from cspine.settings import Settings

Image.MAX_IMAGE_PIXELS = None  # our own limit is checked by the header, before Pillow allocates anything

FORMATS: dict[Kind, str] = {"png": "PNG", "jpeg": "JPEG", "tiff": "TIFF", "bmp": "BMP", "webp": "WEBP"}
TWELVE_BITS = 4095
ORIENTATION = 0x0112
# What Pillow's plugins raise on a damaged file
DAMAGED = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, AttributeError,
           RuntimeError, struct.error)  # fmt: skip


def check(file: BinaryIO, kind: Kind, settings: Settings) -> None:
    """Check what the header of a picture claims, and read no more than that.

    Raises `Refused` (too_many_pixels, animated_image, corrupt, ...).
    """
    stream = Bounded(file)
    header = cast(BinaryIO, stream)
    header.seek(0)
    animated = False
    if kind == "tiff":
        tiff.read_pages(header, settings)
        return
    if kind == "webp":
        rows, columns, animated = _webp_header(header.read(32))
    elif kind == "jpeg":
        rows, columns = jpeg.read_size(header)
    else:
        try:
            image = _open(header, kind)
        except Refused as error:
            raise Refused(error.detail, Reason.TRUNCATED if stream.ended else error.reason) from error
        (columns, rows), animated = image.size, kind == "png" and bool(getattr(image, "is_animated", False))
    check_size(rows, columns, settings)
    if animated:
        raise Refused("more than one picture in it", Reason.ANIMATED_IMAGE)


def decode(file: BinaryIO, kind: Kind, settings: Settings) -> Decoded:
    """Decode a picture; each page of a TIFF is a frame. Raises `Refused`."""
    check(file, kind, settings)
    if not is_complete(file, kind):
        raise Refused("the file ends before its picture", Reason.TRUNCATED)
    pictures = _pages(file, tiff.read_pages(file, settings)) if kind == "tiff" else [_single(file, kind)]
    frames = [
        Frame(index, pixels, pixels.shape[0], pixels.shape[1], blank(pixels)) for index, pixels in enumerate(pictures)
    ]
    return Decoded(Header(kind), frames)


def _single(file: BinaryIO, kind: Kind) -> Grey:
    if kind == "jpeg":
        return _jpeg(file)
    image = _open(file, kind)
    orientation = _orientation(image)
    if kind == "png" and _png_depth(file) == 16:
        return oriented(from_16_bits(_decoded_16(file)), orientation)
    grey = _grey(image)
    if kind == "png" and (grey[-1] == grey[-1, 0]).all() and not png_rows_are_there(file):
        raise Refused("png with fewer rows than it says", Reason.TRUNCATED)
    return oriented(grey, orientation)


def _jpeg(file: BinaryIO) -> Grey:
    file.seek(0)
    data = file.read()
    try:
        header = read_jpeg(data)
    except Refused:  # Pillow makes more of an odd header than that check, which stands before other decoders
        return oriented(_grey(image := _open(file, "jpeg")), _orientation(image))
    if header.precision > 8 or header.sof == JPEG_LS:
        return _deep_jpeg(data, header)
    grey = _grey(image := _open(file, "jpeg"))
    if header.sof in HUFFMAN_SOFS:
        check_whole(data, header, grey, lambda stream: _grey(_open(io.BytesIO(stream), "jpeg")))
    return oriented(grey, _orientation(image))


def _deep_jpeg(data: bytes, header: JpegHeader) -> Grey:
    """Decode the streams of a JPEG file that Pillow does not know: of more than 8 bits, or JPEG-LS."""

    def decode(stream: bytes) -> Cells:
        try:
            return np.asarray(imagecodecs.jpegls_decode(stream) if is_ls else imagecodecs.jpeg8_decode(stream))
        except (RuntimeError, ValueError) as error:
            raise Refused(f"jpeg: {type(error).__name__}", Reason.CORRUPT) from error

    is_ls = header.sof == JPEG_LS
    cells = decode(data)
    if not is_ls:
        check_whole(data, header, cells, decode)
    if cells.dtype == np.uint8:
        return cells if cells.ndim == 2 else luma(cells[..., :3])
    return from_16_bits(cells)


def _pages(file: BinaryIO, pages: Sequence[tiff.Page]) -> Iterator[Grey]:
    """Give the pictures of a TIFF's pages; the file is read and opened once for all of them."""
    data, image = b"", None
    for page in pages:
        if page.bits == 16:
            if not data:
                file.seek(0)
                data = file.read()
            yield oriented(from_16_bits(tiff.decode_page(data, page), inverted=page.inverted), page.orientation)
            continue
        image = image or _open(file, "tiff")
        try:
            image.seek(page.index)
        except DAMAGED as error:
            raise Refused(f"page {page.index}", Reason.CORRUPT) from error
        yield _grey(image)  # for TIFF, and for it alone, Pillow turns the picture upright itself


def _open(file: BinaryIO, kind: Kind) -> Image.Image:
    file.seek(0)
    try:
        return Image.open(file, formats=[FORMATS[kind]])
    except (UnidentifiedImageError, *DAMAGED) as error:
        raise Refused(f"{kind} header", Reason.CORRUPT) from error


def _grey(image: Image.Image) -> Grey:
    """Load a picture of at most 8 bits a channel and make it grey: uint8 (rows, columns)."""
    try:
        image.load()
        if image.mode in {"I", "F"} or image.mode.startswith("I;"):
            raise Refused(f"mode {image.mode}", Reason.UNSUPPORTED_PIXEL_TYPE)
        if image.mode in {"LA", "La", "PA", "RGBA", "RGBa"} or "transparency" in image.info:
            pixels = np.asarray(image.convert("RGBA"))
            return over_black(luma(pixels[..., :3]), pixels[..., 3])
        if image.mode in {"1", "L"}:
            return np.array(image.convert("L"))
        return luma(np.asarray(image.convert("RGB")))
    except DAMAGED as error:
        raise Refused(f"{image.format}: {type(error).__name__}", Reason.CORRUPT) from error


def over_black(grey: Grey, alpha: Grey) -> Grey:
    """Lay grey with alpha (both uint8, one shape) over black: uint8, rounded half up."""
    return ((grey.astype(np.uint16) * alpha + 127) // 255).astype(np.uint8)


def from_16_bits(cells: Cells, inverted: bool = False) -> Grey:
    """Turn a 16-bit picture into 8-bit grey.

    Parameters
    ----------
    cells : uint16 (rows, columns) or (rows, columns, 2..4): grey or RGB, alpha last.
    inverted : zero is white.

    Returns
    -------
    uint8 (rows, columns), 0..255: v * 255 / 65535; where the greatest value is at most 4095, least to greatest.
    """
    grey = _grey_16(cells)
    least, greatest = int(grey.min()), int(grey.max())
    if greatest > TWELVE_BITS:
        least, greatest = 0, 65535
    steps = np.arange(65536, dtype=np.float64)
    shades = np.clip((steps - least) * 255 / max(greatest - least, 1), 0, 255)
    if inverted:
        shades = 255 - shades
    return np.floor(shades + 0.5).astype(np.uint8)[grey]


def _grey_16(cells: Cells) -> Cells:
    if cells.ndim == 2:
        return cells
    grey = cells[..., 0] if cells.shape[2] < 3 else band_luma(cells[..., :3])
    if cells.shape[2] in {2, 4}:
        grey = ((grey.astype(np.uint32) * cells[..., -1] + 32767) // 65535).astype(np.uint16)
    return grey


def oriented(pixels: Grey, orientation: int) -> Grey:
    """Turn a picture upright by its EXIF (or TIFF) orientation 1..8; any other number leaves it as it is."""
    if orientation in {5, 6, 7, 8}:
        pixels = pixels.T
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except DAMAGED:
        return 1  # damaged EXIF says nothing about the picture
    return value if isinstance(value, int) else 1


def _png_depth(file: BinaryIO) -> int:
    file.seek(24)
    return (file.read(1) or b"\0")[0]


def _decoded_16(file: BinaryIO) -> Cells:
    file.seek(0)
    try:
        cells: Cells = imagecodecs.png_decode(file.read())
    except (RuntimeError, ValueError) as error:
        raise Refused(f"png: {type(error).__name__}", Reason.CORRUPT) from error
    return cells


def _webp_header(head: bytes) -> tuple[int, int, bool]:
    """Return rows, columns and whether it is animated; the header of a WebP file is short and fixed (RFC 9649)."""
    form, body = head[12:16], head[20:]
    if len(body) < 10:
        raise Refused("webp header", Reason.TRUNCATED)
    if form == b"VP8X":
        columns, rows = (int.from_bytes(body[at : at + 3], "little") + 1 for at in (4, 7))
        return rows, columns, bool(body[0] & 0x02)
    if form == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1, False
    if form == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        columns, rows = (size & 0x3FFF for size in struct.unpack_from("<HH", body, 6))
        return rows, columns, False
    raise Refused("webp header", Reason.CORRUPT)
