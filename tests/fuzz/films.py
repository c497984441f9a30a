"""Sound DICOM objects to be damaged: every transfer syntax, form of pixels, lookup table and character set."""

import io
from functools import partial
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate_extended, fragment_frame, itemize_fragment

from tests.cspine.decoding import objects
from tests.cspine.decoding.objects import BASELINE, ENCODERS, EXPLICIT, HTJ2K_LOSSY, JPEGLS_NEAR, dicom, ramp, written

ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
GREY, BYTES = ramp(), ramp(bits=8, dtype=np.uint8)
SIGNED = ramp(bits=16, dtype=np.int16)
RGB = np.random.default_rng(1).integers(0, 256, (24, 32, 3), np.uint8)
FRAMES = np.stack([GREY, GREY[::-1], GREY[:, ::-1]])


def films() -> dict[str, bytes]:
    """Make a small object of every kind, by name."""
    made = {f"grey {syntax}": dicom(GREY, syntax) for syntax in ENCODERS if syntax != BASELINE}
    made |= {f"8 bits {syntax}": dicom(BYTES, syntax, bits=8) for syntax in ENCODERS}
    made |= {
        f"colour {syntax}": dicom(RGB, syntax, bits=8, photometric="YBR_FULL" if syntax == BASELINE else "RGB")
        for syntax in ENCODERS
        if syntax not in {objects.EXTENDED, JPEGLS_NEAR, HTJ2K_LOSSY}
    }
    made |= {f"frames {syntax}": dicom(FRAMES, syntax) for syntax in (EXPLICIT, *ENCODERS) if syntax != BASELINE}
    for syntax in (objects.IMPLICIT, objects.BIG_ENDIAN, objects.DEFLATED):
        made |= {f"grey {syntax}": dicom(GREY, syntax), f"8 bits {syntax}": dicom(BYTES, syntax, bits=8)}
        made |= {f"colour {syntax}": dicom(RGB, syntax, bits=8, photometric="RGB")}
    return made | _forms() | _tables() | _texts() | _fragments()


def _forms() -> dict[str, bytes]:
    by_plane = np.ascontiguousarray(np.moveaxis(RGB, -1, 0)).reshape(24, 32, 3)
    plain = dicom(GREY)
    return {
        "plain": plain,
        "no preamble": plain[132:],
        "no meta": plain[_data_set(plain) :],
        "encapsulated uncompressed": _encapsulated_plain(),
        "signed": dicom(SIGNED, bits=16, RescaleSlope="-2", RescaleIntercept="1000"),
        "high bit": dicom(GREY << 4, HighBit=15),
        "bits above": dicom(GREY | 0x8000),
        "single bits": _single_bits(),
        "by plane": dicom(by_plane, bits=8, photometric="RGB", PlanarConfiguration=1),
        "YBR": dicom(RGB, bits=8, photometric="YBR_FULL"),
        "YBR 422": dicom(RGB[:, ::3], bits=8, photometric="YBR_FULL_422", Columns=16),
        "inverted": dicom(GREY, photometric="MONOCHROME1", PresentationLUTShape="INVERSE"),
        "not square": dicom(GREY, PixelSpacing=["0.3", "0.15"], PixelAspectRatio=["2", "1"]),
        "padding": dicom(GREY, PixelPaddingValue=0, PixelPaddingRangeLimit=100),
    }


