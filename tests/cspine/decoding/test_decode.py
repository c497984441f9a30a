"""Headers, refusals by the header, what is skipped, and what is told about the body part."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from cspine.decoding import Header, read_header
from cspine.errors import Refused, Skipped
from cspine.reasons import Reason
from cspine.settings import Settings
from tests.cspine.decoding import objects
from tests.cspine.decoding.objects import ROOT, dicom, element, opened, picture, ramp

PIXEL_TAG = b"\xe0\x7f\x10\0OW\0\0"


def head(data: bytes, settings: Settings, name: str = "film") -> Header:
    """Read the header of bytes."""
    return read_header(io.BytesIO(data), name, settings)


def refused(data: bytes, settings: Settings) -> Reason:
    """Return the reason for which both the header and the whole are refused."""
    with pytest.raises(Refused) as early:
        head(data, settings)
    with pytest.raises(Refused) as late:
        opened(data, settings)
    assert early.value.reason is late.value.reason
    return late.value.reason


def test_what_a_header_tells(settings: Settings) -> None:
    data = dicom(ramp(), StudyDate="20260310", StudyTime="0815", StudyDescription="C-spine", BodyPartExamined="CSPINE",
                 ViewPosition="LL", StationName="XR2", Manufacturer="Acme", SeriesNumber=3, InstanceNumber=7,
                 PatientBirthDate="19700102", PatientSex="F", AccessionNumber="A-9")  # fmt: skip
    read = head(data, settings)
    assert (read.kind, read.study_uid, read.series_uid, read.sop_uid) == ("dicom", ROOT + "1", ROOT + "2", ROOT + "3")
    meta = read.meta
    assert (meta.patient_name, meta.patient_id, meta.birth_date, meta.sex) == ("Test^One", "T1", "1970-01-02", "F")
    assert (meta.study_date, meta.study_time, meta.study_description) == ("2026-03-10", "08:15:00", "C-spine")
    assert (meta.modality, meta.body_part, meta.view, meta.station) == ("CR", "CSPINE", "LL", "XR2")
    assert (meta.manufacturer, meta.series_number, meta.instance_number) == ("Acme", 3, 7)
    assert meta.accession_number == "A-9"
    assert read.flags == ()


def test_a_header_is_read_without_the_pixels(settings: Settings) -> None:
    class Watched(io.BytesIO):
        furthest = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            Watched.furthest = max(Watched.furthest, self.tell())
            return data

    data = dicom(np.zeros((1500, 1000), np.uint16))
    read_header(Watched(data), "film", settings)
    assert Watched.furthest <= 3 * 2**16 < len(data)


@pytest.mark.parametrize("syntax", [objects.IMPLICIT, objects.EXPLICIT, objects.BIG_ENDIAN])
def test_without_preamble_and_meta_header(syntax: str, settings: Settings) -> None:
    data = dicom(ramp(), syntax)
    first = struct.pack(">HH" if syntax == objects.BIG_ENDIAN else "<HH", 8, 0x16)
    assert np.array_equal(picture(data[data.index(first, 132) :], settings), picture(dicom(ramp()), settings))


def test_without_preamble(settings: Settings) -> None:
    data, wanted = dicom(ramp()), picture(dicom(ramp()), settings)
    assert np.array_equal(picture(data[132:], settings), wanted)
    assert np.array_equal(picture(data[128:], settings), wanted)  # begins with DICM


def test_an_unnamed_transfer_syntax_is_guessed_for_plain_pixels_only(settings: Settings) -> None:
    for syntax in (objects.EXPLICIT, objects.IMPLICIT, objects.BIG_ENDIAN, objects.J2K):
        data = dicom(ramp(), syntax)
        uid = syntax.encode() + b"\0" * (len(syntax) % 2)
        named = b"\x02\0\x10\0UI" + struct.pack("<H", len(uid)) + uid
        assert named in data
        unnamed = data.replace(named, b"", 1)
        if syntax == objects.J2K:
            assert refused(unnamed, settings) is Reason.MISSING_TRANSFER_SYNTAX
        else:
            assert np.array_equal(picture(unnamed, settings), picture(dicom(ramp()), settings))


def test_a_wrong_label_of_the_encoding_is_seen_through(settings: Settings) -> None:
    """Explicit VR under the name of implicit, as found in the wild."""
    data = dicom(ramp(), objects.EXPLICIT)
    labelled = data.replace(
        b"\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0", b"\x02\0\x10\0UI\x12\x001.2.840.10008.1.2\0"
    )
    assert labelled != data
    assert np.array_equal(picture(labelled, settings), picture(data, settings))


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"Rows": 0}, Reason.BAD_GEOMETRY),
        ({"Columns": None}, Reason.BAD_GEOMETRY),
        ({"NumberOfFrames": -3}, Reason.BAD_GEOMETRY),
        ({"Rows": 20000, "Columns": 20000}, Reason.TOO_MANY_PIXELS),
        ({"NumberOfFrames": 100000}, Reason.TRUNCATED),
        ({"Rows": 4}, Reason.TOO_SMALL),
        ({"BitsStored": 17}, Reason.UNSUPPORTED_BIT_LAYOUT),
        ({"HighBit": 16}, Reason.UNSUPPORTED_BIT_LAYOUT),
        ({"BitsAllocated": 12}, Reason.UNSUPPORTED_BIT_LAYOUT),
        ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, Reason.UNSUPPORTED_BIT_LAYOUT),
        ({"SamplesPerPixel": 4}, Reason.UNSUPPORTED_PIXEL_TYPE),
        ({"NumberOfFrames": 5}, Reason.TRUNCATED),
        ({"Rows": 4000}, Reason.TRUNCATED),
        ({"PixelData": None}, Reason.NO_PIXEL_DATA),
    ],
)
def test_refused_by_the_header(attributes: dict[str, Any], reason: Reason, settings: Settings) -> None:
    assert refused(dicom(ramp(), **attributes), settings) is reason


def test_limits_on_frames(settings: Settings) -> None:
    data = dicom(np.stack([ramp()] * 5))
    assert len(opened(data, settings.model_copy(update={"max_frames": 5})).frames) == 5
    assert refused(data, settings.model_copy(update={"max_frames": 4})) is Reason.TOO_MANY_FRAMES
    assert refused(data, settings.model_copy(update={"max_frame_pixels": ramp().size})) is Reason.TOO_MANY_PIXELS
    capsules = dicom(ramp(), objects.J2K, NumberOfFrames=10**9)
    assert refused(capsules, settings) is Reason.TOO_MANY_FRAMES


def test_a_refusal_carries_the_header_it_could_read(settings: Settings) -> None:
    with pytest.raises(Refused) as error:
        head(dicom(ramp())[:-10], settings)
    assert error.value.reason is Reason.TRUNCATED
    assert error.value.header.study_uid == ROOT + "1"  # type: ignore[attr-defined]


@pytest.mark.parametrize("cut", [200, 400, -1000, -50])
@pytest.mark.parametrize("syntax", [objects.EXPLICIT, objects.IMPLICIT, objects.DEFLATED])
def test_a_cut_file_is_refused(cut: int, syntax: str, settings: Settings) -> None:
    data = dicom(np.random.default_rng(0).integers(0, 4096, (64, 64), np.uint16), syntax)
    with pytest.raises(Refused) as error:
        opened(data[:cut], settings)
    assert error.value.reason in {Reason.TRUNCATED, Reason.NO_PIXEL_DATA}


def test_float_pixels_are_refused(settings: Settings) -> None:
    data = dicom(ramp()).replace(PIXEL_TAG, b"\xe0\x7f\x08\0OF\0\0")
    assert refused(data, settings) is Reason.UNSUPPORTED_PIXEL_TYPE


@pytest.mark.parametrize("end", ["4.100", "4.102", "4.107", "4.94", "7.1", "4.53", "4.92"])
def test_video_and_the_rest_are_refused_by_name(end: str, settings: Settings) -> None:
    data = dicom(ramp(), objects.J2K)
    named = f"1.2.840.10008.1.2.{end}".encode()
    old = b"UI\x16\0" + objects.J2K.encode()
    assert old in data
    named += b"\0" * (len(named) % 2)
    assert refused(data.replace(old, b"UI" + struct.pack("<H", len(named)) + named), settings) is (
        Reason.UNSUPPORTED_TRANSFER_SYNTAX
    )


def test_compressed_pixels_that_are_not_encapsulated(settings: Settings) -> None:
    data = dicom(ramp()).replace(b"\x14\x001.2.840.10008.1.2.1\0", b"\x14\x001.2.840.10008.1.2.5\0")
    assert refused(data, settings) is Reason.CORRUPT


def test_excess_pixel_data_are_left_out_and_flagged(settings: Settings) -> None:
    two = np.stack([ramp(), ramp()])
    assert opened(dicom(two, NumberOfFrames=1), settings).flags == ("excess_pixel_data",)
    for syntax in (objects.J2K, objects.RLE, objects.LOSSLESS_SV1):
        decoded = opened(dicom(two, syntax, NumberOfFrames=None), settings)
        assert (len(decoded.frames), decoded.flags) == (1, ("excess_pixel_data",))


def nested(levels: int, defined: bool) -> bytes:
    """Make sequences inside each other, with or without lengths."""
    inner = b""
    for _ in range(levels):
        if defined:
            item = b"\xfe\xff\0\xe0" + struct.pack("<L", len(inner)) + inner
            inner = element(0x00082112, "SQ", item)
        else:
            item = b"\xfe\xff\0\xe0\xff\xff\xff\xff" + inner + b"\xfe\xff\x0d\xe0\0\0\0\0"
            inner = b"\x08\0\x12\x21SQ\0\0\xff\xff\xff\xff" + item + b"\xfe\xff\xdd\xe0\0\0\0\0"
    return inner


@pytest.mark.parametrize("defined", [True, False])
@pytest.mark.parametrize(("levels", "fine"), [(16, True), (17, False), (1500, False)])
def test_nesting_is_bounded(levels: int, fine: bool, defined: bool, settings: Settings) -> None:
    data = dicom(ramp())
    at = data.index(b"\x10\0\x10\0PN")
    deep = data[:at] + nested(levels, defined) + data[at:]
    if fine:
        assert head(deep, settings).sop_uid == ROOT + "3"
        return
    assert refused(deep, settings) is Reason.NESTING_TOO_DEEP


def test_a_length_beyond_the_file_is_truncated(settings: Settings) -> None:
    data = dicom(ramp())
    at = data.index(PIXEL_TAG) + len(PIXEL_TAG)
    assert refused(data[:at] + b"\xf0\xff\xff\xff" + data[at + 4 :], settings) is Reason.TRUNCATED


def test_a_broken_private_sequence_does_not_cost_the_film(settings: Settings) -> None:
    data = dicom(ramp())
    at = data.index(b"\x10\0\x10\0PN")
    broken = element(0x00091010, "SQ", b"\xfe\xff\0\xe0\x40\0\0\0" + b"\x09\0\x11\x10LO\x20\0short")
    assert np.array_equal(picture(data[:at] + broken + data[at:], settings), picture(data, settings))


def test_a_sequence_of_unknown_vr_is_walked(settings: Settings) -> None:
    """PS3.5 6.2.2: UN with undefined length holds items in implicit VR."""
    data = dicom(ramp())
    at = data.index(b"\x10\0\x10\0PN")
    item = b"\xfe\xff\0\xe0\xff\xff\xff\xff" + b"\x09\0\x11\x10\x04\0\0\0abcd" + b"\xfe\xff\x0d\xe0\0\0\0\0"
    unknown = b"\x09\0\x10\x10UN\0\0\xff\xff\xff\xff" + item + b"\xfe\xff\xdd\xe0\0\0\0\0"
    assert np.array_equal(picture(data[:at] + unknown + data[at:], settings), picture(data, settings))


def test_an_icon_is_not_the_picture(settings: Settings) -> None:
    icon = Dataset()
    icon.Rows, icon.Columns, icon.PixelData = 2, 2, b"\1\2\3\4"
    icon["PixelData"].VR = "OB"
    read = opened(dicom(ramp(), IconImageSequence=[icon]), settings)
    assert read.frames[0].pixels.shape == (24, 32)


def test_a_deflated_bomb_is_told_by_what_it_claims_and_by_what_it_gives(settings: Settings) -> None:
    bomb = dicom(np.zeros((9000, 9000), np.uint8), objects.DEFLATED, bits=8)
    assert refused(bomb, settings) is Reason.DECOMPRESSION_BOMB
    small = settings.model_copy(update={"min_growth_bytes": 2**20})
    data = dicom(ramp(), objects.DEFLATED)
    at = data.index(b"1.2.840.10008.1.2.1.99") + 22
    private = element(0x00091010, "UN", b"\0" * 2**22)
    packer = zlib.compressobj(wbits=-15)
    assert refused(data[:at] + packer.compress(private) + packer.flush(), small) is Reason.DECOMPRESSION_BOMB


SR = "1.2.840.10008.5.1.4.1.1.88.11"


@pytest.mark.parametrize(
    ("attributes", "what"),
    [
        ({"SOPClassUID": SR, "Modality": "SR"}, "report"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.11.1", "Modality": "PR"}, "presentation state"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.59", "Modality": "KO"}, "key objects"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1", "Modality": "DOC"}, "PDF"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.67"}, "dose report"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.9.1.1", "Modality": "ECG"}, "waveform"),
        ({"SOPClassUID": "1.2.840.10008.1.3.10", "Modality": None}, "DICOMDIR"),
        ({"SOPClassUID": "1.3.46.670589.11.0.0.12.1", "Modality": "MR"}, "private object"),
    ],
)  # fmt: skip
def test_objects_without_a_picture_are_skipped(attributes: dict[str, Any], what: str, settings: Settings) -> None:
    for read in (head, opened):
        with pytest.raises(Skipped) as skipped:
            read(dicom(None, **attributes), settings)
        assert skipped.value.reason is Reason.NON_IMAGE_OBJECT, what
        assert skipped.value.header.study_uid == ROOT + "1"  # type: ignore[attr-defined]


def test_a_localizer_is_skipped(settings: Settings) -> None:
    data = dicom(ramp(), Modality="CT", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    with pytest.raises(Skipped):
        head(data, settings)


@pytest.mark.parametrize("name", ["Thumbs.db", "a/.DS_Store", "AUTORUN.INF", "README.TXT", "__MACOSX/a/._IM1", "._IM1"])
def test_litter_is_skipped_and_a_picture_by_its_name_is_not(name: str, settings: Settings) -> None:
    for data in (b"", b"anything"):
        with pytest.raises(Skipped):
            head(data, settings, name)
    if "__MACOSX" not in name:
        assert head(dicom(ramp()), settings, name).kind == "dicom"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY_FILE),
        (b"<html>", Reason.UNSUPPORTED_TYPE),
        (b"%PDF-1.7 " + b"x" * 300, Reason.UNSUPPORTED_TYPE),
        (b"GIF89a" + b"\0" * 300, Reason.UNSUPPORTED_TYPE),
        (b"MZ" + b"\0" * 300, Reason.UNSUPPORTED_TYPE),
        (b"PK\3\4" + b"\0" * 300, Reason.ARCHIVE_NESTED),
        (b"\0" * 128 + b"DICM", Reason.NO_PIXEL_DATA),
        (dicom(ramp(), PixelData=b""), Reason.NO_PIXEL_DATA),
    ],
)
def test_what_cannot_be_a_picture(data: bytes, reason: Reason, settings: Settings) -> None:
    assert refused(data, settings) is reason


def test_a_program_in_the_preamble_is_flagged(settings: Settings) -> None:
    for start in (b"MZ", b"\x7fELF", b"#!/bin/sh\n"):
        data = dicom(ramp())
        assert head(start + data[len(start) :], settings).flags == ("executable_preamble",)


@pytest.mark.parametrize(
    ("attributes", "shape"),
    [
        ({"PixelSpacing": [0.4, 0.2]}, (48, 32)),
        ({"PixelSpacing": [0.2, 0.5]}, (24, 80)),
        ({"PixelAspectRatio": [3, 2]}, (36, 32)),
        ({"PixelSpacing": [0.1, 0.1], "PixelAspectRatio": [3, 2]}, (24, 32)),
        ({"ImagerPixelSpacing": [0.4, 0.2]}, (24, 32)),
        ({"PixelSpacing": [0, 0.2]}, (24, 32)),
        ({"PixelSpacing": [5000, 0.2]}, (24, 32)),
    ],
)
def test_the_size_with_square_pixels(attributes: dict[str, Any], shape: tuple[int, int], settings: Settings) -> None:
    frame = opened(dicom(ramp(), **attributes), settings).frames[0]
    assert frame.pixels.shape == (24, 32)
    assert (frame.display_rows, frame.display_columns) == shape


@pytest.mark.parametrize(
    ("cells", "flags"),
    [
        (np.full((24, 32), 700, np.uint16), ("blank_image",)),
        (np.zeros((24, 32), np.uint16), ("blank_image",)),
        (ramp(), ()),
    ],
)
def test_blank_pictures_are_flagged(cells: Any, flags: tuple[str, ...], settings: Settings) -> None:
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        assert opened(dicom(cells, photometric=photometric), settings).frames[0].flags == flags
