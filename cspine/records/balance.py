"""The check of the ledgers: every received file in exactly one bucket, and a record of each batch where it is not so.

The sweep checks what is new each minute and what is old once a day. Counts are taken in one statement, so that files
which come in meanwhile are in all of them or in none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, nulls_first, or_, select, update
from sqlalchemy.orm import Session

from cspine.database import now
from cspine.ledger import BUCKETS, bucket_of
from cspine.records.audit import audit
from cspine.records.batches import SHOWN
from cspine.tables import Batch, ReceivedFile, Screening

ACTOR = "system"
NEW = timedelta(days=2)
OFTEN, SELDOM = timedelta(seconds=50), timedelta(days=1)
MOST = 200  # batches of one pass


@dataclass(frozen=True)
class Counted:
    """The files of a batch: how many were received, and how many of them are in which bucket."""

    batch_id: str
    received: int
    buckets: dict[str, int]

    @property
    def balanced(self) -> bool:
        """Say whether each received file is in one bucket of the ledger, and none in two."""
        return set(self.buckets) <= set(BUCKETS) and sum(self.buckets.values()) == self.received


def due(session: Session) -> Sequence[str]:
    """Return the batches whose ledger is to be checked, those that were not for longest first."""
    moment = now(session)
    checked = Batch.ledger_checked_at
    query = (
        select(Batch.id)
        .where(
            or_(
                checked.is_(None),
                checked < moment - SELDOM,
                checked > moment,  # a clock was set back
                (checked < moment - OFTEN) & or_(Batch.created_at > moment - NEW, Batch.unbalanced_since.is_not(None)),
            )
        )
        .order_by(nulls_first(checked), Batch.id)
        .limit(MOST)
    )
    return session.scalars(query).all()


def count(session: Session, batch_id: str) -> Counted:
    """Count a batch's files by bucket, and once more without looking at anything else."""
    received = select(func.count()).where(ReceivedFile.batch_id == batch_id).scalar_subquery()
    query = (
        select(ReceivedFile.disposition, Screening.state, func.count(), received)
        .outerjoin(Screening, SHOWN)
        .where(ReceivedFile.batch_id == batch_id)
        .group_by(ReceivedFile.disposition, Screening.state)
    )
    total, buckets = 0, dict[str, int]()
    for disposition, state, number, all_of_it in session.execute(query):
        bucket = bucket_of(disposition, state)
        buckets[bucket] = buckets.get(bucket, 0) + number
        total = all_of_it
    return Counted(batch_id, total, buckets)


def note(session: Session, counts: Iterable[Counted]) -> list[Counted]:
    """Record when these were checked, and where one has begun or ceased to be unbalanced; return the latter."""
    moment = now(session)
    changed = []
    for one in counts:
        session.execute(update(Batch).where(Batch.id == one.batch_id).values(ledger_checked_at=moment))
        was = Batch.unbalanced_since.is_not(None) if one.balanced else Batch.unbalanced_since.is_(None)
        query = (
            update(Batch)
            .where(Batch.id == one.batch_id, was)
            .values(unbalanced_since=None if one.balanced else moment)
            .returning(Batch.id)
        )
        if session.execute(query).first() is None:
            continue
        changed.append(one)
        action = "ledger_balanced" if one.balanced else "ledger_unbalanced"
        audit(session, ACTOR, action, one.batch_id, {"received": one.received, "buckets": one.buckets})
    return changed


def unbalanced(session: Session) -> Sequence[Batch]:
    """Return the batches whose ledger did not balance when it was last checked, the oldest finding first."""
    query = select(Batch).where(Batch.unbalanced_since.is_not(None)).order_by(Batch.unbalanced_since, Batch.id)
    return session.scalars(query).all()
