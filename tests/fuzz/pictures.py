"""Sound pictures and archives to be damaged: PNG, JPEG, TIFF, BMP, WebP in their usual forms, and ZIP."""

import io
import struct
import zipfile
import zlib
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image

from tests.cspine.decoding.test_pictures import saved, tiff
from tests.fuzz.films import BYTES, GREY, RGB

WIDE = GREY * 16
ALPHA = np.dstack([RGB, BYTES])


def pictures() -> dict[str, bytes]:
    """Make a small picture of every kind, by name."""
    return _png() | _jpeg() | _tiff() | _bmp() | _webp()


def archives(films: list[bytes]) -> dict[str, bytes]:
    """Make archives of some films, by name."""
    return {
        "zip stored": archive(films[:3], zipfile.ZIP_STORED),
        "zip deflated": archive(films[:3]),
        "zip bzip2": archive(films[:2], zipfile.ZIP_BZIP2),
        "zip nested": archive([archive(films[:1]), films[0]]),
        "zip64": archive(films[:2], wide=True),
        "zip of many": archive([films[0], *(b"note %d" % number for number in range(12))]),
        "zip with comment": archive(films[:1], comment=b"from the archive" * 40),
        "zip of pictures": archive([saved(BYTES, "PNG"), saved(BYTES, "JPEG"), b""]),
    }


def archive(files: list[bytes], method: int = zipfile.ZIP_DEFLATED, wide: bool = False, comment: bytes = b"") -> bytes:
    """Pack files under odd names, the same bytes each time."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as zipped:
        zipped.writestr(zipfile.ZipInfo("folder/"), b"")
        for number, data in enumerate(files):
            info = zipfile.ZipInfo(f"folder/Wirbels\u00e4ule {number}.dcm" if number else "first.dcm")
            info.compress_type = method
            with zipped.open(info, "w", force_zip64=wide) as entry:
                entry.write(data)
        zipped.comment = comment
    return packed.getvalue()


def _png() -> dict[str, bytes]:
    grey, colour = Image.fromarray(BYTES), Image.fromarray(RGB)
    return {
        "png 1 bit": saved(grey.convert("1"), "PNG"),
        "png 8 bits": saved(grey, "PNG"),
        "png 16 bits": saved(WIDE, "PNG"),
        "png 16 bits colour": imagecodecs.png_encode(np.dstack([WIDE, WIDE, WIDE, WIDE])),
        "png palette": saved(colour.convert("P", palette=Image.Palette.ADAPTIVE), "PNG", transparency=3),
        "png alpha": saved(ALPHA, "PNG"),
        "png colour": saved(colour, "PNG", exif=_exif()),
        "png interlaced": _interlaced(),
        "apng": saved(grey, "PNG", save_all=True, append_images=[colour.convert("L")], duration=100),
    }


def _interlaced() -> bytes:
    """Write an Adam7 PNG by hand, which no encoder at hand does."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    lines = b"".join(
        b"\0" + row.tobytes() for top, left, down, right in passes for row in BYTES[top::down, left::right]
    )
    parts = [(b"IHDR", struct.pack(">LLBBBBB", 32, 24, 8, 0, 0, 0, 1)), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def chunk(name: bytes, data: bytes) -> bytes:
    """Write a chunk of a PNG with its right checksum."""
    return struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data))


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def _jpeg() -> dict[str, bytes]:
    colour = Image.fromarray(RGB)
    return {
        "jpeg grey": saved(BYTES, "JPEG"),
        "jpeg colour": saved(colour, "JPEG", exif=_exif()),
        "jpeg cmyk": saved(colour.convert("CMYK"), "JPEG"),
        "jpeg progressive": saved(colour, "JPEG", progressive=True),
        "jpeg restarts": saved(colour, "JPEG", restart_marker_blocks=1),
        "jpeg 12 bits": imagecodecs.jpeg8_encode(GREY, 95, bitspersample=12),
        "jpeg lossless": imagecodecs.jpeg8_encode(BYTES, lossless=True, predictor=1),
        "jpeg-ls": imagecodecs.jpegls_encode(BYTES),
    }


def _tiff() -> dict[str, bytes]:
    colour = Image.fromarray(RGB)
    coded: dict[str, Any] = {form: {"compression": f"tiff_{form}"} for form in ("lzw", "adobe_deflate")}
    coded |= {form: {"compression": form} for form in ("packbits", "jpeg", "group3", "group4")}
    made = {f"tiff {form}": saved(Image.fromarray(BYTES), "TIFF", **options)
            for form, options in coded.items() if not form.startswith("group")}  # fmt: skip
    made |= {f"tiff {form}": saved(Image.fromarray(BYTES).convert("1"), "TIFF", **coded[form])
             for form in ("group3", "group4")}  # fmt: skip
    made |= {f"tiff {order} {pages[0].dtype}": tiff(pages, order) for order in "<>" for pages in ([BYTES], [WIDE] * 2)}
    large = np.tile(BYTES, (2, 2))
    wide = np.tile(WIDE, (2, 2))
    return made | {
        "tiff tiles": imagecodecs.tiff_encode(large, tile=(16, 16)),
        "tiff tiles 16 bits lzw": imagecodecs.tiff_encode(wide, tile=(16, 16), compression="lzw"),
        "tiff big": imagecodecs.tiff_encode(wide, bigtiff=True),
        "tiff deflate 16 bits": imagecodecs.tiff_encode(wide, compression="deflate", rowsperstrip=5),
        "tiff colour 16 bits": imagecodecs.tiff_encode(np.dstack([wide, wide, wide])),
        "tiff pages": saved(colour, "TIFF", save_all=True, append_images=[colour, colour]),
        "tiff cmyk": saved(colour.convert("CMYK"), "TIFF"),
        "tiff palette": saved(colour.convert("P"), "TIFF"),
    }


def _bmp() -> dict[str, bytes]:
    grey, colour = Image.fromarray(BYTES), Image.fromarray(RGB)
    runs = b"".join(bytes([16, row, 16, 255 - row, 0, 0]) for row in range(24)) + b"\0\1"
    palette = b"".join(bytes([shade, shade, shade, 0]) for shade in range(256))
    info = struct.pack("<LllHHLLllLL", 40, 32, 24, 1, 8, 1, len(runs), 0, 0, 256, 0)
    start = 14 + len(info) + len(palette)
    head = b"BM" + struct.pack("<LLL", start + len(runs), 0, start)
    return {
        "bmp 1 bit": saved(grey.convert("1"), "BMP"),
        "bmp grey": saved(grey, "BMP"),
        "bmp colour": saved(colour, "BMP"),
        "bmp runs": head + info + palette + runs,
    }


def _webp() -> dict[str, bytes]:
    grey, colour = Image.fromarray(BYTES), Image.fromarray(RGB)
    return {
        "webp lossy": saved(colour, "WEBP"),
        "webp lossless": saved(grey, "WEBP", lossless=True),
        "webp alpha": saved(Image.fromarray(ALPHA), "WEBP", exif=_exif()),
        "webp animated": saved(colour, "WEBP", save_all=True, append_images=[colour.rotate(90)], duration=90),
    }
