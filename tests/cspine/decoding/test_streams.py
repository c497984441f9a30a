"""The checks of compressed streams: what is odd but legal passes, what lies is refused by name."""

import struct

import imagecodecs
import pytest

from cspine.decoding.streams import check_rle, read_jpeg, read_jpeg2000
from cspine.errors import Refused
from cspine.reasons import Reason
from tests.cspine.decoding.objects import ramp, run_lengths

J2K = imagecodecs.jpeg2k_encode(ramp(), 0, codecformat="j2k", bitspersample=12)
TILED = imagecodecs.htj2k_encode(ramp(64, 64), reversible=True, tile=(32, 32))
JPEG = imagecodecs.jpeg8_encode(ramp(), lossless=True, bitspersample=12)


def patched(data: bytes, at: int, value: bytes) -> bytes:
    """Put bytes into a stream."""
    return data[:at] + value + data[at + len(value) :]


def test_the_headers_of_sound_streams() -> None:
    jpeg = read_jpeg(JPEG)
    assert (jpeg.rows, jpeg.columns, jpeg.components, jpeg.precision, jpeg.sof) == (24, 32, 1, 12, 0xC3)
    jpeg2000 = read_jpeg2000(J2K)
    assert (jpeg2000.rows, jpeg2000.columns, jpeg2000.components, jpeg2000.precision) == (24, 32, 1, 12)
    assert not jpeg2000.high_throughput
    assert read_jpeg2000(imagecodecs.htj2k_encode(ramp(), reversible=True)).high_throughput
    assert (read_jpeg2000(TILED).rows, read_jpeg2000(TILED).columns) == (64, 64)
    check_rle(run_lengths(ramp()), 2)


def test_fill_bytes_before_a_marker_are_legal() -> None:
    """ISO 10918-1 B.1.1.2: any number of them."""
    assert read_jpeg(JPEG[:2] + b"\xff" * 2**20 + JPEG[2:]).rows == 24


def test_rgb_is_told_by_adobe_or_by_the_names_of_the_components() -> None:
    cells = ramp(bits=8).astype("u1")[..., None].repeat(3, axis=2)
    assert read_jpeg(imagecodecs.jpeg8_encode(cells, colorspace="RGB", outcolorspace="RGB")).is_rgb
    assert not read_jpeg(imagecodecs.jpeg8_encode(cells)).is_rgb


def test_a_codestream_that_ends_after_its_last_tile_without_the_mark_is_whole() -> None:
    assert read_jpeg2000(J2K[:-2]).rows == 24
    assert read_jpeg2000(J2K[:-2] + b"\0").rows == 24  # a fragment has an even length
    with pytest.raises(Refused):
        read_jpeg2000(J2K[:-2] + b"\1")


def test_a_last_tile_part_of_unknown_length_reaches_to_the_end() -> None:
    """ISO 15444-1 A.4.2: Psot may be 0 in the last one."""
    at = J2K.index(b"\xff\x90") + 6
    assert read_jpeg2000(patched(J2K, at, b"\0\0\0\0")).rows == 24
    with pytest.raises(Refused) as refused:
        read_jpeg2000(patched(J2K, at, b"\0\0\0\0")[:-2])
    assert refused.value.reason is Reason.TRUNCATED


def test_a_tile_that_never_came_is_told() -> None:
    """A gateway that dropped a tile-part and ended the stream all the same."""
    starts = [at for at in range(len(TILED)) if TILED[at : at + 4] == b"\xff\x90\0\x0a"]
    assert len(starts) == 4
    for cut in (TILED[: starts[2]] + b"\xff\xd9", TILED[: starts[0]] + TILED[starts[1] :]):
        with pytest.raises(Refused) as refused:
            read_jpeg2000(cut)
        assert refused.value.reason is Reason.TRUNCATED
    again = TILED[: starts[1]] + patched(TILED[starts[0] : starts[1]], 10, b"\1\0") + TILED[starts[1] :]
    both = patched(again, starts[0] + 11, b"\2")  # two parts of the first tile, and the second does not repeat it
    assert read_jpeg2000(both).rows == 64
    parts = patched(J2K, J2K.index(b"\xff\x90") + 11, b"\2")  # TNsot: two parts of this tile, and one is there
    with pytest.raises(Refused) as refused:
        read_jpeg2000(parts)
    assert refused.value.reason is Reason.TRUNCATED


