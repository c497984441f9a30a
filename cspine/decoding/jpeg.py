"""The size of a JPEG picture, told by its frame header; no segment before it is read, however large."""

import re
import struct
from typing import BinaryIO

from cspine.decoding.streams import BARE, EOI, FRAMES, SOS
from cspine.errors import Refused
from cspine.reasons import Reason

WINDOW = 2**12
_MARKER = re.compile(rb"(?s)\xff([^\x00\xff])")


def read_size(file: BinaryIO) -> tuple[int, int]:
    """Return rows and columns; what lies between two segments is passed over, as decoders do.

    Raises `Refused` (truncated, corrupt).
    """
    at = 2
    while True:
        file.seek(at)
        window = file.read(WINDOW)
        found = _MARKER.search(window)
        if found is None:
            if len(window) < 2:
                raise Refused("JPEG stream ends in its header", Reason.TRUNCATED)
            at += len(window) - 1  # a marker may begin with the last byte
            continue
        marker, at = found[1][0], at + found.end()
        if marker in BARE:
            continue
        if marker in {EOI, SOS}:
            raise Refused("JPEG stream without a frame header", Reason.CORRUPT)
        file.seek(at)
        segment = file.read(7)
        if len(segment) < 7:
            raise Refused("JPEG stream ends in its header", Reason.TRUNCATED)
        length, _, rows, columns = struct.unpack(">HBHH", segment)
        if length < 2:
            raise Refused("JPEG segment of no length", Reason.CORRUPT)
        if marker in FRAMES:
            return rows, columns
        at += length
