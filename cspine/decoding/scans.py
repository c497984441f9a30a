"""Whether the scans of a JPEG stream hold all of its picture.

libjpeg fills what is missing with grey, or with the line above, and gives no more than a warning that none of its
wrappers passes on. So a stream that was cut, and ends in its mark all the same, is told here: by a scan that is
missing, or by decoding it once more with further bits before the mark, which only a decoder that ran out of bits reads.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cspine.decoding.streams import BARE, EOI, SOS, JpegHeader
from cspine.errors import Refused
from cspine.reasons import Reason

PROGRESSIVE, LOSSLESS = 0xC2, 0xC3
COEFFICIENTS = 64
SIDE = 8  # of a block
FILL = b"\x55\x2a" * 32
MAX_SEGMENTS = 100_000
_MARKER = re.compile(rb"(?s)\xff([^\x00\xff\xd0-\xd7])")  # within a scan: what is no stuffed byte and no restart


def check_whole(data: bytes, header: JpegHeader, cells: NDArray[Any], decode: Callable[[bytes], NDArray[Any]]) -> None:
    """Raise `Refused` (truncated) where a Huffman-coded stream has fewer bits than its picture needs.

    Parameters
    ----------
    cells : (rows, columns) or (rows, columns, channels), what `decode` made of `data`.
    """
    if not (_has_one_scan(data, header) or _has_all_scans(list(_scans(data, header.scan_at)), header)):
        raise Refused("JPEG stream without all of its scans", Reason.TRUNCATED)
    if not _may_be_cut(cells, header):
        return
    end = next((place for marker, place in _segments(data, header.scan_at) if marker == EOI), len(data) + 2) - 2
    while data[end - 1] == 0xFF:  # fill bytes
        end -= 1
    if not np.array_equal(decode(data[:end] + FILL + data[end:]), cells):
        raise Refused("JPEG stream that ends before its picture", Reason.TRUNCATED)


def _scans(data: bytes, at: int) -> Iterator[bytes]:
    """Give the header of each scan: the number of its components, those, and what of them it holds."""
    for marker, place in _segments(data, at):
        if marker == SOS:
            yield data[place + 2 : place + int.from_bytes(data[place : place + 2], "big")]


def _has_one_scan(data: bytes, header: JpegHeader) -> bool:
    """Say whether the first scan holds all there is: then the entropy-coded bytes need not be searched for others."""
    return header.sof != PROGRESSIVE and next(_scans(data, header.scan_at), b"")[:1] == bytes([header.components])


def _segments(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    """Give the markers from the first scan's on to the end mark, each with the place behind it."""
    for _ in range(MAX_SEGMENTS):
        found = _MARKER.search(data, at)
        if found is None:
            return
        marker, at = found[1][0], found.end()
        yield marker, at
        if marker == EOI:
            return
        if marker not in BARE:
            at += int.from_bytes(data[at : at + 2], "big")
    raise Refused(f"more than {MAX_SEGMENTS} JPEG segments", Reason.CORRUPT)


def _has_all_scans(scans: list[bytes], header: JpegHeader) -> bool:
    """Say whether every component was sent, and in a progressive stream every coefficient to its last bit."""
    missing: dict[int, NDArray[np.uint8]] = defaultdict(lambda: np.ones(COEFFICIENTS, np.uint8))
    for scan in scans:
        count = scan[0] if scan else 0
        if len(scan) < 1 + 2 * count + 3:
            raise Refused("JPEG scan header", Reason.CORRUPT)
        first, last, low = scan[1 + 2 * count], scan[2 + 2 * count], scan[3 + 2 * count] & 15
        for component in scan[1 : 1 + 2 * count : 2]:
            if header.sof == PROGRESSIVE:
                missing[component][first : last + 1] = low
            else:
                missing[component][:] = 0
    return len(missing) >= header.components and not any(part.any() for part in missing.values())


def _may_be_cut(cells: NDArray[Any], header: JpegHeader) -> bool:
    """Say whether the last block is what libjpeg fills up with: middle grey, in a lossless stream the line above.

    Of progressive and four-channel streams it cannot be said.
    """
    if header.sof == PROGRESSIVE or header.components > 3:
        return True
    if header.sof == LOSSLESS:
        return np.array_equal(cells[-1:, -SIDE:], cells[-2:-1, -SIDE:]) or bool(np.ptp(cells[-1, -SIDE:]) == 0)
    return bool((cells[-SIDE:, -SIDE:] == 1 << header.precision - 1).all())
