"""Intake: the rows of a received file, in one transaction, whoever else receives the same bytes or the same study."""

import uuid
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cspine.blobs import Stored
from cspine.database import now
from cspine.decoding import Header
from cspine.records import batches, screenings, studies
from cspine.records.screenings import Ring
from cspine.states import RETRIABLE, Disposition
from cspine.tables import Batch, ReceivedFile, Study

NAME_LENGTH = 1000


@dataclass(frozen=True)
class Refusal:
    """Why a file is not taken into a study."""

    disposition: Disposition
    reason: str
    kind: str | None = None


@dataclass(frozen=True)
class Receipt:
    """What became of one received file."""

    file_id: int
    name: str
    disposition: Disposition
    reason: str | None
    study_id: str | None
    ring: Ring | None
    keeps_blob: bool


def admit(session: Session, batch: Batch, name: str, stored: Stored, outcome: Header | Refusal) -> Receipt:
    """Record a stored file: as the original of its bytes, or as a duplicate of it."""
    first = _original(session, stored.sha256)
    if first is None:
        row = _row(session, batch, name, outcome, sha256=stored.sha256, size=stored.size, original=True)
        try:
            with session.begin_nested():
                session.add(row)
        except IntegrityError:  # somebody else received the same bytes at the same moment
            first = _original(session, stored.sha256)
        else:
            return _admit_original(session, batch, row, stored, outcome)
    assert first is not None
    return _admit_duplicate(session, batch, name, first, stored, outcome)


def refuse_unread(session: Session, batch: Batch, name: str, reason: str) -> Receipt:
    """Record a file of which not all bytes were read: too large, damaged inside its archive, without permission."""
    refusal = Refusal(Disposition.REJECTED, reason)
    row = _row(session, batch, name, refusal, sha256=None, size=0, original=False)
    session.add(row)
    session.flush()
    batches.note_unreadable(session, batch.id, 1)
    return _receipt(row)


def _admit_original(
    session: Session, batch: Batch, row: ReceivedFile, stored: Stored, outcome: Header | Refusal
) -> Receipt:
    if isinstance(outcome, Refusal):
        if outcome.disposition is Disposition.REJECTED:
            batches.note_unreadable(session, batch.id, 1)
        return _receipt(row)
    row.blob_key = stored.key
    ring = _join_study(session, batch, row, outcome)
    return _receipt(row, ring, keeps_blob=True)


def _admit_duplicate(
    session: Session, batch: Batch, name: str, first: ReceivedFile, stored: Stored, outcome: Header | Refusal
) -> Receipt:
    """Record a duplicate; where its original was of no use, this receipt has it tried again."""
    ring, keeps_blob = None, False
    reason = first.reason
    if first.disposition == Disposition.REJECTED and first.study_id is None:
        if isinstance(outcome, Header):
            first.disposition, first.reason, first.blob_key = Disposition.ACCEPTED, None, stored.key
            first.kind, first.flags = outcome.kind, list(outcome.flags)
            batches.note_unreadable(session, first.batch_id, -1)
            ring, keeps_blob = _join_study(session, batch, first, outcome), True
    elif first.study_id is not None:
        screening = screenings.shown(session, first.study_id)
        if screening is not None and screening.state in RETRIABLE:
            reason = reason or screening.reason
            ring = screenings.restart(session, screening.id)
        elif screening is not None and first.disposition == Disposition.REJECTED:
            screenings.decode_again(session, first.study_id)
            ring = screenings.begin(session, session.get_one(Study, first.study_id), screening.lane)
        if ring is not None:
            studies.refresh(session, first.study_id)
    row = _row(session, batch, name, Refusal(Disposition.DUPLICATE, "", first.kind), sha256=stored.sha256,
               size=stored.size, original=False)  # fmt: skip
    row.duplicate_of, row.study_id, row.reason = first.id, first.study_id, reason
    session.add(row)
    session.flush()
    return _receipt(row, ring, keeps_blob=keeps_blob)


def _join_study(session: Session, batch: Batch, file: ReceivedFile, header: Header) -> Ring:
    """Put a file into the study that its header names, or into one of its own, and send the study to work."""
    study = _study(session, batch, header)
    file.study_id = study.id
    session.flush()
    ring = screenings.begin(session, study, batch.lane)
    studies.refresh(session, study.id)
    return ring


def _study(session: Session, batch: Batch, header: Header) -> Study:
    uid = header.study_uid
    known = uid and session.scalars(select(Study).where(Study.study_uid == uid)).one_or_none()
    if known:
        return known
    meta = header.meta
    study = Study(
        study_uid=uid or f"2.25.{uuid.uuid4().int}",  # PS3.5 B.2: a UID made from a UUID
        batch_id=batch.id, lane=batch.lane, received_at=now(session), bucket="not_analysed", reason="In work",
        patient_name=meta.patient_name, patient_id=meta.patient_id, patient_birth_date=meta.birth_date,
        patient_sex=meta.sex, accession_number=meta.accession_number, study_date=meta.study_date,
        study_time=meta.study_time, study_description=meta.study_description, modality=meta.modality,
        station=meta.station,
    )  # fmt: skip
    try:
        with session.begin_nested():
            session.add(study)
    except IntegrityError:  # somebody else received another file of the study at the same moment
        return session.scalars(select(Study).where(Study.study_uid == uid)).one()
    return study


def _original(session: Session, sha256: str) -> ReceivedFile | None:
    query = select(ReceivedFile).where(ReceivedFile.sha256 == sha256, ReceivedFile.original)
    return session.scalars(query).one_or_none()


def _row(session: Session, batch: Batch, name: str, outcome: Header | Refusal, *, sha256: str | None, size: int,
         original: bool) -> ReceivedFile:  # fmt: skip
    refusal = outcome if isinstance(outcome, Refusal) else None
    return ReceivedFile(
        batch_id=batch.id, name=clean(name), kind=outcome.kind, sha256=sha256, size=size, original=original,
        disposition=refusal.disposition if refusal else Disposition.ACCEPTED,
        reason=refusal.reason if refusal else None,
        flags=list(outcome.flags) if isinstance(outcome, Header) else [], received_at=now(session),
    )  # fmt: skip


def clean(name: str) -> str:
    """Return a file name fit for display: not empty, no control or direction-changing characters, no surrogates."""
    text = name.encode("utf-8", "replace").decode()
    text = "".join(character if character.isprintable() else "�" for character in text).strip()
    return (text or "unnamed")[-NAME_LENGTH:]


def _receipt(row: ReceivedFile, ring: Ring | None = None, *, keeps_blob: bool = False) -> Receipt:
    return Receipt(row.id, row.name, Disposition(row.disposition), row.reason, row.study_id, ring, keeps_blob)
