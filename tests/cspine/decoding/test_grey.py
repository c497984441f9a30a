"""The grey rule, held against float64 arithmetic on every pixel and against the formulas of the standard."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as trials
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from cspine.settings import Settings
from tests.cspine.decoding import objects
from tests.cspine.decoding.objects import dicom, opened, picture, ramp

LEVELS = np.array([[0, 100, 1000, 2000], [2047, 2048, 3000, 4095]] * 4, np.uint16).repeat(2, axis=1)  # 8 x 8


def by_pixel(
    stored: Any, slope: float, intercept: float, centre: float, width: float, function: str, inverted: bool
) -> Any:
    """Work the rule out for every pixel by itself, as PS3.3 C.11.1 and C.11.2 write it."""
    x = stored.astype(np.float64) * slope + intercept
    if function == "SIGMOID":
        y = 255.0 / (1 + np.exp(-4 * (x - centre) / width))
    elif function == "LINEAR_EXACT":
        y = np.select(
            [x <= centre - width / 2, x > centre + width / 2], [0.0, 255.0], ((x - centre) / width + 0.5) * 255
        )
    else:
        low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
        ramp = ((x - (centre - 0.5)) / max(width - 1, 1e-9) + 0.5) * 255
        y = np.select([x <= low, x > high], [0.0, 255.0], ramp)
    y = 255 - y if inverted else y
    return np.floor(y + 0.5).astype(np.uint8)


@given(
    bits=st.integers(8, 16),
    signed=st.booleans(),
    slope=st.sampled_from([1.0, -1.0, 0.5, 2.25, -10.0]),
    intercept=st.sampled_from([0.0, -1024.0, 37.5]),
    centre=st.integers(-2000, 5000),
    width=st.integers(2, 9000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    inverted=st.booleans(),
    seed=st.integers(0, 2**31),
)
@trials(max_examples=60, deadline=None)
def test_the_table_equals_float64_on_every_pixel_to_the_bit(
    bits: int,
    signed: bool,
    slope: float,
    intercept: float,
    centre: int,
    width: int,
    function: str,
    inverted: bool,
    seed: int,
) -> None:
    low = -(1 << bits - 1) if signed else 0
    cells = np.random.default_rng(seed).integers(low, low + (1 << bits), (16, 16), np.int16 if signed else np.uint16)
    data = dicom(
        cells,
        bits=bits,
        photometric="MONOCHROME1" if inverted else "MONOCHROME2",
        RescaleSlope=str(slope),
        RescaleIntercept=str(intercept),
        WindowCenter=str(centre),
        WindowWidth=str(width),
        VOILUTFunction=function,
    )
    with np.errstate(over="ignore"):
        wanted = by_pixel(cells, slope, intercept, centre, width, function, inverted)
    assert np.array_equal(picture(data, Settings()), wanted)


@given(bits=st.integers(8, 16), slope=st.sampled_from([1.0, -1.0, 0.37]), seed=st.integers(0, 2**31))
@trials(max_examples=30, deadline=None)
def test_without_a_window_the_least_becomes_black_and_the_greatest_white(bits: int, slope: float, seed: int) -> None:
    cells = np.random.default_rng(seed).integers(0, 1 << bits, (12, 12), np.uint16)
    x = cells * slope
    wanted = np.floor((x - x.min()) * 255 / (x.max() - x.min()) + 0.5)
    assert np.array_equal(picture(dicom(cells, bits=bits, RescaleSlope=str(slope)), Settings()), wanted)


@pytest.mark.parametrize(
    ("attributes", "values"),
    [
        # stored 0, 100, 1000, 2000, 2047, 2048, 3000, 4095
        ({"WindowCenter": "2048", "WindowWidth": "4096"}, [0, 6, 62, 125, 127, 128, 187, 255]),
        ({"WindowCenter": "2048", "WindowWidth": "1"}, [0, 0, 0, 0, 0, 255, 255, 255]),
        ({"WindowCenter": "2048\\1", "WindowWidth": "4096\\1"}, [0, 6, 62, 125, 127, 128, 187, 255]),
        ({"WindowCenter": "2048", "WindowWidth": "0"}, [0, 6, 62, 125, 127, 128, 187, 255]),  # min-max
        ({"WindowCenter": "2048\\0", "WindowWidth": "1\\1e400"}, [0, 0, 0, 0, 0, 255, 255, 255]),
        ({"WindowCenter": "", "WindowWidth": ""}, [0, 6, 62, 125, 127, 128, 187, 255]),
        ({"WindowCenter": "2000", "WindowWidth": "2000", "VOILUTFunction": "LINEAR_EXACT"},
         [0, 0, 0, 128, 133, 134, 255, 255]),
        ({"WindowCenter": "2000", "WindowWidth": "2000", "VOILUTFunction": "SIGMOID"},
         [5, 6, 30, 128, 133, 134, 225, 251]),
        ({"WindowCenter": "2048", "WindowWidth": "4096", "PresentationLUTShape": "INVERSE"},
         [0, 6, 62, 125, 127, 128, 187, 255]),
    ],
)  # fmt: skip
def test_values_worked_out_by_hand(attributes: dict[str, str], values: list[int], settings: Settings) -> None:
    for photometric, polarity in (("MONOCHROME2", values), ("MONOCHROME1", [255 - value for value in values])):
        seen = picture(dicom(LEVELS, photometric=photometric, **attributes), settings)
        # .5 rounds up in both polarities, so that the inverse may differ by one
        assert np.abs(seen[:2, ::2].ravel().astype(int) - polarity).max() <= (photometric == "MONOCHROME1")


def test_flags_of_windows(settings: Settings) -> None:
    def flags(**attributes: str) -> tuple[str, ...]:
        return opened(dicom(ramp(), **attributes), settings).flags

    assert flags(WindowCenter="2048", WindowWidth="0") == ("bad_window",)
    assert flags(WindowCenter="2048", WindowWidth="-5") == ("bad_window",)
    wordy = dicom(ramp(), WindowCenter="2048", WindowWidth="400").replace(b"2048", b"wide")
    assert opened(wordy, settings).flags == ("bad_window",)
    assert flags(WindowCenter="2048") == ("bad_window",)
    assert flags(WindowCenter="1e300", WindowWidth="1e-300", VOILUTFunction="SIGMOID") == ()
    assert flags() == flags(WindowCenter="", WindowWidth="") == flags(WindowCenter="1", WindowWidth="2") == ()


def test_an_unusable_rescale_is_left_out_and_flagged(settings: Settings) -> None:
    window = {"WindowCenter": "2048", "WindowWidth": "4096"}
    plain = picture(dicom(ramp(), **window), settings)
    wordy = dicom(ramp(), RescaleSlope="2222", **window).replace(b"2222", b"two ")
    broken = lut([1, 2, 3], 0)
    broken[0x00283002].value = [4000, 0, 16]
    for data in (
        wordy,
        dicom(ramp(), RescaleSlope="1e400", **window),
        dicom(ramp(), RescaleSlope="0", **window),
        dicom(ramp(), RescaleSlope="1", RescaleIntercept="1e400", **window),
        dicom(ramp(), ModalityLUTSequence=Sequence([broken]), **window),
    ):
        decoded = opened(data, settings)
        assert decoded.flags == ("bad_rescale",)
        assert np.array_equal(decoded.frames[0].pixels, plain)
    assert opened(dicom(ramp(), RescaleSlope="", RescaleIntercept="", **window), settings).flags == ()


def test_a_negative_slope_turns_the_levels_and_monochrome1_turns_them_once_more(settings: Settings) -> None:
    window = {"RescaleSlope": "-1", "RescaleIntercept": "4095", "WindowCenter": "2048", "WindowWidth": "4096"}
    assert picture(dicom(LEVELS, **window), settings)[1, 6] == 0
    assert picture(dicom(LEVELS, photometric="MONOCHROME1", **window), settings)[1, 6] == 255


@pytest.mark.parametrize("bits", [10, 12])
def test_bits_above_the_sample_are_no_part_of_it(bits: int, settings: Settings) -> None:
    """Embedded overlays lie there (PS3.5 8.1.2)."""
    cells = ramp(bits=bits)
    marked = cells | (np.arange(32, dtype=np.uint16) % 2 << 15)
    window = {"WindowCenter": str(1 << bits - 1), "WindowWidth": str(1 << bits)}
    for syntax in (objects.EXPLICIT, objects.RLE):
        assert np.array_equal(
            picture(dicom(marked, syntax, bits, **window), settings),
            picture(dicom(cells, bits=bits, **window), settings),
        )


def test_a_sample_at_the_upper_end_of_its_cell(settings: Settings) -> None:
    cells = ramp()
    left = dicom(cells << 4, BitsStored=12, HighBit=15)
    assert np.array_equal(picture(left, settings), picture(dicom(cells), settings))


def test_the_sign_is_that_of_the_stored_bits(settings: Settings) -> None:
    """12 bits: 0x800 is -2048, although the cell of 16 bits is positive."""
    cells = ramp(dtype=np.int16)
    window = {"WindowCenter": "0", "WindowWidth": "4096"}
    masked = (cells.view(np.uint16) & 0x0FFF).astype(np.uint16)
    seen = picture(dicom(masked, PixelRepresentation=1, **window), settings)
    assert np.array_equal(seen, picture(dicom(cells, **window), settings))


def test_padding_is_left_out_of_the_range_and_black_in_both_polarities(settings: Settings) -> None:
    cells = ramp(bits=10) + 500
    padded = cells.copy()
    padded[:, -4:] = 4000
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        data = dicom(padded, photometric=photometric, PixelPaddingValue=4000)
        without = dicom(np.ascontiguousarray(padded[:, :-4]), photometric=photometric)
        assert np.array_equal(picture(data, settings)[:, :-4], picture(without, settings))
        assert not picture(data, settings)[:, -4:].any()


def test_a_range_of_padding(settings: Settings) -> None:
    cells = ramp(dtype=np.int16)
    data = dicom(cells, PixelPaddingValue=-2048, PixelPaddingRangeLimit=-1000)
    kept = cells[cells > -1000]
    seen = picture(data, settings)
    assert not seen[cells <= -1000].any()
    wanted = np.floor((kept.astype(float) - kept.min()) * 255 / (int(kept.max()) - int(kept.min())) + 0.5)
    assert np.array_equal(seen[cells > -1000], wanted)


def lut(entries: list[int], first: int, bits: int = 16, packed: bool = False) -> Dataset:
    """Make an item of a LUT sequence."""
    item = Dataset()
    item.add_new(0x00283002, "SS" if first < 0 else "US", [len(entries) & 0xFFFF, first, bits])
    data = bytes(entries) if packed else np.array(entries, "<u2").tobytes()
    item.add_new(0x00283006, "OW", data + b"\0" * (len(data) % 2))
    return item


def test_a_modality_lut_goes_before_slope_and_is_taken_as_it_is(settings: Settings) -> None:
    entries = [(4095 - step) * 2 for step in range(4096)]
    data = dicom(LEVELS, ModalityLUTSequence=Sequence([lut(entries, 0)]), RescaleSlope="7", WindowCenter="4096",
                 WindowWidth="8192")  # fmt: skip
    x = (4095 - LEVELS.astype(float)) * 2
    wanted = np.floor(np.clip(((x - 4095.5) / 8191 + 0.5) * 255, 0, 255) + 0.5)
    assert np.array_equal(picture(data, settings), wanted)


@pytest.mark.parametrize("bits", [8, 10, 16])
def test_a_voi_lut_wins_over_the_window_and_clamps_outside(bits: int, settings: Settings) -> None:
    entries = [round(step * ((1 << bits) - 1) / 999) for step in range(1000)]
    item = lut(entries, 1500, bits, packed=bits == 8)
    data = dicom(LEVELS, VOILUTSequence=Sequence([item]), WindowCenter="600", WindowWidth="4")
    index = np.clip(LEVELS.astype(int) - 1500, 0, 999)
    wanted = np.floor(np.array(entries)[index] * 255 / ((1 << bits) - 1) + 0.5)
    assert np.array_equal(picture(data, settings), wanted)


def test_a_broken_voi_lut_gives_way_to_the_window(settings: Settings) -> None:
    item = lut([1, 2, 3], 0)
    item[0x00283002].value = [4000, 0, 16]
    decoded = opened(dicom(LEVELS, VOILUTSequence=Sequence([item]), WindowCenter="2048", WindowWidth="4096"), settings)
    assert decoded.flags == ("bad_window",)
    assert np.array_equal(
        decoded.frames[0].pixels, picture(dicom(LEVELS, WindowCenter="2048", WindowWidth="4096"), settings)
    )


@pytest.mark.parametrize("syntax", [objects.EXPLICIT, objects.IMPLICIT])
def test_a_voi_lut_of_negative_input(syntax: str, settings: Settings) -> None:
    cells = ramp(dtype=np.int16)
    entries = list(range(0, 65536, 64))
    data = dicom(cells, syntax, VOILUTSequence=Sequence([lut(entries, -512)]))
    wanted = np.floor(np.array(entries)[np.clip(cells.astype(int) + 512, 0, 1023)] * 255 / 65535 + 0.5)
    assert np.array_equal(picture(data, settings), wanted)


LUTS: list[dict[str, Any]] = [
    {"VOILUTSequence": Sequence([lut([round(step * 65535 / 999) for step in range(1000)], 1500)])},
    {"ModalityLUTSequence": Sequence([lut([(4095 - step) * 2 for step in range(4096)], 0)])},
    {"PixelPaddingValue": 100, "PixelPaddingRangeLimit": 1000},
    {"RescaleSlope": "-2", "RescaleIntercept": "100", "WindowCenter": "-2000", "WindowWidth": "3000"},
]


@pytest.mark.parametrize("syntax", [objects.IMPLICIT, objects.DEFLATED])
@pytest.mark.parametrize("attributes", LUTS, ids=lambda given: next(iter(given)))
@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_it_does_not_matter_how_the_attributes_are_written(
    attributes: dict[str, Any], syntax: str, dtype: Any, settings: Settings
) -> None:
    """Without a VR in the file the dictionary's counts, which for these says "US or SS"."""
    cells = LEVELS.astype(dtype) - (1000 if dtype is np.int16 else 0)
    explicit, other = (opened(dicom(cells, one, **attributes), settings) for one in (objects.EXPLICIT, syntax))
    assert explicit.flags == other.flags == ()
    assert np.array_equal(explicit.frames[0].pixels, other.frames[0].pixels)
    assert not np.array_equal(explicit.frames[0].pixels, picture(dicom(cells), settings))


