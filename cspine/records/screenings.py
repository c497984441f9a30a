"""Screenings: sending a study to work, by a new file, by a retry, or out of work by a person."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from cspine.database import now
from cspine.reasons import Reason
from cspine.records import studies
from cspine.states import Disposition, Lane, Outcome, Stage, State, sources
from cspine.tables import Attempt, ReceivedFile, Screening, Study, new_id

FRESH: dict[str, Any] = {
    "claim_id": None, "release_id": None, "tries": 0, "lone_attempts": 0, "next_try_at": None, "cpu_only": False,
    "group_id": None, "reason": None, "error_kind": None, "fingerprint": None, "stage": Stage.PREPARE.value,
}  # fmt: skip


@dataclass(frozen=True)
class Ring:
    """A message to send once the transaction is committed."""

    stage: Stage
    lane: str
    screening_id: int


def shown(session: Session, study_id: str) -> Screening | None:
    """Return the screening of a study that ledger and triage look at."""
    query = select(Screening).where(Screening.study_id == study_id, Screening.shadow.is_(False))
    return session.scalars(query).one_or_none()


def hold(session: Session, study_ids: Sequence[str]) -> None:
    """Keep others from moving the studies' screenings until the transaction ends, so that it sees them as they stay."""
    query = select(Screening.id).where(Screening.study_id.in_(study_ids), Screening.shadow.is_(False))
    session.execute(query.order_by(Screening.id).with_for_update()).all()


def begin(session: Session, study: Study, lane: str) -> Ring:
    """Send a study to work because of a new file, whatever state it is in, and have the list show it so.

    A running attempt is superseded: its claim no longer holds the row, so that its late write finds nothing.
    """
    screening = shown(session, study.id)
    moment = now(session)
    if screening is None:
        screening = Screening(study_id=study.id, state=State.RECEIVED, lane=lane, created_at=moment, changed_at=moment)
        session.add(screening)
        studies.refresh(session, study.id)
        return Ring(Stage.PREPARE, lane, screening.id)
    was = screening.state
    lane = min(Lane(lane), Lane(screening.lane), key=list(Lane).index).value
    quarantined = was == State.QUARANTINED
    values = FRESH | {"state": State.RECEIVED, "changed_at": moment, "lane": lane}
    values["group_id"] = new_id() if quarantined else None
    session.execute(update(Screening).where(Screening.id == screening.id).values(**values))
    end_attempts(session, [screening.id], Outcome.SUPERSEDED)
    session.execute(update(Study).where(Study.id == study.id).values(read_at=None, read_by=None, lane=lane))
    session.expire(study)
    if was != State.RECEIVED:  # else the list shows it so already; a study of thousands of files is not counted at each
        studies.refresh(session, study.id)
    return Ring(Stage.PREPARE, lane, screening.id)


def restart(session: Session, screening_id: int) -> Ring | None:
    """Take a failed, quarantined or cancelled screening back to work; null where it is in none of these states.

    The study's rejected files are decoded anew, and all of them where pictures were missing; the study goes back on
    the unread list. A quarantined study runs alone from the start, with a fresh count.
    """
    screening = session.get_one(Screening, screening_id)
    was, was_reason = screening.state, screening.reason
    values = FRESH | {"state": State.RECEIVED, "changed_at": now(session)}
    values["group_id"] = new_id() if was == State.QUARANTINED else None
    query = (
        update(Screening)
        .where(Screening.id == screening_id, Screening.state == was, Screening.state.in_(_retriable()))
        .values(**values)
        .returning(Screening.lane, Screening.study_id)
    )
    row = session.execute(query).first()
    if row is None:
        return None
    decode_again(session, row.study_id, everything=was_reason == Reason.BLOB_MISSING)
    session.execute(update(Study).where(Study.id == row.study_id).values(read_at=None, read_by=None))
    return Ring(Stage.PREPARE, row.lane, screening_id)


def decode_again(session: Session, study_id: str, *, everything: bool = False) -> None:
    """Put a study's rejected files back, so that the next attempt decodes them anew; or all of its files."""
    mine = (ReceivedFile.study_id == study_id, ReceivedFile.blob_key.is_not(None))
    rejected = update(ReceivedFile).where(*mine, ReceivedFile.disposition == Disposition.REJECTED)
    session.execute(rejected.values(disposition=Disposition.ACCEPTED, reason=None, decoded=False))
    if everything:
        accepted = update(ReceivedFile).where(*mine, ReceivedFile.disposition == Disposition.ACCEPTED)
        session.execute(accepted.values(decoded=False))


def cancel(session: Session, screening_ids: Sequence[int], reason: str) -> list[str]:
    """Take screenings out of work by a person's wish, from any state but `done`; return the studies changed."""
    query = (
        update(Screening)
        .where(Screening.id.in_(screening_ids), Screening.state.in_(sources(State.CANCELLED)))
        .values(state=State.CANCELLED, claim_id=None, group_id=None, next_try_at=None, changed_at=now(session),
                reason=reason, error_kind=None, fingerprint=None)
        .returning(Screening.id, Screening.study_id)
    )  # fmt: skip
    changed = session.execute(query).all()
    end_attempts(session, [row.id for row in changed], Outcome.SUPERSEDED)
    return [row.study_id for row in changed]


def end_attempts(session: Session, screening_ids: Sequence[int], outcome: Outcome) -> None:
    """End the running attempts of screenings that were locked before: screening, then attempt, is everybody's order."""
    session.execute(
        update(Attempt)
        .where(Attempt.screening_id.in_(screening_ids), Attempt.ended_at.is_(None))
        .values(outcome=outcome.value, ended_at=now(session))
    )


def _retriable() -> frozenset[State]:
    return sources(State.RECEIVED) & frozenset({State.FAILED, State.QUARANTINED, State.CANCELLED})
