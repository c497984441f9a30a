"""What a file says that a study holds: counts in headers, references, the records of a DICOMDIR."""

import io
import struct
from typing import Any

import pytest

from cspine.decoding import SkippedWithHeader, announced, read_header
from cspine.decoding.announced import Announced
from cspine.settings import Settings
from tests.cspine.decoding.companions import KEY_OBJECT, companion, dicomdir, key_object, presentation_state
from tests.cspine.decoding.objects import ROOT, dicom, ramp

STUDY = ROOT + "1"


def told(data: bytes, settings: Settings) -> tuple[Announced, ...]:
    try:
        return read_header(io.BytesIO(data), "a.dcm", settings).announced
    except SkippedWithHeader as skipped:
        return skipped.header.announced


def film(study: str, number: int, **attributes: Any) -> bytes:
    return dicom(ramp(), StudyInstanceUID=study, SeriesInstanceUID=f"{study}.1", SOPInstanceUID=f"{study}.1.{number}",
                 **attributes)  # fmt: skip


def test_a_film_announces_nothing_unless_it_counts(settings: Settings) -> None:
    assert told(film(STUDY, 1), settings) == ()
    counted = film(STUDY, 1, NumberOfStudyRelatedInstances=5, NumberOfSeriesRelatedInstances=2)
    assert told(counted, settings) == (Announced(STUDY, 5, 2),)


@pytest.mark.parametrize("number", [0, -3, "2.5", 10**6, ""])
def test_what_is_no_number_of_instances_is_passed_over(settings: Settings, number: Any) -> None:
    assert told(film(STUDY, 1, NumberOfStudyRelatedInstances=number), settings) == ()


def test_a_count_without_a_study_is_nobodys(settings: Settings) -> None:
    assert told(dicom(ramp(), StudyInstanceUID=None, NumberOfStudyRelatedInstances=5), settings) == ()


@pytest.mark.parametrize("make", [key_object, presentation_state])
def test_references_to_the_own_study(settings: Settings, make: Any) -> None:
    uids = [f"{STUDY}.1.{number}" for number in (1, 2, 1)]
    assert told(make(STUDY, [*uids, "no uid", ""]), settings) == (Announced(STUDY, sop_uids=tuple(uids[:2])),)


def test_a_reference_to_another_study_says_nothing(settings: Settings) -> None:
    assert told(key_object("1.2.3", ["1.2.3.4"], StudyInstanceUID=STUDY), settings) == ()
    assert told(companion(KEY_OBJECT, STUDY), settings) == ()


def test_a_key_object_of_a_hundred_thousand_references_is_read_within_bounds(settings: Settings) -> None:
    item = b"\xfe\xff\x00\xe0" + struct.pack("<L", 20) + b"\x08\x00\x55\x11UI" + struct.pack("<H", 12)
    items = b"".join(item + b"1.2.%08d" % number for number in range(100_000))
    sequence = b"\x08\x00\x99\x11SQ\0\0" + struct.pack("<L", len(items)) + items
    series = b"\xfe\xff\x00\xe0" + struct.pack("<L", len(sequence)) + sequence
    added = b"\x08\x00\x15\x11SQ\0\0" + struct.pack("<L", len(series)) + series
    head, mark, rest = companion(KEY_OBJECT, STUDY).partition(b"\x10\x00\x10\x00PN")
    (found,) = told(head + added + mark + rest, settings)
    assert len(found.sop_uids) == announced.MAX_REFERENCES


def test_a_directory_lists_the_instances_of_each_study(settings: Settings) -> None:
    films = [film(study, number) for study in ("1.2.3", "1.2.4") for number in (1, 2)]
    assert sorted(told(dicomdir(*films), settings), key=lambda one: one.study_uid) == [
        Announced("1.2.3", sop_uids=("1.2.3.1.1", "1.2.3.1.2")),
        Announced("1.2.4", sop_uids=("1.2.4.1.1", "1.2.4.1.2")),
    ]


LOWER, NEXT = b"\x04\x00\x20\x14UL\x04\x00", b"\x04\x00\x00\x14UL\x04\x00"


@pytest.mark.parametrize("tag", [LOWER, NEXT])
def test_a_directory_whose_offsets_lead_nowhere_or_round_ends(settings: Settings, tag: bytes) -> None:
    data = dicomdir(film("1.2.3", 1), film("1.2.3", 2))
    start = data.index(b"\x04\x00\x20\x12SQ")
    first = data.index(b"\xfe\xff\x00\xe0", start)
    for target in (0, first, 2**32 - 1):
        changed, at = bytearray(data), start
        while (at := data.find(tag, at + 1)) > 0:
            changed[at + 8 : at + 12] = struct.pack("<L", target)
        assert sum(len(one.sop_uids) for one in told(bytes(changed), settings)) <= 2
