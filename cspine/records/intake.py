"""Intake: the rows of a received file, in one transaction, whoever else receives the same bytes or the same study."""

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from cspine.blobs import Stored
from cspine.database import lock, now
from cspine.decoding import Header
from cspine.reasons import Reason
from cspine.records import announcements, batches, newcomers, patients, screenings, studies
from cspine.records.receipts import Incoming, Receipt, Refusal, clean
from cspine.records.screenings import Ring
from cspine.states import RETRIABLE, Disposition
from cspine.tables import Batch, ReceivedFile, Study, new_id

__all__ = ["Incoming", "Receipt", "Refusal", "admit", "adopt", "clean", "named"]


def admit(session: Session, batch: Batch, incoming: Sequence[Incoming]) -> list[Receipt]:
    """Record files: each as the original of its bytes, or as a duplicate of it.

    Those that touch no other file or study are written together; the others come after them, one by one.
    """
    stored = [one.stored.sha256 for one in incoming if one.stored is not None]
    uids = [one.header.study_uid for one in incoming if one.header is not None and one.header.study_uid is not None]
    lock(session, *(f"sha256 {sha256}" for sha256 in stored))
    lock(session, *(f"study {uid}" for uid in uids))
    fresh = newcomers.among(session, incoming)
    done = newcomers.admit(session, batch, [incoming[place] for place in fresh])
    of_place = dict(zip(fresh, done, strict=True))
    receipts = [of_place.get(place) or _admit(session, batch, one) for place, one in enumerate(incoming)]
    _heed(session, [one.outcome.header for one in incoming if isinstance(one.outcome, Refusal) and one.outcome.header])
    return receipts


def adopt(session: Session, batch: Batch, incoming: Sequence[Incoming], receipts: Sequence[Receipt]) -> None:
    """Count what an archive's only study may be missing: its entries that were refused before their study was known.

    Programs and texts, which every medium has, are none of it; nor does a loose picture miss anything.
    """
    sound = [one.outcome for one in incoming if isinstance(one.outcome, Header) and one.sound]
    uids = {header.study_uid for header in sound}
    lost = [receipt.file_id for receipt in receipts if receipt.disposition is Disposition.REJECTED
            and receipt.study_id is None and receipt.reason != Reason.UNSUPPORTED_TYPE]  # fmt: skip
    study = _known(session, uids.pop()) if lost and len(uids) == 1 else None
    if study is not None:
        session.execute(update(ReceivedFile).where(ReceivedFile.id.in_(lost)).values(study_id=study.id))
        batches.note_unreadable(session, batch.id, -len(lost))
        _look_anew(session, [study.id])


def named(session: Session, blob_keys: Sequence[str]) -> set[str]:
    """Return those of the keys that a received file names."""
    return set(session.scalars(select(ReceivedFile.blob_key).where(ReceivedFile.blob_key.in_(blob_keys))))


def _admit(session: Session, batch: Batch, one: Incoming) -> Receipt:
    if one.stored is None:
        row = _row(session, batch, one, original=False)
        _add(session, row)
        batches.note_unreadable(session, batch.id, 1)
        return _receipt(row)
    first = session.scalars(
        select(ReceivedFile).where(ReceivedFile.sha256 == one.stored.sha256, ReceivedFile.original)
    ).one_or_none()
    if first is not None:
        return _admit_duplicate(session, batch, one, one.stored, first)
    row = _row(session, batch, one, original=True)
    _add(session, row)
    if one.header is not None:
        announcements.note(session, row.id, one.header)
    if isinstance(one.outcome, Header):
        row.blob_key = one.stored.key
        return _receipt(row, _join_study(session, batch, row, one.outcome), keeps_blob=True)
    if one.outcome.disposition is Disposition.REJECTED:
        batches.note_unreadable(session, batch.id, 1)
    elif one.header is not None:
        _lay_beside(session, row, one.header)
    return _receipt(row)


