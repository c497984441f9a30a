"""A DICOM object: the walk over its header, the checks that need no pixel, and the decoding of its frames."""

import io
from dataclasses import dataclass, replace
from typing import BinaryIO, cast

from pydicom._uid_dict import UID_dictionary

from cspine.decoding import announced, body_part, colour, grey, kinds, syntax
from cspine.decoding.attributes import Attributes
from cspine.decoding.bounded import Bounded
from cspine.decoding.elements import PIXEL_DATA, PixelElement, Walk, file_meta
from cspine.decoding.frame import Decoded, Frame, Geometry, blank
from cspine.decoding.header import Header, Meta, RefusedWithHeader, SkippedWithHeader
from cspine.decoding.layout import GREY, Layout, check_frames, read_layout
from cspine.decoding.source import Inflating, Source
from cspine.decoding.stored import stored_frames
from cspine.decoding.text import Reader
from cspine.errors import Refused
from cspine.reasons import Reason
from cspine.settings import Settings

PREAMBLE, PREFIX = 132, b"DICM"
TRANSFER_SYNTAX, MEDIA_SOP_CLASS = 0x00020010, 0x00020002
NON_IMAGES = frozenset(
    uid
    for uid, entry in UID_dictionary.items()
    if entry[1] == "SOP Class" and "Storage" in entry[0] and "Image" not in entry[0] and "Volume" not in entry[0]
)
NON_IMAGE_MODALITIES = {
    "SR",
    "PR",
    "KO",
    "DOC",
    "REG",
    "SEG",
    "RTSTRUCT",
    "RTPLAN",
    "RTRECORD",
    "RTDOSE",
    "FID",
    "PLAN",
}
_STORAGE = "1.2.840.10008.5.1.4.1.1."


@dataclass(frozen=True)
class DicomObject:
    """An image object whose header was read and checked; `source` stands at the pixel data."""

    header: Header
    attributes: Attributes
    layout: Layout
    pixels: PixelElement
    syntax: syntax.Syntax
    source: Source


def open_object(file: BinaryIO, settings: Settings) -> DicomObject:
    """Read the header of a DICOM file and check all that can be checked without decoding.

    Raises `RefusedWithHeader` or `SkippedWithHeader` once the identity is known, `Refused` before.
    """
    size = file.seek(0, io.SEEK_END)
    bounds = [Bounded(file)]
    file = cast(BinaryIO, bounds[0])
    file.seek(0)
    head = file.read(PREAMBLE)
    has_preamble = head[128:132] == PREFIX
    bare = len(PREFIX) if head.startswith(PREFIX) else 0
    source = Source(file, PREAMBLE if has_preamble else bare, size)
    meta = dict(file_meta(source))
    transfer_syntax = _uid(meta.get(TRANSFER_SYNTAX, b"")) or None
    if transfer_syntax == syntax.DEFLATED:
        start = source.position
        inflating = Inflating(file, start, size - start, settings)
        bounds.append(Bounded(inflating, Reason.DECOMPRESSION_BOMB))
        source = Source(cast(BinaryIO, bounds[1]), 0, None, inflating.limit)
    encoding = syntax.encoding_of(source.peek(8), transfer_syntax)
    walk = Walk(source, encoding, settings.max_nesting)
    cut: Refused | None = None
    try:
        walk.run()
    except Refused as error:
        cut = error
    attributes = Attributes(walk.root, encoding.little)
    header = _header(attributes, has_preamble and head.startswith(kinds.PROGRAMS))
    if cut is not None:
        raise RefusedWithHeader(cut.detail, cut.reason, header) from cut
    sop_class = attributes.code("SOPClassUID") or _uid(meta.get(MEDIA_SOP_CLASS, b""))
    if _is_no_image(attributes, sop_class, walk.pixels):
        told = announced.references(attributes, header.study_uid) + announced.directory(attributes)
        flags = tuple(flag for flag in header.flags if flag != Reason.WRONG_BODY_PART)  # of pictures only
        raise SkippedWithHeader(sop_class[:64], replace(header, flags=flags, announced=header.announced + told))
    try:
        if walk.pixels is None:
            raise Refused("", Reason.NO_PIXEL_DATA)
        codec = _syntax(transfer_syntax, walk.pixels)
        if walk.pixels.tag != PIXEL_DATA:
            raise Refused("float pixel data", Reason.UNSUPPORTED_PIXEL_TYPE)
        if source.limit is not None:  # a bomb is told by what it claims, before its size in pixels
            source.require(walk.pixels.length or 0)
        layout = read_layout(attributes, settings)
        _check_length(walk.pixels, layout, codec, source)
        check_frames(layout.rows, layout.columns, layout.frames, settings)
    except Refused as error:
        raise RefusedWithHeader(error.detail, error.reason, header) from error
    for bound in bounds:
        bound.lift()
    return DicomObject(header, attributes, layout, walk.pixels, codec, source)


