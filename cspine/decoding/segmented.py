"""Segmented palettes (PS3.3 C.7.9.2): a table written as runs of values, straight lines and repetitions of both."""

import numpy as np
from numpy.typing import NDArray

DISCRETE, LINEAR, INDIRECT = 0, 1, 2

Words = NDArray[np.uint8] | NDArray[np.uint16]


def expand(segments: Words, count: int) -> NDArray[np.uint16] | None:
    """Write a segmented table out.

    Parameters
    ----------
    segments : uint8 or uint16 (n,): operation, length, values; as wide as the entries of the table.
    count : entries that the descriptor gives the table; what is beyond them is never made.

    Returns
    -------
    uint16 (count,), or None where the segments do not make that table.
    """
    entries: list[int] = []
    at = 0
    while len(entries) < count and at + 1 < len(segments):
        operation, length = int(segments[at]), int(segments[at + 1])
        if operation != INDIRECT:
            at = _write(segments, at, entries, count)
        else:
            parts = 4 if segments.itemsize == 1 else 2
            offset = int.from_bytes(
                segments[at + 2 : at + 2 + parts].astype(segments.dtype.newbyteorder("<")), "little"
            )
            place = offset // segments.itemsize  # the offset is in bytes
            for _ in range(length):
                place = _write(segments, place, entries, count)
                if place < 0 or len(entries) >= count:
                    break
            at = -1 if place < 0 else at + 2 + parts
        if at < 0:
            return None
    return np.array(entries, np.uint16) if len(entries) == count else None


def _write(segments: Words, at: int, entries: list[int], count: int) -> int:
    """Write one discrete or linear segment and return where the next one begins; -1 where it is none."""
    if at + 2 >= len(segments):
        return -1
    operation, length = int(segments[at]), int(segments[at + 1])
    if operation == DISCRETE and length and at + 2 + length <= len(segments):
        entries += map(int, segments[at + 2 : at + 2 + min(length, count - len(entries))])
        return at + 2 + length
    if operation == LINEAR and entries and length:
        first, last = entries[-1], int(segments[at + 2])
        steps = np.arange(1, min(length, count - len(entries)) + 1)
        entries += map(int, np.floor(first + steps * (last - first) / length + 0.5))
        return at + 3
    return -1
