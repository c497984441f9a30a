"""Colour becomes Rec. 601 luma, and a palette is looked up."""

import numpy as np
import pytest

from cspine.decoding.colour import band_luma, luma
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


def test_a_missing_palette_is_refused(settings: Settings) -> None:
    with pytest.raises(Refused) as refused:
        opened(dicom(RGB[..., 0], bits=8, photometric="PALETTE COLOR"), settings)
    assert refused.value.reason is Reason.UNSUPPORTED_PIXEL_TYPE


def test_an_unknown_colour_space_is_refused(settings: Settings) -> None:
    with pytest.raises(Refused) as refused:
        opened(dicom(RGB, bits=8, photometric="CMYK"), settings)
    assert refused.value.reason is Reason.UNSUPPORTED_PIXEL_TYPE
