"""Every transfer syntax gives back the cells that were encoded, and a stream that contradicts its header is refused."""

import struct

import imagecodecs
import numpy as np
import pytest

from cspine.errors import Refused
from cspine.reasons import Reason
from cspine.settings import Settings
from tests.cspine.decoding import objects
from tests.cspine.decoding.objects import dicom, opened, picture, ramp, renamed

EXACT = [
    objects.RLE, objects.LOSSLESS, objects.LOSSLESS_SV1, objects.JPEGLS, objects.J2K, objects.HTJ2K, objects.HTJ2K_RPCL,
]  # fmt: skip
PLAIN = [objects.IMPLICIT, objects.EXPLICIT, objects.DEFLATED, objects.BIG_ENDIAN]
LOSSY = [objects.EXTENDED, objects.JPEGLS_NEAR, objects.J2K_LOSSY, objects.HTJ2K_LOSSY]
FULL_12 = {"WindowCenter": "2048", "WindowWidth": "4096"}


def expected(cells: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """Return the window 2048/4096 of 12 bits by the formula of PS3.3 C.11.2.1.2.1."""
    return np.floor(np.clip(((cells - 2047.5) / 4095 + 0.5) * 255, 0, 255) + 0.5)


@pytest.mark.parametrize("syntax", [*PLAIN, *EXACT])
def test_a_syntax_without_loss_gives_the_very_picture(syntax: str, settings: Settings) -> None:
    cells = np.random.default_rng(1).integers(0, 4096, (24, 32), np.uint16)
    assert np.array_equal(picture(dicom(cells, syntax, **FULL_12), settings), expected(cells))


@pytest.mark.parametrize("syntax", LOSSY)
def test_a_lossy_syntax_gives_nearly_the_picture(syntax: str, settings: Settings) -> None:
    cells = ramp()
    difference = np.abs(picture(dicom(cells, syntax, **FULL_12), settings) - expected(cells))
    assert difference.max() <= 2


@pytest.mark.parametrize("syntax", [*EXACT, *PLAIN])
def test_16_bits(syntax: str, settings: Settings) -> None:
    cells = np.random.default_rng(2).integers(0, 65536, (24, 32), np.uint16)
    cells[0, :2] = 0, 65535
    wanted = np.floor(cells.astype(float) * 255 / 65535 + 0.5)
    assert np.array_equal(picture(dicom(cells, syntax, bits=16), settings), wanted)


@pytest.mark.parametrize("syntax", [*EXACT, *PLAIN])
def test_8_bits(syntax: str, settings: Settings) -> None:
    cells = ramp(bits=8, dtype=np.uint8)
    assert np.array_equal(picture(dicom(cells, syntax, bits=8), settings), cells)


@pytest.mark.parametrize("syntax", [objects.BASELINE, objects.EXTENDED])
def test_8_bits_of_a_lossy_jpeg(syntax: str, settings: Settings) -> None:
    cells = ramp(bits=8, dtype=np.uint8)
    seen = picture(dicom(cells, syntax, bits=8, WindowCenter="128", WindowWidth="256"), settings)
    assert np.abs(seen.astype(int) - cells).max() <= 2


@pytest.mark.parametrize("syntax", [objects.J2K, objects.HTJ2K, objects.RLE, *PLAIN])
def test_signed_samples(syntax: str, settings: Settings) -> None:
    cells = ramp(dtype=np.int16)
    seen = picture(dicom(cells, syntax, WindowCenter="0", WindowWidth="4096"), settings)
    assert np.array_equal(seen, expected(cells.astype(int) + 2048))


COLOUR = np.random.default_rng(3).integers(0, 256, (24, 32, 3), np.uint8)


@pytest.mark.parametrize("syntax", [objects.RLE, objects.LOSSLESS_SV1, objects.JPEGLS, objects.J2K, objects.HTJ2K])
def test_rgb_without_loss(syntax: str, settings: Settings) -> None:
    red, green, blue = np.moveaxis(COLOUR.astype(int), -1, 0)
    luma = (red * 299 + green * 587 + blue * 114 + 500) // 1000
    assert np.array_equal(picture(dicom(COLOUR, syntax, bits=8, photometric="RGB"), settings), luma)


@pytest.mark.parametrize("syntax", [objects.RLE, objects.LOSSLESS_SV1, objects.JPEGLS, objects.J2K])
def test_the_luma_of_ybr_is_its_first_channel(syntax: str, settings: Settings) -> None:
    plain = [imagecodecs.jpeg2k_encode(COLOUR, 0, codecformat="j2k", mct=False)] if syntax == objects.J2K else None
    data = dicom(COLOUR, syntax, bits=8, photometric="YBR_FULL", streams=plain)
    assert np.array_equal(picture(data, settings), COLOUR[..., 0])


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL_422"])
def test_colour_jpeg_is_read_as_the_stream_says(photometric: str, settings: Settings) -> None:
    """The encoder writes JFIF, that is YCbCr, whatever the data set says of it."""
    cells = np.full((24, 32, 3), (200, 40, 90), np.uint8)
    wanted = (200 * 299 + 40 * 587 + 90 * 114) / 1000
    seen = picture(dicom(cells, objects.BASELINE, bits=8, photometric=photometric), settings)
    assert np.abs(seen - wanted).max() <= 2


def test_a_lossy_stream_is_clipped_where_it_overshoots(settings: Settings) -> None:
    """12 bits of JPEG in a data set of 10: beyond 1023 is white, not black again."""
    cells = np.full((24, 32), 1100, np.uint16)
    cells[:, :16] = 100
    data = dicom(cells, objects.EXTENDED, BitsStored=10, HighBit=9, WindowCenter="512", WindowWidth="1024")
    assert picture(data, settings)[12, 24] == 255


def test_an_rle_frame_that_ends_early_is_truncated(settings: Settings) -> None:
    """PS3.5 G.5: its last segment reaches to the end of the fragment, so that only the decoder tells."""
    stream = objects.run_lengths(ramp())
    with pytest.raises(Refused) as refused:
        opened(dicom(ramp(), objects.RLE, streams=[stream[:-66]]), settings)
    assert refused.value.reason is Reason.TRUNCATED


def test_what_pads_an_rle_segment_is_left_out(settings: Settings) -> None:
    """Two zeros are a run of one more byte, where an encoder filled up with them."""
    stream = objects.run_lengths(ramp())
    wanted = picture(dicom(ramp()), settings)
    assert np.array_equal(picture(dicom(ramp(), objects.RLE, streams=[stream + b"\0" * 50]), settings), wanted)
    with pytest.raises(Refused) as refused:
        opened(dicom(ramp(), objects.RLE, streams=[stream + b"\0" * 64]), settings)
    assert refused.value.reason is Reason.CORRUPT
    low = struct.unpack_from("<L", stream, 8)[0]
    padded = stream[:8] + struct.pack("<L", low + 4) + stream[12:low] + b"\0" * 4 + stream[low:]
    assert np.array_equal(picture(dicom(ramp(), objects.RLE, streams=[padded]), settings), wanted)


def test_single_bits_are_unpacked_in_capsules_and_refused_in_rle(settings: Settings) -> None:
    bits = (np.arange(24 * 32).reshape(24, 32) % 3 == 0).astype(np.uint8)
    packed = np.packbits(bits, bitorder="little").tobytes()
    capsule = "1.2.840.10008.1.2.1.98"
    data = dicom(bits, objects.RLE, bits=1, streams=[packed], BitsAllocated=1, BitsStored=1, HighBit=0)
    with pytest.raises(Refused) as refused:
        opened(data, settings)
    assert refused.value.reason in {Reason.UNSUPPORTED_BIT_LAYOUT, Reason.CORRUPT}
    plain = renamed(data, objects.RLE, capsule)
    assert np.array_equal(picture(plain, settings), bits * 255)


def test_a_cut_htj2k_stream_that_does_not_say_where_it_ends_is_refused(settings: Settings) -> None:
    cells = np.random.default_rng(9).integers(0, 4096, (64, 48), np.uint16)
    sound = objects.ENCODERS[objects.HTJ2K](cells, 12)
    at = sound.index(b"\xff\x90") + 6
    whole = sound[:at] + b"\0\0\0\0" + sound[at + 4 :]  # Psot
    wanted = picture(dicom(cells, objects.HTJ2K), settings)
    assert np.array_equal(picture(dicom(cells, objects.HTJ2K, streams=[whole]), settings), wanted)
    for share in (0.5, 0.9):
        with pytest.raises(Refused):
            opened(dicom(cells, objects.HTJ2K, streams=[whole[: int(len(whole) * share)] + b"\xff\xd9"]), settings)


def test_damage_that_openjph_only_mentions_is_corrupt(settings: Settings) -> None:
    """imagecodecs lets its exception get lost and returns an empty picture."""
    cells = np.random.default_rng(9).integers(0, 4096, (64, 48), np.uint16)
    sound = objects.ENCODERS[objects.HTJ2K](cells, 12)
    start = sound.index(b"\xff\x93") + 2
    refusals = 0
    for at in range(start, len(sound) - 40, 97):
        stream = sound[:at] + b"\xff\0" * 15 + sound[at + 30 :]
        try:
            seen = picture(dicom(cells, objects.HTJ2K, streams=[stream]), settings)
        except Refused as refused:
            assert refused.reason in {Reason.CORRUPT, Reason.TRUNCATED}
            refusals += 1
        else:
            assert len(np.unique(seen)) > 50
    assert refusals


def test_several_frames(settings: Settings) -> None:
    cells = np.stack([ramp(), ramp()[::-1]])
    for syntax in (*EXACT, *PLAIN):
        frames = opened(dicom(cells, syntax, **FULL_12), settings).frames
        assert [np.array_equal(frame.pixels, expected(cell)) for frame, cell in zip(frames, cells, strict=True)] == [
            True,
            True,
        ]


@pytest.mark.parametrize("syntax", [*EXACT, *LOSSY])
def test_a_stream_of_another_size_is_refused_before_it_is_decoded(syntax: str, settings: Settings) -> None:
    stream = objects.ENCODERS[syntax](ramp(30, 40), 12)
    with pytest.raises(Refused) as refused:
        opened(dicom(ramp(), syntax, streams=[stream]), settings)
    assert refused.value.reason in {Reason.BAD_GEOMETRY, Reason.CORRUPT}


@pytest.mark.parametrize("syntax", [*EXACT, *LOSSY])
def test_a_cut_stream_is_refused(syntax: str, settings: Settings) -> None:
    stream = objects.ENCODERS[syntax](ramp(), 12)
    with pytest.raises(Refused) as refused:
        opened(dicom(ramp(), syntax, streams=[stream[: len(stream) // 2]]), settings)
    assert refused.value.reason in {Reason.TRUNCATED, Reason.CORRUPT}


@pytest.mark.parametrize("syntax", [*EXACT, *LOSSY])
def test_garbage_is_refused(syntax: str, settings: Settings) -> None:
    with pytest.raises(Refused) as refused:
        opened(dicom(ramp(), syntax, streams=[b"\x17\x2a" * 400]), settings)
    assert refused.value.reason is Reason.CORRUPT


def test_a_stream_of_three_components_in_a_grey_data_set_is_refused(settings: Settings) -> None:
    stream = imagecodecs.jpegls_encode(np.zeros((24, 32, 3), np.uint8))
    with pytest.raises(Refused) as refused:
        opened(dicom(ramp(bits=8, dtype=np.uint8), objects.JPEGLS, 8, streams=[stream]), settings)
    assert refused.value.reason is Reason.UNSUPPORTED_PIXEL_TYPE


def test_more_bits_than_the_cells_have_are_refused(settings: Settings) -> None:
    stream = objects.ENCODERS[objects.LOSSLESS_SV1](ramp(), 12)
    with pytest.raises(Refused) as refused:
        opened(dicom(ramp(bits=8, dtype=np.uint8), objects.LOSSLESS_SV1, 8, streams=[stream]), settings)
    assert refused.value.reason is Reason.UNSUPPORTED_BIT_LAYOUT


def test_lines_given_only_behind_the_scan_are_legal(settings: Settings) -> None:
    """ITU T.81 B.2.5: a number of lines of 0 in the frame header is told by a DNL segment."""
    stream = objects.ENCODERS[objects.LOSSLESS_SV1](ramp(), 12)
    at = stream.index(b"\xff\xc3") + 5
    late = stream[:at] + b"\0\0" + stream[at + 2 : -2] + b"\xff\xdc\x00\x04" + struct.pack(">H", 24) + b"\xff\xd9"
    seen = picture(dicom(ramp(), objects.LOSSLESS_SV1, streams=[late], **FULL_12), settings)
    assert np.array_equal(seen, expected(ramp()))


def test_fill_bytes_and_bytes_behind_the_end_are_legal(settings: Settings) -> None:
    for syntax in (objects.LOSSLESS_SV1, objects.JPEGLS):
        stream = objects.ENCODERS[syntax](ramp(), 12)
        odd = stream[:2] + b"\xff\xff" + stream[2:] + b"\0\0"
        assert np.array_equal(picture(dicom(ramp(), syntax, streams=[odd], **FULL_12), settings), expected(ramp())), (
            syntax
        )


def test_a_jp2_box_around_the_codestream_is_read(settings: Settings) -> None:
    """Not allowed in DICOM, and found all the same."""
    boxed = imagecodecs.jpeg2k_encode(ramp(), 0, codecformat="jp2", bitspersample=12)
    seen = picture(dicom(ramp(), objects.J2K, streams=[boxed], **FULL_12), settings)
    assert np.array_equal(seen, expected(ramp()))


def test_arithmetic_coding_is_refused_by_name(settings: Settings) -> None:
    stream = objects.ENCODERS[objects.LOSSLESS_SV1](ramp(), 12).replace(b"\xff\xc3", b"\xff\xcb")
    with pytest.raises(Refused) as refused:
        opened(dicom(ramp(), objects.LOSSLESS_SV1, streams=[stream]), settings)
    assert refused.value.reason is Reason.UNSUPPORTED_TRANSFER_SYNTAX
