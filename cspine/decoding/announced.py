"""What a file says that a study holds, so that a part which never came is noticed.

Some archives write the number of instances into every header; key objects, presentation states and reports name the
instances that they refer to; a DICOMDIR lists what is on its medium. None of them has to be right.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from cspine.decoding.attributes import Attributes
from cspine.decoding.text import is_uid

MAX_REFERENCES = 10_000  # of one file; what is missing among further ones goes unnoticed
MAX_COUNT = 99_999


@dataclass(frozen=True)
class Announced:
    """What a file says of a study's instances; a count is None where it says none."""

    study_uid: str
    in_study: int | None = None  # instances of the whole study
    in_series: int | None = None  # instances of the file's own series
    sop_uids: tuple[str, ...] = ()


def counts(attributes: Attributes, study_uid: str | None) -> tuple[Announced, ...]:
    """Read (0020,1208) *Number of Study Related Instances* and (0020,1209), that of the series."""
    in_study = _count(attributes, "NumberOfStudyRelatedInstances")
    in_series = _count(attributes, "NumberOfSeriesRelatedInstances")
    if study_uid is None or (in_study is None and in_series is None):
        return ()
    return (Announced(study_uid, in_study, in_series),)


def references(attributes: Attributes, study_uid: str | None) -> tuple[Announced, ...]:
    """Read which instances of its own study an object without a picture refers to (PS3.3 C.17.2, C.11.11, C.12.2)."""
    if study_uid is None:
        return ()
    series = list(attributes.items("ReferencedSeriesSequence"))
    for study in attributes.items("CurrentRequestedProcedureEvidenceSequence"):
        if study.code("StudyInstanceUID") == study_uid:
            series += study.items("ReferencedSeriesSequence")
    uids = _uids(
        instance.code("ReferencedSOPInstanceUID")
        for one in series
        for keyword in ("ReferencedSOPSequence", "ReferencedImageSequence", "ReferencedInstanceSequence")
        for instance in one.items(keyword)
    )
    return (Announced(study_uid, sop_uids=uids),) if uids else ()


def directory(attributes: Attributes) -> tuple[Announced, ...]:
    """Read which instances of which studies a DICOMDIR lists, along the offsets of its records (PS3.3 F.3)."""
    records = {record.offset: record for record in attributes.items("DirectoryRecordSequence")}
    unseen = dict(records)
    found: list[Announced] = []
    left = MAX_REFERENCES
    for study in records.values():
        study_uid = study.code("StudyInstanceUID")
        if study.code("DirectoryRecordType") != "STUDY" or not _in_use(study) or not is_uid(study_uid):
            continue
        leaves = (leaf for series in _below(study, unseen) for leaf in _below(series, unseen))
        uids = _uids((leaf.code("ReferencedSOPInstanceUIDInFile") for leaf in leaves), left)
        left -= len(uids)
        if uids:
            found.append(Announced(study_uid, sop_uids=uids))
    return tuple(found)


def _below(record: Attributes, unseen: dict[int, Attributes]) -> Iterator[Attributes]:
    """Give the records of the next lower level that are in use, each once whatever the offsets say."""
    at = record.integer("OffsetOfReferencedLowerLevelDirectoryEntity")
    while at is not None and (below := unseen.pop(at, None)) is not None:
        if _in_use(below):
            yield below
        at = below.integer("OffsetOfTheNextDirectoryRecord")


def _in_use(record: Attributes) -> bool:
    return record.integer("RecordInUseFlag") != 0


def _uids(values: Iterable[str], most: int = MAX_REFERENCES) -> tuple[str, ...]:
    return tuple(islice(dict.fromkeys(value for value in values if is_uid(value)), most))


def _count(attributes: Attributes, keyword: str) -> int | None:
    value = attributes.integer(keyword)
    return value if value is not None and 0 < value <= MAX_COUNT else None