def decode(file: BinaryIO, settings: Settings) -> Decoded:
    """Decode every frame of a DICOM file by the rule of the standard (design, section 5)."""
    image = open_object(file, settings)
    flags: set[str] = set()
    frames = []
    try:
        for index, cells in enumerate(stored_frames(image, flags)):
            attributes = image.attributes.for_frame(index)
            render = grey.render if image.layout.photometric in GREY else colour.render
            pixels, odd = render(cells, image.layout, attributes, image.syntax)
            flags |= odd
            geometry = Geometry.of(image.layout.rows, image.layout.columns, attributes)
            frames.append(Frame(index, pixels, geometry.rows, geometry.columns, blank(pixels)))
    except Refused as error:
        raise RefusedWithHeader(error.detail, error.reason, image.header) from error
    header = replace(image.header, flags=tuple(sorted({*image.header.flags, *flags})))
    return Decoded(header, frames)


def _header(attributes: Attributes, program: bool) -> Header:
    reader = Reader(attributes)
    meta = Meta(
        patient_name=reader.text("PatientName", "PN"),
        patient_id=reader.text("PatientID", "LO"),
        birth_date=reader.date("PatientBirthDate"),
        sex=(reader.text("PatientSex", "CS") or "")[:4] or None,
        accession_number=reader.text("AccessionNumber", "SH"),
        study_date=reader.date("StudyDate"),
        study_time=reader.time("StudyTime"),
        study_description=reader.text("StudyDescription", "LO"),
        modality=reader.text("Modality", "CS"),
        body_part=reader.text("BodyPartExamined", "CS"),
        view=reader.text("ViewPosition", "CS"),
        station=reader.text("StationName", "SH"),
        manufacturer=reader.text("Manufacturer", "LO"),
        series_number=_bounded(attributes.integer("SeriesNumber")),
        instance_number=_bounded(attributes.integer("InstanceNumber")),
    )
    study, series, sop = (reader.uid(key) for key in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))
    flags = {*reader.flags, *([Reason.EXECUTABLE_PREAMBLE] if program else [])}
    if body_part.says_elsewhere(attributes):
        flags.add(Reason.WRONG_BODY_PART)
    codes = tuple(sorted(flag.value for flag in flags))
    return Header("dicom", study, series, sop, meta, codes, announced.counts(attributes, study))


def _is_no_image(attributes: Attributes, sop_class: str, pixels: PixelElement | None) -> bool:
    if sop_class in NON_IMAGES or attributes.code("Modality") in NON_IMAGE_MODALITIES:
        return True
    if "LOCALIZER" in attributes.codes("ImageType")[2:]:  # a scout view of CT or MR (PS3.3 C.8.2.1.1.1)
        return True
    return pixels is None and "Rows" not in attributes and bool(sop_class) and not sop_class.startswith(_STORAGE)


def _syntax(transfer_syntax: str | None, pixels: PixelElement) -> syntax.Syntax:
    if transfer_syntax is None:
        if pixels.length is None:
            raise Refused("encapsulated, by an unnamed transfer syntax", Reason.MISSING_TRANSFER_SYNTAX)
        return syntax.Syntax("plain")
    codec = syntax.SYNTAXES.get(transfer_syntax)
    if codec is None:
        name = UID_dictionary.get(transfer_syntax, (transfer_syntax[:64],))[0]
        raise Refused(name, Reason.UNSUPPORTED_TRANSFER_SYNTAX)
    return codec


def _check_length(pixels: PixelElement, layout: Layout, codec: syntax.Syntax, source: Source) -> None:
    if pixels.length is None:
        return
    if pixels.length == 0:
        raise Refused("", Reason.NO_PIXEL_DATA)
    if codec.codec != "plain":
        raise Refused("compressed pixel data that are not encapsulated", Reason.CORRUPT)
    if pixels.length < layout.pixel_bytes:
        raise Refused(f"{pixels.length} bytes of {layout.pixel_bytes}", Reason.TRUNCATED)
    source.require(pixels.length)


def _uid(raw: bytes) -> str:
    return raw.decode("ascii", "replace").strip(" \0")


def _bounded(value: int | None) -> int | None:
    return value if value is not None and abs(value) < 2**31 else None