def _tables() -> dict[str, bytes]:
    modality = _table([4096, 0, 16], np.arange(4096, dtype=np.uint16) * 16, ModalityLUTType="US")
    voi = _table([4096, 0, 8], np.arange(4096, dtype=np.uint16) // 16)
    ramps = {f"{colour}PaletteColorLookupTableData": bytes(range(256)) for colour in ("Red", "Green", "Blue")}
    described = {f"{colour}PaletteColorLookupTableDescriptor": [256, 0, 8] for colour in ("Red", "Green", "Blue")}
    wide = {key: np.arange(256, dtype="<u2").tobytes() for key in ramps}
    segments = np.array([0, 1, 0, 1, 255, 65535], "<u2").tobytes()
    segmented = {f"Segmented{key}": segments for key in ramps}
    palette = partial(dicom, BYTES, bits=8, photometric="PALETTE COLOR")
    return {
        "modality table": dicom(GREY, ModalityLUTSequence=[modality]),
        "VOI table": dicom(GREY, VOILUTSequence=[voi, voi]),
        "windows": dicom(GREY, WindowCenter=["2000", "100"], WindowWidth=["4000", "1"], VOILUTFunction="LINEAR"),
        "exact window": dicom(GREY, WindowCenter="1e3", WindowWidth="0.5", VOILUTFunction="LINEAR_EXACT"),
        "sigmoid": dicom(GREY, WindowCenter="1000", WindowWidth="800", VOILUTFunction="SIGMOID"),
        "palette": palette(**ramps, **described),
        "palette of 16 bits": palette(**wide, **{key: [256, 0, 16] for key in described}),
        "palette in segments": palette(**segmented, **{key: [256, 0, 16] for key in described}),
        "functional groups": _functional_groups(),
        "functional groups RLE": _functional_groups(objects.RLE),
    }


def _texts() -> dict[str, bytes]:
    names = {
        "ISO_IR 100": "Müller^Jörg",
        "ISO_IR 192": "Юрий^Гагарин",
        "GB18030": "王^小东",
        "ISO_IR 144": "Люкceмбypг",
    }
    made = {charset: dicom(GREY, SpecificCharacterSet=charset, PatientName=name) for charset, name in names.items()}
    mixed = {"SpecificCharacterSet": ["", "ISO 2022 IR 87", "ISO 2022 IR 149"], "PatientName": "Yamada^Tarou=山田^太郎"}
    made["ISO 2022"] = dicom(GREY, **mixed)
    made["unknown set"] = dicom(GREY, SpecificCharacterSet="ISO_IR 999", PatientName="A^B")
    made["dates"] = dicom(GREY, StudyDate="1999.13.45", StudyTime="256199", StudyDescription="line\r\nbreak\0")
    made["long"] = dicom(GREY, StudyDescription="x" * 3000, StationName="y" * 200)
    return made


def _fragments() -> dict[str, bytes]:
    coded = [ENCODERS[objects.J2K](frame, 12) for frame in FRAMES]
    pieces = b"".join(itemize_fragment(piece) for piece in fragment_frame(coded[0], 3))
    in_pieces = _opened(dicom(GREY, objects.J2K))
    in_pieces.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0" + pieces
    extended = _opened(dicom(FRAMES, objects.J2K))
    extended.PixelData, extended.ExtendedOffsetTable, extended.ExtendedOffsetTableLengths = encapsulate_extended(coded)
    return {"fragments": _saved(in_pieces, objects.J2K), "extended offsets": _saved(extended, objects.J2K)}


def _functional_groups(syntax: str = EXPLICIT) -> bytes:
    def group(**attributes: Any) -> Dataset:
        item, window, values, measures = Dataset(), Dataset(), Dataset(), Dataset()
        window.WindowCenter, window.WindowWidth = attributes["center"], 3000
        values.RescaleSlope, values.RescaleIntercept, values.RescaleType = 2, -100, "US"
        measures.PixelSpacing = [0.2, 0.1]
        item.FrameVOILUTSequence, item.PixelValueTransformationSequence = [window], [values]
        item.PixelMeasuresSequence = [measures]
        return item

    each = [group(center=center) for center in (500, 2000, 3500)]
    shared = {"SharedFunctionalGroupsSequence": each[:1], "PerFrameFunctionalGroupsSequence": each}
    return dicom(FRAMES, syntax, SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1", **shared)


def _single_bits() -> bytes:
    bits = np.packbits(BYTES > 127, bitorder="little").tobytes()
    return dicom(BYTES, bits=1, BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=bits)


def _encapsulated_plain() -> bytes:
    film = _opened(dicom(GREY, objects.RLE))
    film.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0" + itemize_fragment(GREY.tobytes())
    return _saved(film, ENCAPSULATED_UNCOMPRESSED)


def _table(descriptor: list[int], entries: Any, **attributes: Any) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = descriptor
    item.LUTData = entries.tobytes()
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "OW"
    item.update(attributes)
    return item


def _opened(data: bytes) -> Dataset:
    return dcmread(io.BytesIO(data))


def _saved(film: Dataset, syntax: str) -> bytes:
    film["PixelData"].is_undefined_length = True
    return written(film, syntax)


def _data_set(film: bytes) -> int:
    """Return where the data set begins behind the file meta information."""
    return 144 + int.from_bytes(film[140:144], "little")
