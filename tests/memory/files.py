"""Large files and bombs, written without ever being whole in memory."""

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tests.cspine.decoding import objects
from tests.cspine.decoding.objects import EXPLICIT, ROOT, dicom, ramp
from tests.fuzz.mutations import PIXEL_DATA
from tests.fuzz.pictures import chunk

MIB = 2**20
LARGE = 300 * MIB
SIDE = 10_000  # of a picture at the limit of 100 megapixels
STRIPE = bytes(range(256))


def large() -> dict[str, Callable[[Path], None]]:
    """Return the writers of the files of 300 MB, by what they are."""
    frames = LARGE // (1500 * 1000 * 2)
    return {
        "300 MB: DICOM of many frames": lambda path: _plain_dicom(path, 1500, 1000, frames, samples=1),
        "300 MB: colour DICOM of 100 megapixels": lambda path: _plain_dicom(path, SIDE, SIDE, 1, samples=3),
        "300 MB: colour TIFF of 100 megapixels": lambda path: _written(path, _tiff()),
        "300 MB: zeros": lambda path: _written(path, _repeated(bytes(MIB), LARGE)),
        "300 MB: of no type": lambda path: _written(path, _repeated(STRIPE * 4096, LARGE)),
    }


def bombs() -> dict[str, Callable[[Path], None]]:
    """Return the writers of small files that claim, or grow to, far more than they are."""
    return {
        "PNG, 1 bit, 3,600 megapixels": lambda path: _written(path, _png(60_000, 1)),
        "PNG, 16 bits, 100 megapixels of zeros": lambda path: _written(path, _png(SIDE, 16)),
        "DICOM that inflates 1,000 times": lambda path: _written(path, _deflate_bomb()),
        "ZIP, an entry of 1 GiB of zeros": lambda path: _zip(path, {"film.dcm": _repeated(bytes(MIB), 2**30)}),
        "ZIP, an entry that lies about its size": lambda path: _lying_zip(path),
        "ZIP, 10,000 entries": lambda path: _zip(path, _many(10_000)),
        "ZIP, 60,000 entries": lambda path: _zip(path, _many(60_000)),
        "TIFF, 100 megapixels claimed": lambda path: _written(path, _tiff(claimed=True)),
        "TIFF, a strip of 4 GiB claimed": lambda path: path.write_bytes(_tiff_head(SIDE, 1, 2**32 - 1)),
        "TIFF, 100 megapixels deflated": lambda path: _written(path, _packed_tiff()),
        "JPEG 2000, 100 megapixels claimed": lambda path: path.write_bytes(_claiming(objects.J2K)),
        "HTJ2K, 100 megapixels claimed": lambda path: path.write_bytes(_claiming(objects.HTJ2K)),
        "RLE, 100 megapixels of one run": lambda path: path.write_bytes(_runs()),
        "JPEG, 100 megapixels, progressive, claimed": lambda path: path.write_bytes(_progressive()),
        "WebP, 100 megapixels claimed": lambda path: path.write_bytes(_webp()),
        "BMP, 100 megapixels of runs": lambda path: path.write_bytes(_bmp()),
    }


