"""PNG, JPEG, TIFF, BMP and WebP by the rule for pictures, each held against values worked out by hand."""

import io
import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from cspine.decoding import read_header
from cspine.decoding.pictures import oriented
from cspine.errors import Refused
from cspine.reasons import Reason
from cspine.settings import Settings
from tests.cspine.decoding.objects import opened, picture, ramp

GREY = ramp(bits=8, dtype=np.uint8)
WIDE = ramp(bits=16)
RGB = np.random.default_rng(5).integers(0, 256, (24, 32, 3), np.uint8)
LUMA = (RGB.astype(int) @ [299, 587, 114] + 500) // 1000


def saved(pixels: NDArray[Any] | Image.Image, form: str, **options: Any) -> bytes:
    """Save an array or a picture by Pillow."""
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(file, form, **options)
    return file.getvalue()


def refusal(data: bytes, settings: Settings) -> Reason:
    """Return the reason for which a file is refused."""
    with pytest.raises(Refused) as refused:
        opened(data, settings)
    return refused.value.reason


@pytest.mark.parametrize(
    ("form", "options"),
    [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {"lossless": True})],
)
def test_8_bits_keep_their_values(form: str, options: dict[str, Any], settings: Settings) -> None:
    assert np.array_equal(picture(saved(GREY, form, **options), settings), GREY)
    assert np.abs(picture(saved(RGB, form, **options), settings).astype(int) - LUMA).max() == 0
    decoded = opened(saved(GREY, form, **options), settings)
    assert (decoded.header.kind, decoded.header.study_uid, decoded.flags) == (form.lower(), None, ())


def test_jpeg(settings: Settings) -> None:
    assert np.abs(picture(saved(GREY, "JPEG", quality=100), settings).astype(int) - GREY).max() <= 2


RAMP_8 = ramp(bits=8, dtype=np.uint8)


@pytest.mark.parametrize(
    "data",
    [
        imagecodecs.jpeg8_encode(ramp(), lossless=True, bitspersample=12),
        imagecodecs.jpeg8_encode(ramp(bits=16), lossless=True, bitspersample=16),
        imagecodecs.jpeg8_encode(ramp(), 100, bitspersample=12),
        imagecodecs.jpegls_encode(ramp()),
        imagecodecs.jpegls_encode(RAMP_8),
        imagecodecs.jpegls_encode(RAMP_8[..., None].repeat(3, axis=2)),
        imagecodecs.jpeg8_encode(RAMP_8, lossless=True),
    ],
    ids=["lossless 12", "lossless 16", "12 bits", "JPEG-LS 12", "JPEG-LS 8", "JPEG-LS colour", "lossless 8"],
)
def test_the_deep_and_the_lossless_forms_of_jpeg(data: bytes, settings: Settings) -> None:
    assert np.abs(picture(data, settings).astype(int) - RAMP_8).max() <= 1


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bits_go_from_0_to_65535(form: str, settings: Settings) -> None:
    wanted = np.floor(WIDE.astype(float) * 255 / 65535 + 0.5)
    assert np.array_equal(picture(saved(WIDE, form), settings), wanted)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_12_bits_in_16_go_from_least_to_greatest(form: str, settings: Settings) -> None:
    cells = ramp(bits=11) + 1000
    wanted = np.floor((cells - 1000.0) * 255 / 2047 + 0.5)
    assert np.array_equal(picture(saved(cells, form), settings), wanted)


def test_colour_and_alpha_of_16_bits(settings: Settings) -> None:
    wide = RGB.astype(np.uint16) * 257
    assert np.array_equal(picture(imagecodecs.png_encode(wide), settings), LUMA)
    assert np.array_equal(picture(imagecodecs.tiff_encode(wide), settings), LUMA)
    alpha = np.dstack([wide, np.full((24, 32), 65535, np.uint16)])
    alpha[12:, :, 3] = 0
    seen = picture(imagecodecs.png_encode(alpha), settings)
    assert np.array_equal(seen[:12], LUMA[:12])
    assert not seen[12:].any()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("cells", [WIDE, ramp()], ids=["16", "12"])