TILE = J2K.index(b"\xff\x90")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.CORRUPT),
        (J2K[:30], Reason.CORRUPT),
        (J2K[: TILE - 4], Reason.TRUNCATED),
        (J2K[: TILE + 8], Reason.TRUNCATED),
        (J2K[:-40], Reason.TRUNCATED),
        (patched(J2K, 8, struct.pack(">L", 0)), Reason.BAD_GEOMETRY),  # Xsiz
        (patched(J2K, 24, struct.pack(">L", 0)), Reason.BAD_GEOMETRY),  # XTsiz
        (patched(J2K, 8, struct.pack(">LL", 100_000, 100_000)), Reason.CORRUPT),  # more tiles than can be numbered
        (patched(J2K, 43, b"\2"), Reason.UNSUPPORTED_PIXEL_TYPE),  # XRsiz
        (patched(J2K, 40, b"\0\7"), Reason.CORRUPT),  # Csiz
        (patched(J2K, TILE + 4, b"\0\5"), Reason.CORRUPT),  # Isot
        (patched(J2K, TILE + 6, struct.pack(">L", 5)), Reason.CORRUPT),  # Psot
        (patched(J2K, TILE + 6, struct.pack(">L", 2**31)), Reason.TRUNCATED),
    ],
)
def test_jpeg_2000_that_lies(data: bytes, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        read_jpeg2000(data)
    assert refused.value.reason is reason


HTJ2K = imagecodecs.htj2k_encode(ramp(), 0.0001, reversible=False)
QCD = HTJ2K.index(b"\xff\x5c") + 4  # its body: style and guard bits, then exponent and mantissa of each subband


def test_htj2k_of_more_bit_planes_than_its_decoder_has_room_for_is_refused() -> None:
    """OpenJPH reads beyond its buffer where guard bits and exponent add up to 32."""
    assert read_jpeg2000(HTJ2K).rows == 24
    style = HTJ2K[QCD] & 31
    for guard, exponent, allowed in ((1, 30, True), (1, 31, False), (7, 25, False), (7, 24, True)):
        data = patched(patched(HTJ2K, QCD, bytes([guard << 5 | style])), QCD + 1, bytes([exponent << 3, 0]))
        if allowed:
            assert read_jpeg2000(data).rows == 24
            continue
        with pytest.raises(Refused) as refused:
            read_jpeg2000(data)
        assert refused.value.reason is Reason.CORRUPT


SOF = JPEG.index(b"\xff\xc3")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.CORRUPT),
        (JPEG[:SOF], Reason.TRUNCATED),
        (JPEG[: SOF + 6], Reason.TRUNCATED),
        (JPEG[:-2], Reason.TRUNCATED),
        (patched(JPEG, SOF + 2, b"\0\1"), Reason.CORRUPT),
        (patched(JPEG, SOF + 2, b"\xff\xff"), Reason.TRUNCATED),
        (patched(JPEG, SOF, b"\xff\xd9"), Reason.CORRUPT),
        (patched(JPEG, SOF, b"\x00\xc3"), Reason.CORRUPT),
        (JPEG[:2] + JPEG[SOF : SOF + 13] + JPEG[2:], Reason.CORRUPT),
    ],
)
def test_jpeg_that_lies(data: bytes, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        read_jpeg(data)
    assert refused.value.reason is reason


RLE = run_lengths(ramp())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (RLE[:60], Reason.TRUNCATED),
        (patched(RLE, 0, b"\1"), Reason.CORRUPT),
        (patched(RLE, 0, b"\xff\xff\xff\xff"), Reason.CORRUPT),
        (patched(RLE, 4, b"\0\0\0\0"), Reason.CORRUPT),
        (patched(RLE, 8, b"\x10\0\0\0"), Reason.CORRUPT),
        (patched(RLE, 8, b"\xff\xff\xff\x7f"), Reason.TRUNCATED),
    ],
)
def test_rle_that_lies(data: bytes, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        check_rle(data, 2)
    assert refused.value.reason is reason
