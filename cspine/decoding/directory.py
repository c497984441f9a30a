"""The directory of a TIFF page (TIFF 6.0, BigTIFF): only the values that are wanted are read."""

from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from cspine.errors import Refused
from cspine.reasons import Reason

Numbers = NDArray[np.integer]
Directory = dict[int, Numbers]  # tag -> its numbers, one at least
TYPES = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 8: "i2", 9: "i4", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}
WANTED = np.array([254, 256, 257, 258, 259, 262, 273, 274, 277, 279, 284, 324, 325, 338, 339], np.uint16)
MAX_ENTRIES = 65535


@dataclass(frozen=True)
class Form:
    """How the numbers of a file are written: their order, and whether it is a BigTIFF."""

    order: str
    big: bool

    @classmethod
    def of(cls, head: bytes) -> "Form":
        """Tell it from the first four bytes."""
        return cls("<" if head[:2] == b"II" else ">", b"+" in head[2:4])

    @property
    def width(self) -> int:
        """The bytes of an offset."""
        return 8 if self.big else 4

    def offset(self, data: bytes) -> int:
        """Read a number of any size."""
        return int.from_bytes(data, "little" if self.order == "<" else "big")


def read_directory(file: BinaryIO, at: int, form: Form, size: int) -> tuple[Directory, int]:
    """Read the directory at `at` of a file of `size` bytes and say where the next one is, 0 for none.

    Of a tag that is there twice the first counts. Raises `Refused` (truncated, corrupt).
    """
    file.seek(at)
    count = form.offset(file.read(8 if form.big else 2))
    if count > MAX_ENTRIES:
        raise Refused(f"TIFF directory of {count} entries", Reason.CORRUPT)
    width = form.width
    fields = [("tag", f"{form.order}u2"), ("type", f"{form.order}u2"), ("count", f"{form.order}u{width}")]
    entry = np.dtype([*fields, ("value", f"V{width}")])
    packed = file.read(count * entry.itemsize)
    if len(packed) < count * entry.itemsize:
        raise Refused("the file ends in a TIFF directory", Reason.TRUNCATED)
    following = form.offset(file.read(width))
    table = np.frombuffer(packed, entry)
    directory: Directory = {}
    for row in table[np.isin(table["tag"], WANTED)][: 4 * len(WANTED)]:
        tag, kind, numbers = int(row["tag"]), TYPES.get(int(row["type"])), int(row["count"])
        if kind is None or not numbers or tag in directory:
            continue
        cells = np.dtype(form.order + kind)
        value = row["value"].tobytes()
        if (length := numbers * cells.itemsize) > width:
            place = form.offset(value)
            if place + length > size:
                raise Refused("a value of a TIFF directory lies beyond the end", Reason.TRUNCATED)
            file.seek(place)
            value = file.read(length)
        directory[tag] = np.frombuffer(value[:length], cells)
    return directory, following
