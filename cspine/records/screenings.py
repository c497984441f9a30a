"""Screenings: sending a study to work, by a new file, by a retry, or out of work by a person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from cspine.database import now
from cspine.reasons import Reason
from cspine.records import studies
from cspine.states import Disposition, Lane, Outcome, Stage, State, sources
from cspine.tables import Attempt, ReceivedFile, Screening, Study, new_id

FRESH: dict[str, Any] = {
    "claim_id": None, "release_id": None, "tries": 0, "lone_attempts": 0, "losses": 0,
    "next_try_at": None, "cpu_only": False, "group_id": None, "reason": None, "error_kind": None, "fingerprint": None,
    "stage": Stage.PREPARE.value,
}  # fmt: skip


@dataclass(frozen=True)
class Ring:
    """A message to send once the transaction is committed."""

    stage: Stage
    lane: str
    screening_id: int


@dataclass(frozen=True)
class Restarted:
    """A study that went back to work."""

    study_id: str
    ring: Ring


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
    """Take a failed, quarantined or cancelled screening back to work; null where it is in none of these states."""
    sent = restart_many(session, {screening_id: None})
    return sent[0].ring if sent else None


def restart_many(session: Session, frozen: Mapping[int, datetime | None], *, tries: int = 0) -> list[Restarted]:
    """Take failed, quarantined or cancelled screenings back to work, and return those that were.

    `frozen` says when each last changed as its chooser saw it; one that has changed since is left alone, null asks
    for nothing. The studies' rejected files are decoded anew, and all of them where pictures were missing; the studies
    go back on the unread list. A quarantined study runs alone from the start, with a fresh count. With all `tries`
    used up beforehand, the first error of the study's own ends it.
    """
    query = (
        select(Screening.id, Screening.study_id, Screening.lane, Screening.state, Screening.reason,
               Screening.changed_at)
        .where(Screening.id.in_(frozen), Screening.state.in_(_retriable()))
        .order_by(Screening.id)
    )  # fmt: skip
    rows = [row for row in session.execute(query.with_for_update())
            if frozen[row.id] is None or frozen[row.id] == row.changed_at]  # fmt: skip
    if not rows:
        return []
    values = FRESH | {"state": State.RECEIVED.value, "changed_at": now(session), "tries": tries}
    session.execute(update(Screening).where(Screening.id.in_([row.id for row in rows])).values(**values))
    for row in rows:
        if row.state == State.QUARANTINED:
            session.execute(update(Screening).where(Screening.id == row.id).values(group_id=new_id()))
    study_ids = [row.study_id for row in rows]
    decode_again(session, study_ids, [row.study_id for row in rows if row.reason == Reason.BLOB_MISSING])
    session.execute(update(Study).where(Study.id.in_(study_ids)).values(read_at=None, read_by=None))
    return [Restarted(row.study_id, Ring(Stage.PREPARE, row.lane, row.id)) for row in rows]


def decode_again(session: Session, study_ids: Sequence[str], everything: Sequence[str] = ()) -> None:
    """Put the studies' rejected files back, so that the next attempt decodes them anew; of some, all of their files."""
    rejected = update(ReceivedFile).where(*_kept(study_ids), ReceivedFile.disposition == Disposition.REJECTED)
    session.execute(rejected.values(disposition=Disposition.ACCEPTED, reason=None, decoded=False))
    if everything:
        accepted = update(ReceivedFile).where(*_kept(everything), ReceivedFile.disposition == Disposition.ACCEPTED)
        session.execute(accepted.values(decoded=False))


def _kept(study_ids: Sequence[str]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return ReceivedFile.study_id.in_(study_ids), ReceivedFile.blob_key.is_not(None)


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