def test_tiff_in_both_orders_and_polarities(
    order: str, white_is_zero: bool, cells: NDArray[Any], settings: Settings
) -> None:
    data = tiff([cells], order, photometric=0 if white_is_zero else 1)
    shades = cells.astype(float) * 255 / cells.max()
    wanted = np.floor((255 - shades if white_is_zero else shades) + 0.5)
    assert np.array_equal(picture(data, settings), wanted)


@pytest.mark.parametrize("order", ["<", ">"])
def test_8_bit_tiff_where_white_is_zero(order: str, settings: Settings) -> None:
    assert np.array_equal(picture(tiff([GREY], order, photometric=0), settings), 255 - GREY)


def test_pages_are_frames_and_smaller_copies_are_not(settings: Settings) -> None:
    frames = opened(tiff([GREY, GREY[::-1]], "<"), settings).frames
    assert [frame.index for frame in frames] == [0, 1]
    assert np.array_equal(frames[1].pixels, GREY[::-1])
    copies = opened(tiff([GREY, GREY[::2, ::2]], "<", subfiles=[0, 1]), settings).frames
    assert len(copies) == 1


def tiff(
    pages: list[NDArray[Any]], order: str, photometric: int = 1, subfiles: list[int] | None = None, turned: int = 1
) -> bytes:
    """Write an uncompressed TIFF of one strip a page by hand."""
    little = order == "<"

    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, "little" if little else "big")

    data = (b"II*\0" if little else b"MM\0*") + number(8, 4)
    for index, page in enumerate(pages):
        bits = page.dtype.itemsize * 8
        pixels = page.astype(page.dtype.newbyteorder(order)).tobytes()
        entries = [(254, 4, (subfiles or [0] * 99)[index]), (256, 4, page.shape[1]), (257, 4, page.shape[0]),
                   (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 0), (274, 3, turned), (277, 3, 1),
                   (278, 4, page.shape[0]), (279, 4, len(pixels))]  # fmt: skip
        start = len(data) + 2 + 12 * len(entries) + 4
        data += number(len(entries), 2)
        for tag, kind, value in entries:
            held = start if tag == 273 else value
            field = number(held, 2) + b"\0\0" if kind == 3 else number(held, 4)
            data += number(tag, 2) + number(kind, 2) + number(1, 4) + field
        last = index == len(pages) - 1
        data += number(0 if last else start + len(pixels), 4) + pixels
    return data


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation: int, settings: Settings) -> None:
    """Each of the eight, by the picture that must come out: row 0 and column 0 as TIFF 6.0 names them."""
    upright = GREY
    stored = {
        1: upright,
        2: upright[:, ::-1],  # row 0 top, column 0 right
        3: upright[::-1, ::-1],  # bottom, right
        4: upright[::-1],  # bottom, left
        5: upright.T,  # left, top
        6: upright.T[::-1],  # right, top: rows of the stored picture run down the right side of the upright one
        7: upright.T[::-1, ::-1],  # right, bottom
        8: upright.T[:, ::-1],  # left, bottom
    }[orientation]
    assert np.array_equal(oriented(np.ascontiguousarray(stored), orientation), upright)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for form in ("PNG", "WEBP"):
        options = {"lossless": True} if form == "WEBP" else {}
        data = saved(np.ascontiguousarray(stored), form, exif=exif, **options)
        assert np.array_equal(picture(data, settings), upright), form
    for cells in (stored, stored.astype(np.uint16) * 257):
        assert np.array_equal(picture(tiff([cells], "<", turned=orientation), settings), upright)


def test_an_orientation_that_is_none_is_left(settings: Settings) -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert np.array_equal(picture(saved(GREY, "PNG", exif=exif), settings), GREY)


def test_alpha_is_laid_over_black(settings: Settings) -> None:
    alpha = np.full(GREY.shape, 255, np.uint8)
    alpha[:, 16:] = 0
    alpha[0, 0] = 128
    for pixels in (np.dstack([GREY, alpha]), np.dstack([RGB, alpha])):
        seen = picture(saved(pixels, "PNG"), settings)
        wanted = GREY if pixels.shape[2] == 2 else LUMA
        assert not seen[:, 16:].any()
        assert np.array_equal(seen[1:, :16], wanted[1:, :16])
        assert seen[0, 0] == np.floor(wanted[0, 0] * 128 / 255 + 0.5)


