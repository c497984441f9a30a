"""The header of any file is read within bounds: in bytes, in calls and in what is kept of them."""

import io
import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from cspine.decoding import RefusedWithHeader, read_header
from cspine.decoding.bounded import LEAST_COST, MAX_HEADER
from cspine.errors import Refused
from cspine.reasons import Reason
from cspine.settings import Settings
from tests.cspine.decoding import objects
from tests.cspine.decoding.objects import dicom, opened, ramp

GREY = ramp(bits=8, dtype=np.uint8)
MORE = MAX_HEADER + 2**20
ICC = 255  # segments of a profile, the most that there can be


class Counted(io.BytesIO):
    """A file that counts what is read of it."""

    bytes_read = calls = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        self.calls += 1
        return data


def counted(data: bytes, settings: Settings, reason: Reason | None) -> Counted:
    """Read a header, which is refused for the reason unless that is None, and give back what was read for it."""
    file = Counted(data)
    if reason is None:
        read_header(file, "film", settings)
    else:
        with pytest.raises(Refused) as refused:
            read_header(file, "film", settings)
        assert refused.value.reason is reason
    assert file.bytes_read <= MAX_HEADER + 2**16
    assert file.calls <= MAX_HEADER // LEAST_COST + 16
    return file


def jpeg(*segments: bytes) -> bytes:
    """Make a JPEG with segments of ours behind its first marker."""
    file = io.BytesIO()
    Image.fromarray(GREY).save(file, "JPEG")
    return b"\xff\xd8" + b"".join(segments) + file.getvalue()[2:]


def segment(marker: int, data: bytes) -> bytes:
    """Make one JPEG segment."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def chunk(name: bytes, data: bytes) -> bytes:
    """Make one PNG chunk."""
    return struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data))


def png(*chunks: bytes) -> bytes:
    """Make a PNG with chunks of ours before its pixels."""
    data: bytes = imagecodecs.png_encode(GREY)
    return data[:33] + b"".join(chunks) + data[33:]


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff" + bytes(MORE),
        b"\xff\xd8" + b"\xff" * MORE,
        b"\xff\xd8" + segment(0xE1, b"") * 2**22,
        png(chunk(b"prVt", bytes(MORE))),
        png(chunk(b"prVt", b"") * 2**17),
        objects.dicom(ramp())[:132] + b"\x02\0\x10\0UI\0\0" * 2**21,
    ],
    ids=["zeros", "fill bytes", "segments", "chunk", "chunks", "file meta"],
)
def test_what_has_no_end_is_refused(data: bytes, settings: Settings) -> None:
    counted(data, settings, Reason.CORRUPT)


def test_what_is_refused_at_intake_is_refused_by_the_decoder(settings: Settings) -> None:
    for data in (png(chunk(b"prVt", bytes(MORE))), b"\xff\xd8\xff" + bytes(MORE)):
        with pytest.raises(Refused) as refused:
            opened(data, settings)
        assert refused.value.reason is Reason.CORRUPT


def test_large_exif_and_icc_segments_of_a_jpeg_are_passed_over(settings: Settings) -> None:
    exif = segment(0xE1, b"Exif\0\0" + bytes(65000))
    icc = [segment(0xE2, b"ICC_PROFILE\0" + bytes([number + 1, ICC]) + bytes(65000)) for number in range(ICC)]
    data = jpeg(exif, *icc)
    assert len(data) > 2**23
    assert counted(data, settings, None).bytes_read < 2**21


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("asked_for", [False, True])
def test_a_huge_value_in_a_tiff(big: bool, asked_for: bool, settings: Settings) -> None:
    """A value that nobody asks for costs nothing; one that is asked for is bounded."""
    width, kind = (8, 16) if big else (4, 4)
    strips = (273, MORE // width, 2**16) if asked_for else (273, 1, 2**12)
    entries = [(256, 1, 32), (257, 1, 24), (258, 1, 8), (262, 1, 1), strips, (277, 1, 1), (279, 1, 768),
               (37724, MORE // width, 2**16)]  # fmt: skip
    head = b"II+\0\x08\0\0\0" if big else b"II*\0"
    data = head + (len(head) + width).to_bytes(width, "little") + len(entries).to_bytes(8 if big else 2, "little")
    for tag, count, value in entries:
        data += struct.pack("<HH", tag, kind) + count.to_bytes(width, "little") + value.to_bytes(width, "little")
    read = counted(data.ljust(2**16, b"\0") + bytes(MORE), settings, Reason.CORRUPT if asked_for else None)
    assert asked_for or read.bytes_read < 2**12


def test_an_inflated_header_is_bounded_too(settings: Settings) -> None:
    """It may grow to 64 MiB with its pixels, yet not before them; the study is still known."""
    data = dicom(ramp(), objects.DEFLATED)
    at = data.index(b"1.2.840.10008.1.2.1.99") + 22
    plain = dicom(ramp())
    inflated = plain[plain.index(b"\x08\0\x16\0", 132) :]
    place = inflated.index(b"\x28\0\x02\0")
    for size, reason in ((MORE, Reason.DECOMPRESSION_BOMB), (2**20, None)):
        private = objects.element(0x00210010, "UN", bytes(size))
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        packed = packer.compress(inflated[:place] + private + inflated[place:]) + packer.flush()
        if reason is None:
            assert np.array_equal(objects.picture(data[:at] + packed, settings), objects.picture(data, settings))
            continue
        with pytest.raises(RefusedWithHeader) as refused:
            read_header(io.BytesIO(data[:at] + packed), "film", settings)
        assert refused.value.reason is reason
        assert refused.value.header.study_uid == objects.ROOT + "1"


def test_deflated_blocks_of_nothing_come_to_an_end(settings: Settings) -> None:
    data = dicom(ramp(), objects.DEFLATED)
    at = data.index(b"1.2.840.10008.1.2.1.99") + 22
    counted(data[:at] + b"\0\0\0\xff\xff" * (MORE // 5), settings, Reason.CORRUPT)


def test_pixels_beyond_the_bound_of_the_header_are_read(settings: Settings) -> None:
    cells = np.zeros((4000, 4300), np.uint8)
    cells[2000:, 7] = 200
    assert cells.size > MAX_HEADER
    for syntax in (objects.EXPLICIT, objects.DEFLATED):
        frame = opened(dicom(cells, syntax, bits=8, WindowCenter=128, WindowWidth=256), settings).frames[0]
        assert frame.pixels[3999, 7] > frame.pixels[0, 7]


def test_values_that_are_passed_over_cost_little(settings: Settings) -> None:
    data = dicom(ramp())
    at = data.index(b"\x10\0\x10\0PN")
    private = b"".join(objects.element(0x00091000 + n, "UN", bytes(2**16 + 8)) for n in range(300))
    assert len(private) > MAX_HEADER
    counted(data[:at] + private + data[at:], settings, None)
