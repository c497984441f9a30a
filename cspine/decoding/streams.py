"""The headers of compressed streams, read by ourselves before a decoder in C may see them.

A decoder that believes a damaged header reads or writes beyond its buffers, or never ends; so what a stream claims is
read here and compared with the data set in `codecs`. Odd but legal streams pass: fill bytes before markers, a number of
lines given only behind the scan (DNL), tile-parts in any order, bytes after the end.
"""

import itertools
import re
import struct
from collections import Counter
from dataclasses import dataclass

from cspine.errors import Refused
from cspine.reasons import Reason

SOI, EOI, SOS, DNL, APP0, APP14, JPEG_LS = 0xD8, 0xD9, 0xDA, 0xDC, 0xE0, 0xEE, 0xF7
FRAMES = {*range(0xC0, 0xD0), JPEG_LS} - {0xC4, 0xC8, 0xCC}  # SOF markers
BARE = {0x01, *range(0xD0, 0xD8)}  # markers without a segment
J2K_START, J2K_TILE, J2K_END = b"\xff\x4f\xff\x51", b"\xff\x90", b"\xff\xd9"
QCD, QCC = 0x5C, 0x5D
QUANTIZATION, IRREVERSIBLE = {QCD, QCC}, {1, 2}
MAX_BIT_PLANES = 31  # guard bits and exponent together
MAX_TILES = 65535
RLE_HEADER = 64
_FILL = re.compile(rb"\xff+")


@dataclass(frozen=True)
class StreamHeader:
    """What a compressed frame says of itself."""

    rows: int
    columns: int
    components: int
    precision: int


@dataclass(frozen=True)
class JpegHeader(StreamHeader):
    """A JPEG or JPEG-LS frame: its SOF marker, where that gives the lines, its colour space, and its first scan."""

    sof: int
    lines_at: int
    is_rgb: bool
    scan_at: int


def read_jpeg(data: bytes) -> JpegHeader:
    """Read the header of a JPEG or JPEG-LS stream up to its first scan, and see that the stream has its end marker.

    Raises `Refused` (corrupt, truncated).
    """
    if data[:2] != b"\xff\xd8":
        raise Refused("no JPEG stream", Reason.CORRUPT)
    at, frame, adobe, jfif = 2, -1, None, False
    sof = 0
    while True:
        before = at
        marker, at = _next_marker(data, at)
        if marker in BARE:
            continue
        if marker == EOI:
            raise Refused("JPEG stream without a scan", Reason.CORRUPT)
        length = int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or at + length > len(data):
            raise Refused("JPEG stream ends in its header", Reason.TRUNCATED)
        if length < 2:
            raise Refused("JPEG segment of no length", Reason.CORRUPT)
        if marker in FRAMES:
            if frame >= 0 or length < 8:
                raise Refused("JPEG stream with a second or broken frame header", Reason.CORRUPT)
            frame, sof = at + 2, marker
        elif marker == APP14 and data[at + 2 : at + 7] == b"Adobe" and length >= 14:
            adobe = data[at + 13]
        elif marker == APP0 and data[at + 2 : at + 6] == b"JFIF":
            jfif = True
        at += length
        if marker == SOS:
            break
    if frame < 0:
        raise Refused("JPEG scan without a frame header", Reason.CORRUPT)
    precision, rows, columns, components = struct.unpack_from(">BHHB", data, frame)
    if frame + 6 + 3 * components > len(data):
        raise Refused("JPEG frame header without its components", Reason.CORRUPT)
    if data.rfind(b"\xff\xd9", at) < 0:
        raise Refused("JPEG stream without its end", Reason.TRUNCATED)
    if rows == 0:
        lines = data.rfind(b"\xff\xdc\x00\x04", at)
        rows = int.from_bytes(data[lines + 4 : lines + 6], "big") if lines >= 0 else 0
    names = bytes(data[frame + 6 + 3 * index] for index in range(components))
    is_rgb = adobe == 0 if adobe is not None else not jfif and names == b"RGB"
    return JpegHeader(rows, columns, components, precision, sof, frame + 1, is_rgb, before)


def _next_marker(data: bytes, at: int) -> tuple[int, int]:
    filled = _FILL.match(data, at)
    end = filled.end() if filled else at
    if end >= len(data):
        raise Refused("JPEG stream ends in its header", Reason.TRUNCATED)
    if end == at or data[end] == 0:
        raise Refused("no marker where JPEG must have one", Reason.CORRUPT)
    return data[end], end + 1


@dataclass(frozen=True)
class Jpeg2000Header(StreamHeader):
    """A JPEG 2000 codestream: its place, whether it is a high-throughput one, and whether it says where it ends."""

    start: int
    high_throughput: bool
    open_end: bool