def _admit_duplicate(session: Session, batch: Batch, one: Incoming, stored: Stored, first: ReceivedFile) -> Receipt:
    """Record a duplicate; where its original was of no use, this receipt has it tried again."""
    ring, keeps_blob = None, False
    reason = first.reason
    if first.disposition == Disposition.REJECTED and first.blob_key is None:
        if isinstance(one.outcome, Header):
            if first.study_id is None:
                batches.note_unreadable(session, first.batch_id, -1)
            first.disposition, first.reason, first.blob_key = Disposition.ACCEPTED, None, stored.key
            first.kind, first.flags = one.outcome.kind, list(one.outcome.flags)
            _identify(first, one.outcome)
            announcements.note(session, first.id, one.outcome)
            ring, keeps_blob = _join_study(session, batch, first, one.outcome), True
    elif first.study_id is not None and first.disposition != Disposition.NOT_AN_IMAGE:
        screening = screenings.shown(session, first.study_id)
        if screening is not None and screening.state in RETRIABLE:
            reason = reason or screening.reason
            if screening.reason == Reason.BLOB_MISSING and first.blob_key is not None:
                first.blob_key, keeps_blob = stored.key, True  # the study was sent again, as the reason asks for
            ring = screenings.restart(session, screening.id)
            studies.refresh(session, first.study_id)
        elif screening is not None and first.disposition == Disposition.REJECTED:
            screenings.decode_again(session, [first.study_id])
            ring = screenings.begin(session, session.get_one(Study, first.study_id), screening.lane)
    row = _row(session, batch, one, original=False)
    row.disposition, row.kind, row.flags = Disposition.DUPLICATE, first.kind, []
    row.duplicate_of, row.study_id, row.reason = first.id, first.study_id, reason
    _add(session, row)
    return _receipt(row, ring, keeps_blob=keeps_blob)


def _join_study(session: Session, batch: Batch, file: ReceivedFile, header: Header) -> Ring:
    """Put a file into the study that its header names, or into one of its own, and send the study to work."""
    study = _known(session, header.study_uid) or _new_study(session, batch, header)
    stranger = patients.differ(study, header.meta)
    if stranger:
        file.flags = [*file.flags, Reason.PATIENT_CONFLICT.value]
    file.study_id = study.id
    session.flush()
    ring = screenings.begin(session, study, batch.lane)
    if not stranger:
        patients.complete(study, header.meta)  # the study is written after its screening, as everywhere
    return ring


def _lay_beside(session: Session, file: ReceivedFile, header: Header) -> None:
    """List an object without a picture among its study's files; where no picture came yet, that of the study does so.

    A study that has nothing else is none: there would be nothing to read in it.
    """
    study = _known(session, header.study_uid)
    if study is not None:
        file.study_id = study.id


def _heed(session: Session, headers: Sequence[Header]) -> None:
    """Look anew at the studies of which objects without a picture say something; they are not sent to work by it."""
    uids = {one.study_uid for header in headers for one in header.announced}
    uids |= {header.study_uid for header in headers if header.study_uid is not None}
    ids = session.scalars(select(Study.id).where(Study.study_uid.in_(uids)).order_by(Study.id)).all() if uids else []
    if ids:
        _look_anew(session, ids)


def _look_anew(session: Session, study_ids: Sequence[str]) -> None:
    screenings.hold(session, study_ids)
    studies.refresh(session, *study_ids)


def _known(session: Session, uid: str | None) -> Study | None:
    """Return the study of this UID; `admit` keeps others from making one until the transaction ends."""
    if uid is None:
        return None
    return session.scalars(select(Study).where(Study.study_uid == uid)).one_or_none()


def _new_study(session: Session, batch: Batch, header: Header) -> Study:
    study = Study(id=new_id(), **newcomers.study(batch, header, now(session)))
    session.add(study)
    session.flush()
    if header.study_uid is not None:
        newcomers.find_beside(session, [header.study_uid])
    return study


def _identify(row: ReceivedFile, header: Header) -> None:
    row.study_uid, row.series_uid, row.sop_uid = header.study_uid, header.series_uid, header.sop_uid


def _row(session: Session, batch: Batch, one: Incoming, *, original: bool) -> ReceivedFile:
    refusal = one.outcome if isinstance(one.outcome, Refusal) else None
    row = ReceivedFile(
        batch_id=batch.id, name=clean(one.name), kind=one.outcome.kind, original=original,
        sha256=one.stored.sha256 if one.stored else None, size=one.stored.size if one.stored else 0,
        disposition=refusal.disposition if refusal else Disposition.ACCEPTED,
        reason=refusal.reason if refusal else None,
        flags=list(one.outcome.flags) if isinstance(one.outcome, Header) else [], received_at=now(session),
    )  # fmt: skip
    if one.header is not None:
        _identify(row, one.header)
    return row


def _add(session: Session, row: ReceivedFile) -> None:
    session.add(row)
    session.flush()


def _receipt(row: ReceivedFile, ring: Ring | None = None, *, keeps_blob: bool = False) -> Receipt:
    return Receipt(row.id, row.name, Disposition(row.disposition), row.reason, row.study_id, ring, keeps_blob)
