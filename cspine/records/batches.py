"""Batches: made by name, counted as a ledger, listed with their progress."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, select, update
from sqlalchemy.orm import Session

from cspine.database import lock, now
from cspine.ledger import BUCKETS, Ledger, bucket_of
from cspine.reasons import Reason
from cspine.records import results
from cspine.records.audit import audit
from cspine.records.filters import Filter
from cspine.states import Disposition
from cspine.tables import Batch, Image, ReceivedFile, Screening, Study

CHUNK = 1000
SHOWN = and_(Screening.study_id == ReceivedFile.study_id, Screening.shadow.is_(False))


@dataclass(frozen=True)
class BatchRow:
    """A batch in the list of batches."""

    batch: Batch
    ledger: Ledger


def get_or_create(session: Session, name: str, lane: str, by: str | None = None) -> Batch:
    """Return the batch of this name, made now where there is none; an existing one keeps its lane."""
    lock(session, f"batch {name}")
    known = by_name(session, name)
    if known is not None:
        return known
    batch = Batch(name=name, lane=lane, created_at=now(session), created_by=by)
    session.add(batch)
    session.flush()
    return batch


def by_name(session: Session, name: str) -> Batch | None:
    """Return the batch of this name, or null."""
    return session.scalars(select(Batch).where(Batch.name == name)).one_or_none()


def by_id(session: Session, batch_id: str) -> Batch | None:
    """Return the batch of this id, or null."""
    return session.get(Batch, batch_id)


def ledgers(session: Session, batches: Sequence[Batch]) -> dict[str, Ledger]:
    """Count the ledgers of some batches, by the batch's id."""
    ids = [batch.id for batch in batches]
    counts: dict[str, dict[str, int]] = {batch_id: {} for batch_id in ids}
    query = (
        select(ReceivedFile.batch_id, ReceivedFile.disposition, Screening.state, func.count())
        .outerjoin(Screening, SHOWN)
        .where(ReceivedFile.batch_id.in_(ids))
        .group_by(ReceivedFile.batch_id, ReceivedFile.disposition, Screening.state)
    )
    for batch_id, disposition, state, count in session.execute(query):
        own = counts[batch_id]
        bucket = bucket_of(disposition, state)
        own["received"] = own.get("received", 0) + count
        if bucket in BUCKETS:
            own[bucket] = own.get(bucket, 0) + count
    studies = dict(
        session.execute(
            select(ReceivedFile.batch_id, func.count(ReceivedFile.study_id.distinct()))
            .where(ReceivedFile.batch_id.in_(ids))
            .group_by(ReceivedFile.batch_id)
        ).all()
    )
    images = dict(
        session.execute(
            select(ReceivedFile.batch_id, func.count())
            .join(Image, Image.file_id == ReceivedFile.id)
            .where(ReceivedFile.batch_id.in_(ids))
            .group_by(ReceivedFile.batch_id)
        ).all()
    )
    return {
        one.id: Ledger(one.name, **counts[one.id], studies=studies.get(one.id, 0), images=images.get(one.id, 0))
        for one in batches
    }


def ledger(session: Session, batch: Batch) -> Ledger:
    """Count the ledger of one batch."""
    return ledgers(session, [batch])[batch.id]


def given_up(session: Session, batch: Batch) -> int:
    """Count the studies of a batch that failed or are quarantined: what trying the batch again would try.

    The ledger does not tell: a study without a usable image has failed, and its files were rejected.
    """
    return session.scalar(select(func.count()).select_from(Screening).where(*Filter(batch=batch.id).conditions())) or 0


def files(session: Session, batch: Batch, after: int = 0, limit: int | None = None) -> Iterator[dict[str, Any]]:
    """Give every file of a batch with its bucket, in the order of receipt, from the one after `after` on.

    They are read some at a time, so that a large batch does not lie in memory.
    """
    left = limit
    while left is None or left > 0:
        most = CHUNK if left is None else min(CHUNK, left)
        chunk = list(_chunk(session, batch, after, most))
        yield from chunk
        if len(chunk) < most:
            return
        after, left = chunk[-1]["id"], None if left is None else left - len(chunk)


def _chunk(session: Session, batch: Batch, after: int, limit: int) -> Iterator[dict[str, Any]]:
    query = (
        select(ReceivedFile, Screening.state, Screening.reason, Study.flags)
        .outerjoin(Screening, SHOWN)
        .outerjoin(Study, Study.id == ReceivedFile.study_id)
        .where(ReceivedFile.batch_id == batch.id, ReceivedFile.id > after)
        .order_by(ReceivedFile.id)
        .limit(limit)
    )
    rows = session.execute(query).all()
    found = results.flags_of_files(session, [file.id for file, *_ in rows])
    for file, state, reason, of_study in rows:
        yield _file(file, state, reason, [*found.get(file.id, []), *_partial(file, of_study)])


def _file(file: ReceivedFile, state: str | None, reason: str | None, flags: Sequence[str]) -> dict[str, Any]:
    bucket = bucket_of(file.disposition, state)
    of_study = reason if bucket in {"failed", "quarantined", "cancelled", "waiting"} else None
    return {
        "file": file.name,
        "bucket": bucket,
        "reason": file.reason or of_study,
        "flags": list(dict.fromkeys([*file.flags, *flags])),
        "study": file.study_id,
        "id": file.id,
    }


def _partial(file: ReceivedFile, of_study: Sequence[str] | None) -> list[str]:
    """A study that is partial is so in each of its files; a duplicate has no part in it."""
    partial = Reason.PARTIAL.value
    return [partial] if partial in (of_study or ()) and file.disposition != Disposition.DUPLICATE else []


def listing(session: Session, before: datetime | None = None, limit: int = 50) -> list[BatchRow]:
    """Return the batches, the newest first, with their ledgers; those made before a time for the next page."""
    query = select(Batch).order_by(Batch.created_at.desc()).limit(limit)
    if before is not None:
        query = query.where(Batch.created_at < before)
    batches = session.scalars(query).all()
    counted = ledgers(session, batches)
    return [BatchRow(batch, counted[batch.id]) for batch in batches]


def set_deadline(session: Session, batch_id: str, deadline: datetime | None, actor: str) -> bool:
    """Give a batch a deadline, another one, or none; false where there is no such batch, or it has this one already."""
    changed = session.execute(
        update(Batch)
        .where(Batch.id == batch_id, Batch.deadline.is_distinct_from(deadline))
        .values(deadline=deadline)
        .returning(Batch.id)
    ).first()
    if changed is None:
        return False
    audit(session, actor, "set_deadline", batch_id, {"deadline": deadline.isoformat() if deadline else None})
    return True


def note_unreadable(session: Session, batch_id: str, change: int) -> None:
    """Count a rejected file that belongs to no study; one more puts the batch's row back on the unread list."""
    values: dict[str, Any] = {"unreadable_files": Batch.unreadable_files + change}
    if change > 0:
        values |= {
            "unreadable_since": func.coalesce(Batch.unreadable_since, now(session), type_=Batch.unreadable_since.type),
            "unreadable_read_at": None,
        }
    session.execute(update(Batch).where(Batch.id == batch_id).values(**values))


def mark_unreadable_read(session: Session, batch_id: str) -> bool:
    """Take the row of unreadable files off the unread list; false where it was not on it."""
    query = (
        update(Batch)
        .where(Batch.id == batch_id, Batch.unreadable_files > 0, Batch.unreadable_read_at.is_(None))
        .values(unreadable_read_at=now(session))
        .returning(Batch.id)
    )
    return session.execute(query).first() is not None
