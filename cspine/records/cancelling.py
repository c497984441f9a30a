"""Cancelling a batch: what it would do, said before it is done, and doing it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from cspine.database import now
from cspine.reasons import Reason
from cspine.records import screenings, studies
from cspine.records.audit import audit
from cspine.records.filters import studies_of
from cspine.states import HELD, Disposition, State, sources
from cspine.tables import Batch, ReceivedFile, Screening

CHUNK = 1000


@dataclass(frozen=True)
class Cancelling:
    """What cancelling a batch takes out of work, and what it leaves alone."""

    studies: int  # that would be cancelled
    states: Mapping[str, int]  # of these: where they stand now
    answered: int  # studies of the batch that keep their answer
    cancelled: int  # that are so already
    shared: int  # of those that would be cancelled: to which another batch has sent files too

    @property
    def running(self) -> int:
        """How many of them a worker holds at this moment: what it finds is not written."""
        return sum(self.states.get(state.value, 0) for state in HELD)

    def as_dict(self) -> dict[str, Any]:
        """Return it as the command line prints it."""
        return {
            "studies": self.studies,
            "states": dict(self.states),
            "running": self.running,
            "answered": self.answered,
            "cancelled": self.cancelled,
            "shared": self.shared,
        }


def preview(session: Session, batch: Batch) -> Cancelling:
    """Count what cancelling the batch would change at this moment."""
    query = (
        select(Screening.state, func.count().label("number"))
        .where(Screening.study_id.in_(_studies(batch)), Screening.shadow.is_(False))
        .group_by(Screening.state)
    )
    counts: dict[str, int] = {row.state: row.number for row in session.execute(query)}
    taken = {state.value: counts[state] for state in State if state in sources(State.CANCELLED) and state in counts}
    return Cancelling(
        studies=sum(taken.values()),
        states=taken,
        answered=counts.get(State.DONE, 0),
        cancelled=counts.get(State.CANCELLED, 0),
        shared=_shared(session, batch) if taken else 0,
    )


def cancel(session: Session, batch: Batch, actor: str) -> list[str]:
    """Take every study of a batch out of work that has no answer; return those changed.

    A worker that holds one finishes it, and finds that it may not write. An answer stays; a cancelled study can be
    retried by itself.
    """
    ids = session.scalars(_unanswered(batch).order_by(Screening.id)).all()
    changed: list[str] = []
    for start in range(0, len(ids), CHUNK):
        part = screenings.cancel(session, ids[start : start + CHUNK], Reason.CANCELLED.value)
        if part:
            studies.refresh(session, *part)
        changed += part
    session.execute(update(Batch).where(Batch.id == batch.id).values(cancelled_at=now(session)))
    audit(session, actor, "cancel_batch", batch.id, {"studies": len(changed)})
    return changed


def _unanswered(batch: Batch) -> Select[int]:
    return select(Screening.id).where(
        Screening.study_id.in_(_studies(batch)),
        Screening.shadow.is_(False),
        Screening.state.in_(sources(State.CANCELLED)),
    )


def _shared(session: Session, batch: Batch) -> int:
    other = (
        select(ReceivedFile.study_id)
        .join(Screening, Screening.study_id == ReceivedFile.study_id)
        .where(
            Screening.id.in_(_unanswered(batch)),
            ReceivedFile.batch_id != batch.id,
            ReceivedFile.disposition == Disposition.ACCEPTED,
        )
        .distinct()
        .subquery()
    )
    return session.execute(select(func.count()).select_from(other)).scalar_one()


def _studies(batch: Batch) -> Select[str | None]:
    """Select the batch's own studies: not one that it only sent again, nor one beside which it only laid a report."""
    return studies_of(batch.id).where(ReceivedFile.disposition != Disposition.DUPLICATE)
