"""Whether a picture file is all there: a cut one is refused, no half-grey picture is ever scored."""

import io
import struct
import zlib
from typing import BinaryIO

from cspine.decoding.kinds import Kind
from cspine.decoding.streams import read_jpeg
from cspine.errors import Refused
from cspine.reasons import Reason

CHECKED = {b"IHDR", b"PLTE", b"IDAT", b"tRNS"}
PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
PIECE = 2**20


def is_complete(file: BinaryIO, kind: Kind) -> bool:
    """Say whether the file reaches to the end of its picture; bytes behind it do not matter.

    Raises `Refused` (corrupt) where it does, and a checksum on the way does not hold.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if kind == "png":
        return _png(file, size)
    if kind == "jpeg":
        try:
            read_jpeg(file.read())
        except Refused as error:
            return error.reason is not Reason.TRUNCATED
        return True
    if kind == "webp":
        return size >= 8 + int.from_bytes(file.read(8)[4:], "little")
    if kind == "bmp":
        return _bmp(file.read(54), size)
    return True  # the pages of a TIFF are checked one by one


def _png(file: BinaryIO, size: int) -> bool:
    """Follow the chunks to the last, their checksums too, which Pillow leaves aside for the pixels."""
    at = 8
    while at + 12 <= size:
        file.seek(at)
        length, name = struct.unpack(">L4s", file.read(8))
        at += 12 + length
        if at > size:
            return False
        if name == b"IEND":
            return True
        if name in CHECKED and not _sum_holds(file, name, length):
            raise Refused(f"png chunk {name!r}", Reason.CORRUPT)
    return False


def png_rows_are_there(file: BinaryIO) -> bool:
    """Say whether the pixels of a sound PNG reach to its last row; where they end early, Pillow leaves the rest black.

    An interlaced one is not looked at: there Pillow refuses.
    """
    file.seek(16)
    columns, rows, depth, colour, *_, interlaced = struct.unpack(">LLBBBBB", file.read(13))
    missing = 0 if interlaced else rows * (1 + (columns * depth * PNG_SAMPLES.get(colour, 1) + 7) // 8)
    inflate, at = zlib.decompressobj(), 8
    while missing > 0:
        file.seek(at)
        length, name = struct.unpack(">L4s", file.read(8).ljust(8, b"\0"))
        at += 12 + length
        if name == b"IEND" or not name.strip(b"\0"):
            return False
        packed = file.read(length) if name == b"IDAT" else b""
        while packed and missing > 0:
            try:
                missing -= len(inflate.decompress(packed, PIECE))
            except zlib.error:
                return False
            packed = inflate.unconsumed_tail
    return True


def _sum_holds(file: BinaryIO, name: bytes, length: int) -> bool:
    total = zlib.crc32(name)
    while length and (piece := file.read(min(length, PIECE))):
        total = zlib.crc32(piece, total)
        length -= len(piece)
    return total == int.from_bytes(file.read(4), "big")


def _bmp(head: bytes, size: int) -> bool:
    if len(head) < 54:
        return False
    offset, header = struct.unpack_from("<LL", head, 10)
    if header < 40:
        return True  # the oldest form has no compression; Pillow misses what is not there
    width, height, _, bits, compression, packed = struct.unpack_from("<llHHLL", head, 18)
    row = (abs(width) * bits + 31) // 32 * 4
    return bool(size >= offset + (row * abs(height) if compression in {0, 3} else packed))
