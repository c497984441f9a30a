"""The bounded walk over the elements of a data set: no recursion, no trust in a length, only the wanted values kept.

pydicom reads a stranger's nesting by recursion and believes his lengths; this walk is what stands before everything.
It never looks into pixel data: it stops at (7FE0,0010) *Pixel Data*, its float kin included, and says where they lie.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import dictionary_VR, tag_for_keyword

from cspine.decoding.source import Source
from cspine.errors import Refused
from cspine.reasons import Reason

MAX_ELEMENTS = 500_000
MAX_META = 1000
MAX_VALUE = 2**18
MAX_KEPT = 2**24
MAX_ITEMS = 20_000  # of one sequence; what the others hold is passed over
UNDEFINED = 0xFFFFFFFF
PIXEL_DATA, FLOAT_PIXELS, DOUBLE_PIXELS = 0x7FE00010, 0x7FE00008, 0x7FE00009
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
LONG_VRS = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
SEQUENCES = frozenset(tag for tag, entry in DicomDictionary.items() if entry[0] == "SQ")

_KEYWORDS = """
SpecificCharacterSet ImageType SOPClassUID SOPInstanceUID StudyDate StudyTime AccessionNumber Modality Manufacturer
StudyDescription StationName PatientName PatientID PatientBirthDate PatientSex BodyPartExamined ViewPosition
SeriesDescription ProtocolName AnatomicRegionSequence CodeMeaning
StudyInstanceUID SeriesInstanceUID SeriesNumber InstanceNumber
NumberOfStudyRelatedInstances NumberOfSeriesRelatedInstances
CurrentRequestedProcedureEvidenceSequence ReferencedSeriesSequence
ReferencedSOPSequence ReferencedInstanceSequence ReferencedImageSequence ReferencedSOPInstanceUID
DirectoryRecordSequence DirectoryRecordType RecordInUseFlag ReferencedSOPInstanceUIDInFile
OffsetOfTheNextDirectoryRecord OffsetOfReferencedLowerLevelDirectoryEntity
SamplesPerPixel PhotometricInterpretation PlanarConfiguration NumberOfFrames Rows Columns PixelSpacing PixelAspectRatio
BitsAllocated BitsStored HighBit PixelRepresentation PixelPaddingValue PixelPaddingRangeLimit
WindowCenter WindowWidth VOILUTFunction RescaleIntercept RescaleSlope
ModalityLUTSequence VOILUTSequence LUTDescriptor LUTData
RedPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableDescriptor BluePaletteColorLookupTableDescriptor
RedPaletteColorLookupTableData GreenPaletteColorLookupTableData BluePaletteColorLookupTableData
SegmentedRedPaletteColorLookupTableData SegmentedGreenPaletteColorLookupTableData
SegmentedBluePaletteColorLookupTableData
SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence
FrameVOILUTSequence PixelValueTransformationSequence PixelMeasuresSequence
"""
WANTED: dict[int, str] = {}  # tag -> keyword
WANTED_VR: dict[str, str] = {}  # keyword -> VR of the dictionary, for where the file does not say
TAGS: dict[str, int] = {}  # keyword -> tag
for _keyword in _KEYWORDS.split():
    _tag = tag_for_keyword(_keyword)
    assert _tag is not None, _keyword
    # Of "US or SS" the first: whoever reads such a number knows whether it is signed
    WANTED[_tag], TAGS[_keyword], WANTED_VR[_keyword] = _keyword, _tag, dictionary_VR(_tag).split(" or ")[0]


@dataclass(frozen=True)
class Element:
    """One value as it lies in the file."""

    vr: str
    value: bytes


class Item(dict[str, "Element | list[Item]"]):
    """A data set or an item of a sequence: keyword -> value, or the items of a sequence."""

    offset = 0  # of an item's own first byte


@dataclass(frozen=True)
class PixelElement:
    """Where the pixel data lie: `length` is None for encapsulated ones, `offset` that of their first byte."""

    tag: int
    vr: str
    offset: int
    length: int | None


@dataclass(frozen=True)
class Encoding:
    """How the elements of a data set are written."""

    implicit: bool
    little: bool


@dataclass
class _Open:
    """An item, a sequence or a run of fragments that the walk is inside of; `end` is None where it ends by a mark."""

    kind: str  # "item", "sequence", "fragments"
    end: int | None
    implicit: bool
    item: Item | None = None  # where the wanted values go; None: nothing of this is wanted
    items: list[Item] | None = None


class _Malformed(Exception):
    """The elements inside a container contradict it."""


@dataclass
class Walk:
    """One walk over a data set. `root` holds the wanted values of the top level, `pixels` the place of the picture."""

    source: Source
    encoding: Encoding
    max_nesting: int
    root: Item = field(default_factory=Item)
    pixels: PixelElement | None = None
    _open: list[_Open] = field(default_factory=list)
    _depth: int = 0
    _kept: int = 0

    def run(self) -> "Walk":
        """Walk to the pixel data or to the end; raises `Refused` (truncated, nesting_too_deep, corrupt)."""
        order = "<" if self.encoding.little else ">"
        self._tag = struct.Struct(f"{order}HH")
        self._short, self._long = struct.Struct(f"{order}H"), struct.Struct(f"{order}L")
        self._open = [_Open("item", None, self.encoding.implicit, self.root)]
        for _ in range(MAX_ELEMENTS):
            try:
                if not self._step():
                    return self
            except _Malformed as error:
                self._leave_malformed(error)
        raise Refused(f"more than {MAX_ELEMENTS} elements", Reason.CORRUPT)

    def _step(self) -> bool:
        while (end := self._open[-1].end) is not None and self.source.position >= end:
            if self.source.position > end:
                raise _Malformed("an element reaches beyond its sequence")
            self._close()
        inside = self._open[-1]
        if len(self._open) == 1 and self._is_end():
            return False
        tag, vr, length = self._header(inside)
        if tag == ITEM and inside.kind != "item":
            self._enter_item(inside, length)
        elif tag == SEQUENCE_END or (tag == ITEM_END and inside.kind == "item"):
            if len(self._open) > 1:
                self._close()
                if tag == SEQUENCE_END and inside.kind == "item" and len(self._open) > 1:
                    self._close()  # the item's own end mark was left out
        elif inside.kind != "item":
            raise _Malformed("no item where one must be")
        elif len(self._open) == 1 and tag in {PIXEL_DATA, FLOAT_PIXELS, DOUBLE_PIXELS}:
            name = vr.decode("ascii", "replace") or "OW"
            self.pixels = PixelElement(tag, name, self.source.position, None if length == UNDEFINED else length)
            return False
        else:
            self._element(inside, tag, vr, length)
        return True

    def _is_end(self) -> bool:
        rest = self.source.peek(8)
        if len(rest) == 8:
            return False
        if rest.strip(b"\0"):
            raise Refused("the file ends inside an element", Reason.TRUNCATED)
        return True

    def _header(self, inside: _Open) -> tuple[int, bytes, int]:
        head = self.source.read(8)
        group, number = self._tag.unpack_from(head)
        tag = group << 16 | number
        vr = head[4:6]
        if group == 0xFFFE or inside.implicit or not (vr.isalpha() and vr.isupper()):
            return tag, b"", self._long.unpack_from(head, 4)[0]
        if vr in LONG_VRS:
            return tag, vr, self._long.unpack(self.source.read(4))[0]
        return tag, vr, self._short.unpack_from(head, 6)[0]

    def _enter_item(self, inside: _Open, length: int) -> None:
        if inside.kind == "fragments":
            if length == UNDEFINED:
                raise _Malformed("a fragment without a length")
            self._skip(length)
            return
        item: Item | None = None
        if inside.items is not None and len(inside.items) < MAX_ITEMS:
            item = Item()
            item.offset = self.source.position - 8
            inside.items.append(item)
        self._open.append(_Open("item", self._end(length), inside.implicit, item))

    def _element(self, inside: _Open, tag: int, vr: bytes, length: int) -> None:
        keyword = WANTED.get(tag)
        if vr == b"SQ" or (vr in {b"", b"UN"} and tag in SEQUENCES) or (length == UNDEFINED and vr in {b"", b"UN"}):
            if self._depth >= self.max_nesting:
                raise Refused(f"more than {self.max_nesting} levels of sequences", Reason.NESTING_TOO_DEEP)
            self._depth += 1
            items: list[Item] | None = None
            if keyword is not None and inside.item is not None and WANTED_VR[keyword] == "SQ":
                items = []
                inside.item.setdefault(keyword, items)
            # PS3.5 6.2.2: a sequence of VR UN is written in implicit VR
            self._open.append(_Open("sequence", self._end(length), inside.implicit or vr == b"UN", None, items))
        elif length == UNDEFINED:
            self._open.append(_Open("fragments", None, inside.implicit))
        elif keyword is None or inside.item is None or length > MAX_VALUE or keyword in inside.item:
            self._skip(length)
        else:
            self._check_inside(length)
            self._kept += length
            if self._kept > MAX_KEPT:
                raise Refused(f"more than {MAX_KEPT} bytes of header values", Reason.CORRUPT)
            name = WANTED_VR[keyword] if vr in {b"", b"UN"} else vr.decode("ascii")
            inside.item[keyword] = Element(name, self.source.read(length))

    def _end(self, length: int) -> int | None:
        if length == UNDEFINED:
            return None
        self._check_inside(length)
        return self.source.position + length

    def _skip(self, length: int) -> None:
        self._check_inside(length)
        self.source.skip(length)

    def _check_inside(self, length: int) -> None:
        end = self._nearest_end()
        if end is not None and self.source.position + length > end:
            raise _Malformed("a length reaches beyond its sequence")
        self.source.require(length)

    def _nearest_end(self) -> int | None:
        return next((container.end for container in reversed(self._open) if container.end is not None), None)

    def _close(self) -> None:
        self._depth -= self._open.pop().kind == "sequence"

    def _leave_malformed(self, error: _Malformed) -> None:
        """Go on behind the innermost container that says where it ends; a private block must not cost the film."""
        while self._open:
            end = self._open[-1].end
            if end is not None and end >= self.source.position:
                self.source.skip(end - self.source.position)
                return
            self._close()
        raise Refused(str(error), Reason.CORRUPT) from error


def file_meta(source: Source) -> Iterator[tuple[int, bytes]]:
    """Give tag and value of the file meta elements (group 2, explicit little endian) and stop before the data set.

    Raises `Refused` (corrupt, truncated).
    """
    for _ in range(MAX_META):
        head = source.peek(8)
        if head[:2] != b"\x02\0" or len(head) < 8:
            return
        tag, vr = 2 << 16 | int.from_bytes(head[2:4], "little"), head[4:6]
        source.skip(8)
        length = int.from_bytes(source.read(4) if vr in LONG_VRS else head[6:8], "little")
        if length > MAX_VALUE:
            source.skip(length)
        else:
            yield tag, source.read(length)
    raise Refused(f"more than {MAX_META} file meta elements", Reason.CORRUPT)