def read_jpeg2000(data: bytes) -> Jpeg2000Header:
    """Read the main header of a JPEG 2000 codestream (in a JP2 box or bare) and follow its tile-parts to the end.

    Raises `Refused` (corrupt, truncated, bad_geometry).
    """
    start = data.find(J2K_START)
    if start < 0 or len(data) < start + 45:
        raise Refused("no JPEG 2000 codestream", Reason.CORRUPT)
    capabilities, right, bottom, left, top, wide, high, tile_left, tile_top, components = struct.unpack_from(
        ">HLLLLLLLLH", data, start + 6
    )
    length = int.from_bytes(data[start + 4 : start + 6], "big")
    if length != 38 + 3 * components or not components:
        raise Refused("JPEG 2000 SIZ segment of a wrong length", Reason.CORRUPT)
    if right <= left or bottom <= top or not wide or not high or tile_left > left or tile_top > top:
        raise Refused("JPEG 2000 image area", Reason.BAD_GEOMETRY)
    tiles = -(-(right - tile_left) // wide) * -(-(bottom - tile_top) // high)
    if tiles > MAX_TILES:
        raise Refused(f"{tiles} tiles", Reason.CORRUPT)
    parts = [data[start + 42 + 3 * index : start + 45 + 3 * index] for index in range(components)]
    if any(len(part) < 3 or part[1] != 1 or part[2] != 1 for part in parts):
        raise Refused("subsampled JPEG 2000 components", Reason.UNSUPPORTED_PIXEL_TYPE)
    precision = max((part[0] & 0x7F) + 1 for part in parts)
    high_throughput = bool(capabilities & 0x4000)
    open_end = _follow_tiles(data, _follow_header(data, start + 4 + length, high_throughput), tiles)
    return Jpeg2000Header(bottom - top, right - left, components, precision, start, high_throughput, open_end)


def _follow_header(data: bytes, at: int, high_throughput: bool) -> int:
    """Follow the segments of the main header and return the place of the first tile-part."""
    while data[at : at + 2] != J2K_TILE:
        if at + 4 > len(data):
            raise Refused("JPEG 2000 codestream ends in its header", Reason.TRUNCATED)
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at] != 0xFF or length < 2:
            raise Refused("no marker where JPEG 2000 must have one", Reason.CORRUPT)
        if high_throughput and data[at + 1] in QUANTIZATION:
            _check_bit_planes(data[at + 4 : at + 2 + length], data[at + 1])
        at += 2 + length
    return at


def _follow_tiles(data: bytes, at: int, tiles: int) -> bool:
    """Follow the tile-parts to the end, see that every tile came, and say whether the last part gives no length."""
    seen: Counter[int] = Counter()  # parts of each tile
    declared: dict[int, int] = {}  # how many it has, where one of them says so
    while data[at : at + 2] == J2K_TILE:
        if at + 12 > len(data):
            raise Refused("JPEG 2000 codestream ends in a tile header", Reason.TRUNCATED)
        tile, length, _, parts = struct.unpack_from(">HLBB", data, at + 4)
        if tile >= tiles or (length and length < 12):
            raise Refused("JPEG 2000 tile-part header", Reason.CORRUPT)
        seen[tile] += 1
        declared[tile] = max(parts, declared.get(tile, 0))
        if not length:  # the last one: it reaches to the end of the codestream
            if data.rfind(J2K_END, at) < 0:
                raise Refused("JPEG 2000 codestream without its end", Reason.TRUNCATED)
            break
        at += length
    else:
        if at > len(data):
            raise Refused("JPEG 2000 codestream ends in a tile", Reason.TRUNCATED)
        if data[at : at + 2] != J2K_END and data[at:].strip(b"\0"):
            raise Refused("no tile-part where JPEG 2000 must have one", Reason.CORRUPT)
        length = 1
    if len(seen) < tiles or any(seen[tile] < count for tile, count in declared.items()):
        raise Refused(f"parts of {len(seen)} of {tiles} JPEG 2000 tiles", Reason.TRUNCATED)
    return not length


def _check_bit_planes(body: bytes, marker: int) -> None:
    """Refuse an irreversible subband of more bit planes than OpenJPH has room for: it would read beyond its buffer."""
    if marker == QCC:
        body = body[1:]  # of a component; pictures here have at most 3
    style, guard = (body[0] & 31, body[0] >> 5) if body else (0, 0)
    if style in IRREVERSIBLE and any(guard + (exponent >> 3) > MAX_BIT_PLANES for exponent in body[1::2]):
        raise Refused("HTJ2K subband of too many bit planes", Reason.CORRUPT)


def check_rle(data: bytes, segments: int) -> None:
    """Check the header of an RLE frame (PS3.5 G.5) against the number of byte planes; raises `Refused` (corrupt)."""
    if len(data) < RLE_HEADER:
        raise Refused("RLE frame shorter than its header", Reason.TRUNCATED)
    count, *offsets = struct.unpack_from("<16L", data)
    if count != segments:
        raise Refused(f"{count} RLE segments, not {segments}", Reason.CORRUPT)
    used = [*offsets[:count], len(data)]
    if used[0] != RLE_HEADER:
        raise Refused("RLE offsets", Reason.CORRUPT)
    if any(later < earlier for earlier, later in itertools.pairwise(used)):
        reason = Reason.TRUNCATED if offsets[:count] == sorted(offsets[:count]) else Reason.CORRUPT
        raise Refused("RLE offsets", reason)
