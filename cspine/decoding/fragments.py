"""Encapsulated pixel data (PS3.5 A.4): fragments, put together to frames by what they begin with.

The Basic Offset Table is not needed for it and often wrong: a frame of JPEG or JPEG 2000 begins with its own marker, a
frame of RLE with its header. (It is to be one fragment; some writers part it all the same.)
"""

import re
import struct
from collections.abc import Iterator

from cspine.decoding.elements import ITEM, SEQUENCE_END, UNDEFINED
from cspine.decoding.source import Source
from cspine.decoding.syntax import Codec
from cspine.errors import Refused
from cspine.reasons import Reason

STARTS: dict[Codec, tuple[bytes, ...]] = {
    "jpeg": (b"\xff\xd8",),
    "jpegls": (b"\xff\xd8",),
    "jpeg2000": (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  "),
    "htj2k": (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  "),
}


_RLE_START = re.compile(rb"[\x01-\x0f]\0\0\0\x40\0\0\0")  # number of segments, place of the first (PS3.5 G.5)


def begins_frame(fragment: bytes, codec: Codec) -> bool:
    """Say whether a fragment is the first of its frame."""
    if codec == "rle":
        return _RLE_START.match(fragment) is not None
    return codec == "plain" or fragment.startswith(STARTS[codec])


def fragments(source: Source) -> Iterator[bytes]:
    """Give the fragments after the offset table; raises `Refused` (truncated, corrupt).

    A missing end mark is let pass where the last fragment is whole.
    """
    first = True
    while True:
        head = source.peek(8)
        if len(head) < 8 and not first:
            return
        group, number, length = struct.unpack("<HHL", source.read(8))
        tag = group << 16 | number
        if tag == SEQUENCE_END:
            return
        if tag != ITEM or length == UNDEFINED:
            raise Refused("no fragment where one must be", Reason.CORRUPT)
        if first:
            source.skip(length)
            first = False
        else:
            yield source.read(length)


def frames(source: Source, codec: Codec, count: int) -> Iterator[bytes]:
    """Give the bytes of each frame, at most one more than `count`; raises `Refused` (truncated, corrupt)."""
    parts: list[bytes] = []
    given = 0
    for fragment in fragments(source):
        if not fragment:
            continue
        begins = begins_frame(fragment, codec)
        if not parts and not begins:
            raise Refused("the stream does not begin as its transfer syntax says", Reason.CORRUPT)
        if parts and begins:
            yield b"".join(parts)
            given += 1
            parts = []
            if given > count:
                return
        parts.append(fragment)
    if parts:
        yield b"".join(parts)
        given += 1
    if given < count:
        raise Refused(f"{given} frames of {count}", Reason.TRUNCATED)
