"""Colour becomes Rec. 601 luma, and a palette is looked up."""

import numpy as np
import pytest

from cspine.decoding.colour import band_luma, luma
from cspine.decoding.segmented import expand
from cspine.errors import Refused
from cspine.reasons import Reason
from cspine.settings import Settings
from tests.cspine.decoding.objects import BIG_ENDIAN, EXPLICIT, dicom, opened, picture

RGB = np.random.default_rng(5).integers(0, 256, (24, 32, 3), np.uint8)
LUMA = (RGB.astype(int) @ [299, 587, 114] + 500) // 1000


def test_luma_rounds_half_up_in_whole_numbers() -> None:
    assert luma(np.array([[[250, 30, 10], [0, 0, 0], [255, 255, 255]]], np.uint8)).tolist() == [[94, 0, 255]]
    wide = np.array([[[65535, 65535, 65535], [1000, 2000, 3000]]], np.uint16)
    assert band_luma(wide).tolist() == [[65535, 1815]]
    assert luma(wide, 65535).tolist() == [[255, 7]]


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize("plane", [0, 1])
def test_rgb_by_pixel_and_by_plane(syntax: str, plane: int, settings: Settings) -> None:
    cells = np.moveaxis(RGB, -1, 0).reshape(24, 32, 3) if plane else RGB
    data = dicom(cells, syntax, 8, "RGB", PlanarConfiguration=plane)
    assert np.array_equal(picture(data, settings), LUMA)


def test_rgb_of_16_bits(settings: Settings) -> None:
    cells = RGB.astype(np.uint16) * 257
    assert np.array_equal(picture(dicom(cells, bits=16, photometric="RGB"), settings), LUMA)


def test_subsampled_chroma_does_not_touch_the_luma(settings: Settings) -> None:
    grey = np.arange(24 * 32, dtype=np.uint16).reshape(24, 32) % 256
    quads = np.zeros((24, 16, 4), np.uint8)
    quads[:, :, :2] = grey.reshape(24, 16, 2)
    quads[:, :, 2:] = 90
    data = dicom(RGB, bits=8, photometric="YBR_FULL_422", PixelData=quads.tobytes())
    assert np.array_equal(picture(data, settings), grey)


def test_subsampled_pixels_of_an_odd_number_of_columns_are_refused(settings: Settings) -> None:
    with pytest.raises(Refused) as refused:
        opened(dicom(RGB[:, :31], bits=8, photometric="YBR_FULL_422"), settings)
    assert refused.value.reason is Reason.BAD_GEOMETRY


def palette(entries: int, first: int, bits: int, data: bytes) -> dict[str, object]:
    """Make the six attributes of a grey palette."""
    made: dict[str, object] = {}
    for name in ("Red", "Green", "Blue"):
        made[f"{name}PaletteColorLookupTableDescriptor"] = [entries, first, bits]
        made[f"{name}PaletteColorLookupTableData"] = data
    return made


@pytest.mark.parametrize("bits", [8, 16])
def test_a_palette(bits: int, settings: Settings) -> None:
    indices = np.arange(24 * 32).reshape(24, 32).astype(np.uint8)
    shades = np.arange(199, -1, -1)  # 200 entries, for the indices from 30
    data = shades.astype(np.uint8).tobytes() if bits == 8 else (shades * 257).astype("<u2").tobytes()
    attributes = palette(200, 30, bits, data)
    wanted = shades[np.clip(indices.astype(int) - 30, 0, 199)]
    assert np.array_equal(picture(dicom(indices, bits=8, photometric="PALETTE COLOR", **attributes), settings), wanted)


def test_entries_of_8_bits_in_words_of_either_order(settings: Settings) -> None:
    """PS3.5 8.2: of a word the lower half comes first, however words are written."""
    indices = np.arange(24 * 32).reshape(24, 32).astype(np.uint8)
    shades = np.arange(255, -1, -1).astype(np.uint8)
    attributes = palette(256, 0, 8, shades.tobytes())
    little = dicom(indices, EXPLICIT, 8, "PALETTE COLOR", **attributes)
    attributes = palette(256, 0, 8, shades.view(np.uint16).byteswap().tobytes())
    big = dicom(indices, BIG_ENDIAN, 8, "PALETTE COLOR", **attributes)
    assert np.array_equal(picture(big, settings), picture(little, settings))
    assert picture(little, settings)[0, 0] == 255


@pytest.mark.parametrize("bits", [8, 16])
def test_a_segmented_palette(bits: int, settings: Settings) -> None:
    """PS3.3 C.7.9.2: discrete values, a line from the last of them, and both once more by their place."""
    scale = 1 if bits == 8 else 257
    again = [2, 2, 0, 0, 0, 0] if bits == 8 else [2, 2, 0, 0]
    cells = np.array([0, 3, 0, 10 * scale, 20 * scale, 1, 8, 100 * scale, *again], f"<u{bits // 8}")
    shades = np.array([0, 10, 20, *range(30, 101, 10)] * 2)
    attributes = palette(22, 0, bits, b"")
    for name in ("Red", "Green", "Blue"):
        del attributes[f"{name}PaletteColorLookupTableData"]
        attributes[f"Segmented{name}PaletteColorLookupTableData"] = cells.tobytes()
    indices = np.arange(24 * 32).reshape(24, 32).astype(np.uint8) % 30
    seen = picture(dicom(indices, bits=8, photometric="PALETTE COLOR", **attributes), settings)
    assert np.array_equal(seen, shades[np.clip(indices, 0, 21)])


@pytest.mark.parametrize(
    "segments",
    [
        [1, 4, 9],  # a line from nowhere
        [0, 1, 5, *[0, 0] * 2000, 2, 65535, 6, 0],  # no values, any number of times
        [0, 9, 1],  # fewer values than it says
        [2, 1, 0, 0],  # a repetition of itself
        [0, 1, 5, 2, 1, 900, 0],  # of what lies beyond the end
        [0, 1, 5, 2, 1, 6, 0],  # of a repetition
        [0, 1, 5, 1, 0, 7],  # a line of no length
        [7, 1, 5],
        [0],
    ],
)
def test_segments_that_make_no_table(segments: list[int]) -> None:
    assert expand(np.array(segments, np.uint16), 200) is None


def test_a_segmented_table_is_never_longer_than_its_descriptor_says() -> None:
    table = expand(np.array([0, 1, 5, 1, 65535, 7, 2, 65535, 6, 0], np.uint16), 300)
    assert table is not None
    assert len(table) == 300


def test_a_missing_palette_is_refused(settings: Settings) -> None:
    with pytest.raises(Refused) as refused:
        opened(dicom(RGB[..., 0], bits=8, photometric="PALETTE COLOR"), settings)
    assert refused.value.reason is Reason.UNSUPPORTED_PIXEL_TYPE


def test_an_unknown_colour_space_is_refused(settings: Settings) -> None:
    with pytest.raises(Refused) as refused:
        opened(dicom(RGB, bits=8, photometric="CMYK"), settings)
    assert refused.value.reason is Reason.UNSUPPORTED_PIXEL_TYPE