def folder(path: Path, count: int) -> None:
    """Write many small films: a hundred to a study, and some that are none."""
    path.mkdir()
    cells = ramp()
    for number in range(count):
        uids = {"StudyInstanceUID": f"{ROOT}7.{number // 100}", "SOPInstanceUID": f"{ROOT}6.{number}"}
        cells[0, :3] = [number % 4096, number // 4096, 7]
        (path / f"{number:05}.dcm").write_bytes(b"a note %d" % number if number % 50 == 0 else dicom(cells, **uids))


def _written(path: Path, pieces: Iterator[bytes]) -> None:
    with path.open("wb") as file:
        file.writelines(pieces)


def _repeated(piece: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, size, len(piece)):
        yield piece[: size - at]


def _plain_dicom(path: Path, rows: int, columns: int, frames: int, samples: int) -> None:
    """Write an uncompressed object of noise-free stripes: 16-bit grey, or 8-bit colour."""
    tiny = np.zeros((8, 8, 3), np.uint8) if samples == 3 else np.zeros((8, 8), np.uint16)
    film = dicom(tiny, EXPLICIT, bits=8 if samples == 3 else 16, Rows=rows, Columns=columns,
                 photometric="RGB" if samples == 3 else "MONOCHROME2", NumberOfFrames=frames)  # fmt: skip
    size = rows * columns * frames * (samples if samples == 3 else 2)
    head = film[: film.rfind(PIXEL_DATA)] + PIXEL_DATA + b"OW\0\0" + struct.pack("<L", size)
    _written(path, iter([head, *_repeated(STRIPE * 4096, size)]))


def _tiff_head(rows: int, compression: int, stored: int) -> bytes:
    entries = ((256, 4, SIDE), (257, 4, rows), (258, 3, 8), (259, 3, compression), (262, 3, 2), (273, 4, 150),
               (277, 3, 3), (278, 4, rows), (279, 4, stored))  # fmt: skip
    written = b"".join(struct.pack("<HHLL", tag, kind, 1, value) for tag, kind, value in entries)
    return (b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + written + bytes(4)).ljust(150, b"\0")


def _tiff(claimed: bool = False) -> Iterator[bytes]:
    """Give an uncompressed RGB page of 100 megapixels in one strip; only claimed, the strip has ten bytes."""
    yield _tiff_head(SIDE, 1, 10 if claimed else SIDE * SIDE * 3)
    yield from _repeated(STRIPE * 4096, 10 if claimed else SIDE * SIDE * 3)


def _packed_tiff() -> Iterator[bytes]:
    packed = b"".join(_deflated(_repeated(bytes(MIB), SIDE * SIDE * 3)))
    yield _tiff_head(SIDE, 8, len(packed))
    yield packed


def _deflated(pieces: Iterator[bytes], bits: int = 15) -> Iterator[bytes]:
    packer = zlib.compressobj(9, wbits=bits)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


def _png(side: int, depth: int) -> Iterator[bytes]:
    row = bytes(1 + (side * depth + 7) // 8)
    packed = b"".join(_deflated(_repeated(row, len(row) * side)))
    head = struct.pack(">LLBBBBB", side, side, depth, 0, 0, 0, 0)
    yield b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def _deflate_bomb() -> Iterator[bytes]:
    film = dicom(ramp(), objects.DEFLATED)
    start = 144 + int.from_bytes(film[140:144], "little")
    inner = zlib.decompress(film[start:], -15)
    at = inner.rfind(PIXEL_DATA)
    text = b"\x20\0\0\x40UT\0\0" + struct.pack("<L", 2**30)  # (0020,4000) *Image Comments*, of 1 GiB
    yield film[:start]
    yield from _deflated(iter([inner[:at], text, *_repeated(bytes(MIB), 2**30), inner[at:]]), -15)


def _zip(path: Path, entries: dict[str, Iterator[bytes]]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, pieces in entries.items():
            with archive.open(name, "w") as entry:
                for piece in pieces:
                    entry.write(piece)


def _many(count: int) -> dict[str, Iterator[bytes]]:
    film = dicom(ramp(), SOPInstanceUID=ROOT + "5.1", StudyInstanceUID=ROOT + "5")
    return {"film.dcm": iter([film])} | {f"{number}.txt": iter([b"note %d" % number]) for number in range(1, count)}


def _lying_zip(path: Path) -> None:
    """Declare 1,000 bytes of an entry that unpacks to 1 GiB."""
    _zip(path, {"film.dcm": iter([dicom(ramp()), *_repeated(bytes(MIB), 2**30)])})
    data = bytearray(path.read_bytes())
    central = data.rfind(b"PK\x01\x02")
    data[central + 24 : central + 28] = struct.pack("<L", 1000)
    path.write_bytes(data)


def _claiming(syntax: str) -> bytes:
    """Return a film whose header and stream agree on 100 megapixels, of which the stream holds a small part."""
    small = dicom(ramp(), syntax, Rows=SIDE, Columns=SIDE)
    at = small.find(b"\xff\x4f\xff\x51")
    side = struct.pack(">L", SIDE)
    return small[: at + 8] + side * 2 + small[at + 16 : at + 24] + side * 2 + small[at + 32 :]


def _runs() -> bytes:
    """Return a film of 100 megapixels in RLE, one value throughout: 1.6 MB."""
    segment = b"\x81\x07" * (SIDE * SIDE // 128)
    stream = struct.pack("<16L", 1, 64, *[0] * 14) + segment
    tiny = np.zeros((8, 8), np.uint8)
    return dicom(tiny, objects.RLE, bits=8, streams=[stream], Rows=SIDE, Columns=SIDE)


def _progressive() -> bytes:
    from tests.fuzz.pictures import pictures

    data = bytearray(pictures()["jpeg progressive"])
    at = data.find(b"\xff\xc2") + 5
    data[at : at + 4] = struct.pack(">HH", SIDE, SIDE)
    return bytes(data)


def _webp() -> bytes:
    from tests.fuzz.pictures import pictures

    data = bytearray(pictures()["webp lossless"])
    at = data.find(b"VP8L") + 9
    bits = int.from_bytes(data[at : at + 4], "little") & ~0x0FFFFFFF
    data[at : at + 4] = (bits | (SIDE - 1) | (SIDE - 1) << 14).to_bytes(4, "little")
    return bytes(data)


def _bmp() -> bytes:
    """Return a picture of 100 megapixels in runs of 250 pixels: 8 MB of one shade."""
    row = b"\xfa\x07" * (SIDE // 250) + b"\0\0"
    palette = b"".join(bytes([shade, shade, shade, 0]) for shade in range(256))
    runs = row * SIDE + b"\0\1"
    info = struct.pack("<LllHHLLllLL", 40, SIDE, SIDE, 1, 8, 1, len(runs), 0, 0, 256, 0)
    start = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<LLL", start + len(runs), 0, start) + info + palette + runs