def test_palettes_and_their_transparency(settings: Settings) -> None:
    image = Image.fromarray(GREY // 64)
    image = image.convert("P")
    image.putpalette([10, 10, 10, 90, 90, 90, 200, 200, 200, 250, 30, 10])
    shades = np.array([10, 90, 200, 94])
    for form in ("PNG", "BMP", "TIFF"):
        assert np.array_equal(picture(saved(image, form), settings), shades[GREY // 64]), form
    hidden = picture(saved(image, "PNG", transparency=1), settings)
    assert np.array_equal(hidden, np.where(GREY // 64 == 1, 0, shades[GREY // 64]))


def test_single_bits(settings: Settings) -> None:
    bits = GREY > 100
    for form in ("PNG", "TIFF", "BMP"):
        assert np.array_equal(picture(saved(Image.fromarray(bits), form), settings), bits * 255)


def test_cmyk(settings: Settings) -> None:
    image = Image.fromarray(np.full((24, 32, 3), 90, np.uint8)).convert("CMYK")
    assert np.abs(picture(saved(image, "JPEG", quality=95), settings).astype(int) - 90).max() <= 2
    assert np.abs(picture(saved(image, "TIFF"), settings).astype(int) - 90).max() <= 1


def test_an_icc_profile_changes_no_value(settings: Settings) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert np.array_equal(picture(saved(GREY, "PNG", icc_profile=profile), settings), GREY)


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_an_animated_picture_is_refused(form: str, settings: Settings) -> None:
    image = Image.fromarray(GREY)
    data = saved(image, form, save_all=True, append_images=[Image.fromarray(GREY[::-1])], duration=100)
    assert refusal(data, settings) is Reason.ANIMATED_IMAGE


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "BMP", "WEBP"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_cut_picture_is_refused(form: str, share: float, settings: Settings) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    data = saved(pixels, form)
    assert refusal(data[: int(len(data) * share)], settings) is Reason.TRUNCATED


def test_a_cut_picture_of_16_bits_is_refused(settings: Settings) -> None:
    for form in ("PNG", "TIFF"):
        data = saved(WIDE, form)
        assert refusal(data[:-100], settings) is Reason.TRUNCATED


def test_bytes_behind_the_picture_do_not_matter(settings: Settings) -> None:
    for form in ("PNG", "BMP", "WEBP"):
        options = {"lossless": True} if form == "WEBP" else {}
        assert np.array_equal(picture(saved(GREY, form, **options) + b"<html>", settings), GREY)
    whole = saved(GREY, "JPEG")
    assert np.array_equal(picture(whole + b"<html>", settings), picture(whole, settings))


def test_a_deep_jpeg_with_damage_inside_is_corrupt(settings: Settings) -> None:
    data = bytearray(imagecodecs.jpeg8_encode(ramp(), lossless=True, bitspersample=12))
    data[data.index(b"\xff\xc4") + 5 : data.index(b"\xff\xc4") + 20] = b"\xff" * 15  # its Huffman table
    with pytest.raises(Refused) as refused:
        opened(bytes(data), settings)
    assert refused.value.reason is Reason.CORRUPT


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA"])
def test_a_png_with_fewer_rows_than_it_says_is_truncated(mode: str, settings: Settings) -> None:
    image = Image.fromarray(np.random.default_rng(6).integers(0, 256, (64, 48, 3), np.uint8)).convert(mode)
    data = saved(image, "PNG")
    taller = bytearray(data)
    taller[20:24] = struct.pack(">L", 80)
    taller[29:33] = struct.pack(">L", zlib.crc32(taller[12:29]))
    assert refusal(bytes(taller), settings) is Reason.TRUNCATED
    pixels = np.array(image)
    pixels[-20:] = pixels[-1, -1]
    flat = Image.fromarray(pixels, image.mode)
    if mode == "P":
        flat.putpalette(image.getpalette() or [])
    assert len(opened(saved(flat, "PNG"), settings).frames) == 1


@pytest.mark.parametrize("bits", [8, 16])
def test_strips_too_short_for_their_rows_are_truncated(bits: int, settings: Settings) -> None:
    data = saved(ramp(bits=bits).astype(f"u{bits // 8}"), "TIFF")
    length = struct.pack("<L", 24 * 32 * bits // 8)
    assert data.count(length) == 1  # StripByteCounts
    with pytest.raises(Refused) as refused:
        opened(data.replace(length, struct.pack("<L", 700)), settings)
    assert refused.value.reason is Reason.TRUNCATED


def test_a_strip_of_jpeg_that_was_cut_is_truncated(settings: Settings) -> None:
    data = saved(np.random.default_rng(7).integers(0, 256, (64, 48), np.uint8), "TIFF", compression="jpeg")
    assert len(opened(data, settings).frames) == 1
    with Image.open(io.BytesIO(data)) as image:
        length = image.tag_v2[279][0]  # type: ignore[attr-defined]
    packed = struct.pack("<HHLL", 279, 4, 1, length)
    assert data.count(packed) == 1
    halved = data.replace(packed, struct.pack("<HHLL", 279, 4, 1, length // 2))
    assert refusal(halved, settings) is Reason.TRUNCATED


def test_a_picture_without_rows_has_no_geometry(settings: Settings) -> None:
    """A JPEG may give its number of lines behind the scan; Pillow does not read that."""
    data = saved(GREY, "JPEG")
    at = data.index(b"\xff\xc0") + 5
    assert refusal(data[:at] + b"\0\0" + data[at + 2 :], settings) is Reason.BAD_GEOMETRY


def test_damage_inside_is_corrupt(settings: Settings) -> None:
    data = bytearray(saved(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8), "PNG"))
    data[200:260] = b"\0" * 60
    assert refusal(bytes(data), settings) is Reason.CORRUPT


def test_too_many_pixels_are_refused_by_the_header_alone(settings: Settings) -> None:
    small = settings.model_copy(update={"max_frame_pixels": 700})
    for form in ("PNG", "JPEG", "TIFF", "BMP", "WEBP"):
        with pytest.raises(Refused) as refused:
            read_header(io.BytesIO(saved(GREY, form)), "film", small)
        assert refused.value.reason is Reason.TOO_MANY_PIXELS, form


def test_a_sliver_is_too_small(settings: Settings) -> None:
    assert refusal(saved(np.zeros((2, 3000), np.uint8), "PNG"), settings) is Reason.TOO_SMALL


def test_wide_numbers_are_refused_by_name(settings: Settings) -> None:
    assert refusal(saved(np.zeros((24, 32), np.float32), "TIFF"), settings) is Reason.UNSUPPORTED_PIXEL_TYPE
    assert refusal(saved(np.zeros((24, 32), np.int32), "TIFF"), settings) is Reason.UNSUPPORTED_PIXEL_TYPE


def test_a_ring_of_pages_ends(settings: Settings) -> None:
    data = bytearray(tiff([GREY], "<"))
    data[8 + 2 + 12 * 11 : 8 + 2 + 12 * 11 + 4] = (8).to_bytes(4, "little")
    assert len(opened(bytes(data), settings).frames) == 1


def test_what_a_fourth_sample_of_16_bits_means(settings: Settings) -> None:
    wide = RGB.astype(np.uint16) * 257
    half = np.dstack([wide, np.full((24, 32), 32768, np.uint16)])
    unspecified = picture(imagecodecs.tiff_encode(half, photometric="rgb", extrasample="unspecified"), settings)
    assert np.array_equal(unspecified, LUMA)
    straight = picture(imagecodecs.tiff_encode(half, photometric="rgb", extrasample="unassalpha"), settings)
    assert np.abs(straight - LUMA / 2).max() <= 1
    inks = imagecodecs.tiff_encode(half, photometric="separated")
    assert refusal(inks, settings) is Reason.UNSUPPORTED_PIXEL_TYPE
