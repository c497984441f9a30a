"""Newcomers: received files that are new in every way, each a study of its own, written many at a time.

Most of what comes in is such a file, and a statement for many of them costs little more than one for a single file.
"""

import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from cspine.database import now
from cspine.decoding import Header
from cspine.records import announcements, studies
from cspine.records.receipts import Incoming, Receipt, clean
from cspine.records.screenings import Ring
from cspine.states import Disposition, Stage, State
from cspine.tables import Batch, ReceivedFile, Screening, Study, new_id


def among(session: Session, incoming: Sequence[Incoming]) -> list[int]:
    """Return the places of the files that no other one, here or received earlier, has anything to do with.

    The caller keeps others from receiving the same bytes or the same studies meanwhile.
    """
    hashes = Counter(one.stored.sha256 for one in incoming if one.stored is not None)
    uids = Counter(one.header.study_uid for one in incoming if one.header is not None)
    uids += Counter(told.study_uid for one in incoming if one.header is not None for told in one.header.announced
                    if told.study_uid != one.header.study_uid)  # fmt: skip
    known = set(
        session.scalars(select(ReceivedFile.sha256).where(ReceivedFile.sha256.in_(hashes), ReceivedFile.original))
    )
    named = [uid for uid in uids if uid is not None]
    there = set(session.scalars(select(Study.study_uid).where(Study.study_uid.in_(named)))) if named else set()
    return [
        place
        for place, one in enumerate(incoming)
        if one.stored is not None and isinstance(one.outcome, Header)
        and hashes[one.stored.sha256] == 1 and one.stored.sha256 not in known
        and (one.outcome.study_uid is None or (uids[one.outcome.study_uid] == 1 and one.outcome.study_uid not in there))
    ]  # fmt: skip


def admit(session: Session, batch: Batch, incoming: Sequence[Incoming]) -> list[Receipt]:
    """Record newcomers, and send their studies to work."""
    if not incoming:
        return []
    moment = now(session)
    ids = [new_id() for _ in incoming]
    headers = [one.outcome for one in incoming if isinstance(one.outcome, Header)]
    session.execute(
        insert(Study), [{"id": id_} | study(batch, header, moment) for id_, header in zip(ids, headers, strict=True)]
    )
    find_beside(session, [header.study_uid for header in headers if header.study_uid is not None])
    files = [_file(batch, id_, one, header, moment)
             for id_, one, header in zip(ids, incoming, headers, strict=True)]  # fmt: skip
    file_ids = session.scalars(insert(ReceivedFile).returning(ReceivedFile.id, sort_by_parameter_order=True), files)
    written = list(zip(file_ids.all(), files, headers, strict=True))
    for file_id, _, header in written:
        announcements.note(session, file_id, header)
    rows = [{"study_id": id_, "state": State.RECEIVED.value, "lane": batch.lane, "created_at": moment,
             "changed_at": moment} for id_ in ids]  # fmt: skip
    screening_ids = session.scalars(insert(Screening).returning(Screening.id, sort_by_parameter_order=True), rows).all()
    studies.refresh(session, *ids)
    return [
        Receipt(file_id, file["name"], Disposition.ACCEPTED, None, file["study_id"],
                Ring(Stage.PREPARE, batch.lane, screening_id), keeps_blob=True)
        for (file_id, file, _), screening_id in zip(written, screening_ids, strict=True)
    ]  # fmt: skip


def study(batch: Batch, header: Header, moment: datetime) -> dict[str, Any]:
    """Return the columns of a new study; one whose file names none has a UID made from a UUID (PS3.5 B.2)."""
    meta = header.meta
    return {
        "study_uid": header.study_uid or f"2.25.{uuid.uuid4().int}", "batch_id": batch.id, "lane": batch.lane,
        "received_at": moment, "bucket": "not_analysed", "reason": "In work", "patient_name": meta.patient_name,
        "patient_id": meta.patient_id, "patient_birth_date": meta.birth_date, "patient_sex": meta.sex,
        "accession_number": meta.accession_number, "study_date": meta.study_date, "study_time": meta.study_time,
        "study_description": meta.study_description, "modality": meta.modality, "station": meta.station,
    }  # fmt: skip


def find_beside(session: Session, study_uids: Sequence[str]) -> None:
    """Give new studies the objects without a picture that came before them."""
    if not study_uids:
        return
    own = select(Study.id).where(Study.study_uid == ReceivedFile.study_uid).scalar_subquery()
    session.execute(
        update(ReceivedFile)
        .where(ReceivedFile.study_uid.in_(study_uids), ReceivedFile.study_id.is_(None),
               ReceivedFile.disposition == Disposition.NOT_AN_IMAGE)
        .values(study_id=own)
        .execution_options(synchronize_session="fetch")
    )  # fmt: skip


def _file(batch: Batch, study_id: str, one: Incoming, header: Header, moment: datetime) -> dict[str, Any]:
    assert one.stored is not None
    return {
        "batch_id": batch.id, "study_id": study_id, "study_uid": header.study_uid, "series_uid": header.series_uid,
        "sop_uid": header.sop_uid, "name": clean(one.name), "kind": header.kind, "sha256": one.stored.sha256,
        "size": one.stored.size, "blob_key": one.stored.key, "original": True,
        "disposition": Disposition.ACCEPTED.value, "flags": list(header.flags), "received_at": moment,
    }  # fmt: skip