def test_sequences_of_unknown_vr_are_read_as_such(settings: Settings) -> None:
    """PS3.5 6.2.2: written on by somebody who did not know them, in implicit VR, with a length or without."""
    entries = np.array([(4095 - step) * 16 for step in range(4096)], "<u2").tobytes()
    item = (
        struct.pack("<HHLHHH", 0x28, 0x3002, 6, 4096, 0, 16) + struct.pack("<HHL", 0x28, 0x3006, len(entries)) + entries
    )
    item = struct.pack("<HHL", 0xFFFE, 0xE000, len(item)) + item
    wanted = picture(dicom(LEVELS, VOILUTSequence=Sequence([lut([(4095 - s) * 16 for s in range(4096)], 0)])), settings)
    data = dicom(LEVELS)
    at = data.index(b"\xe0\x7f\x10\0")
    for length, end in ((len(item), b""), (0xFFFFFFFF, struct.pack("<HHL", 0xFFFE, 0xE0DD, 0))):
        element = struct.pack("<HH2sHL", 0x28, 0x3010, b"UN", 0, length) + item + end
        assert np.array_equal(picture(data[:at] + element + data[at:], settings), wanted)


def test_single_bits(settings: Settings) -> None:
    bits = (np.arange(24 * 32).reshape(24, 32) % 3 == 0).astype(np.uint8)
    data = dicom(bits, bits=1, BitsAllocated=1, PixelData=np.packbits(bits, bitorder="little").tobytes())
    assert np.array_equal(picture(data, settings), bits * 255)


def test_each_frame_has_its_own_range_and_its_own_functional_group(settings: Settings) -> None:
    cells = np.stack([ramp(), ramp(bits=10)])
    assert [frame.pixels.max() for frame in opened(dicom(cells), settings).frames] == [255, 255]
    groups = []
    for centre in ("2048", "512"):
        window = Dataset()
        window.WindowCenter, window.WindowWidth = centre, str(int(centre) * 2)
        group = Dataset()
        group.FrameVOILUTSequence = Sequence([window])
        groups.append(group)
    frames = opened(dicom(cells, PerFrameFunctionalGroupsSequence=Sequence(groups)), settings).frames
    for frame, cell, centre in zip(frames, cells, ("2048", "512"), strict=True):
        alone = picture(dicom(cell, WindowCenter=centre, WindowWidth=str(int(centre) * 2)), settings)
        assert np.array_equal(frame.pixels, alone)
