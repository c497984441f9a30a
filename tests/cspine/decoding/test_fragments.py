"""Encapsulated pixel data: frames in several fragments, tables that lie, ends that are missing."""

import struct

import numpy as np
import pytest

from cspine.errors import Refused
from cspine.reasons import Reason
from cspine.settings import Settings
from tests.cspine.decoding import objects
from tests.cspine.decoding.objects import dicom, opened, picture, ramp

ITEM, END = b"\xfe\xff\0\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"


def encapsulated(fragments: list[bytes], table: bytes = b"", end: bytes = END, **attributes: object) -> bytes:
    """Write a JPEG 2000 object whose pixel data are these fragments behind this offset table."""
    data = dicom(ramp(), objects.J2K, **attributes)
    start = data.index(b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff") + 12
    items = [table, *(fragment + b"\0" * (len(fragment) % 2) for fragment in fragments)]
    return data[:start] + b"".join(ITEM + struct.pack("<L", len(item)) + item for item in items) + end


STREAM = objects.ENCODERS[objects.J2K](ramp(), 12)
OTHER = objects.ENCODERS[objects.J2K](ramp()[::-1].copy(), 12)
PARTS = [STREAM[:100], STREAM[100:400], STREAM[400:]]


@pytest.mark.parametrize("table", [b"", struct.pack("<L", 0), struct.pack("<2L", 0, 99999)])
def test_a_frame_in_several_fragments_with_any_table(table: bytes, settings: Settings) -> None:
    assert np.array_equal(picture(encapsulated(PARTS, table), settings), picture(dicom(ramp()), settings))


def test_two_frames_of_several_fragments(settings: Settings) -> None:
    frames = opened(encapsulated([*PARTS, OTHER[:200], OTHER[200:]], NumberOfFrames=2), settings).frames
    assert np.array_equal(frames[1].pixels, picture(dicom(ramp()[::-1].copy()), settings))


def test_a_missing_end_mark_is_let_pass_where_the_frames_are_whole(settings: Settings) -> None:
    assert np.array_equal(picture(encapsulated(PARTS, end=b""), settings), picture(dicom(ramp()), settings))


def test_rle_frames_in_several_fragments(settings: Settings) -> None:
    """PS3.5 A.4.2 wants one fragment a frame; dcmcrle +fs writes several."""
    one, two = (objects.run_lengths(cells) for cells in (ramp(), ramp()[::-1].copy()))
    data = encapsulated([one[:100], one[100:], two[:700], two[700:]], NumberOfFrames=2)
    frames = opened(objects.renamed(data, objects.J2K, objects.RLE), settings).frames
    assert np.array_equal(frames[0].pixels, picture(dicom(ramp()), settings))
    assert np.array_equal(frames[1].pixels, picture(dicom(ramp()[::-1].copy()), settings))


def test_an_empty_fragment_is_nothing(settings: Settings) -> None:
    assert len(opened(encapsulated([b"", *PARTS, b""]), settings).frames) == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encapsulated(PARTS, NumberOfFrames=2), Reason.TRUNCATED),
        (encapsulated([]), Reason.TRUNCATED),
        (encapsulated(PARTS)[:-60], Reason.TRUNCATED),
        (encapsulated(PARTS[1:]), Reason.CORRUPT),
        (encapsulated([STREAM], end=b"\x17" * 16), Reason.CORRUPT),
        (encapsulated([STREAM], end=ITEM + b"\xff\xff\xff\xff"), Reason.CORRUPT),
        (encapsulated([STREAM], end=ITEM + b"\xf0\xff\xff\x7f"), Reason.TRUNCATED),
    ],
)
def test_what_does_not_add_up_is_refused(data: bytes, reason: Reason, settings: Settings) -> None:
    with pytest.raises(Refused) as refused:
        opened(data, settings)
    assert refused.value.reason is reason


def test_encapsulated_uncompressed_frames(settings: Settings) -> None:
    plain = b"1.2.840.10008.1.2.1.98"
    cells = ramp().tobytes()
    data = encapsulated([cells]).replace(objects.J2K.encode(), plain)
    assert np.array_equal(picture(data, settings), picture(dicom(ramp()), settings))
    with pytest.raises(Refused) as refused:
        opened(encapsulated([cells[:-2]]).replace(objects.J2K.encode(), plain), settings)
    assert refused.value.reason is Reason.TRUNCATED
