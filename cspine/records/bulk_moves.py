"""Bulk retries and discards as they move: frozen at the preview, confirmed once, tried by a canary, sent in chunks.

A member is `held` until its group's canary has succeeded, then `free`, then `sent`; those that run first are `canary`.
One that has moved since it was chosen is `skipped`: whoever moved it has done what was to be done, or knows better.
Each function is one step of one transaction, which any process may do: what a web process begins, the sweep ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, select, update
from sqlalchemy.orm import Session

from cspine import __version__, canary
from cspine.canary import Move, Standing
from cspine.database import lock, now
from cspine.errors import Usage
from cspine.reasons import Reason, sentence
from cspine.records import history, screenings, studies
from cspine.records.audit import audit
from cspine.records.filters import GIVEN_UP
from cspine.records.screenings import Ring
from cspine.settings import Settings
from cspine.states import IN_WORK, ErrorKind, Outcome, State
from cspine.tables import Attempt, Bulk, BulkMember, Screening

RETRY, DISCARD = "retry", "discard"
PREVIEWED, CANARY, RELEASED, STOPPED, DONE = "previewed", "canary", "released", "stopped", "done"
HELD, FREE, SENT, SKIPPED = "held", "free", "sent", "skipped"
MOVING = (CANARY, RELEASED)
CHUNK = 500  # screenings sent in one transaction
MOST_LOOKS = 50  # for members that have not moved, in one transaction
MOVED, ELSEWHERE = "state_changed", "canary_running"  # why a member is skipped
SYSTEM = "system"
OUTCOME = 400  # characters


@dataclass(frozen=True)
class Moved:
    """What one step did."""

    rings: list[Ring] = field(default_factory=list)
    more: bool = False  # there is more to send right now


def confirm(session: Session, bulk_id: str, actor: str) -> bool:
    """Confirm a preview; false where somebody did before. Raises `Usage` where there is none of this id.

    Of a group whose canary runs already no second one begins: its members are skipped.
    """
    lock(session, "bulk")  # two people who confirm two previews of one group must see each other
    active = history.active(session)
    values = {"state": RELEASED, "confirmed_at": now(session), "confirmed_by": actor, "software": __version__,
              "release_id": active.id if active else None}  # fmt: skip
    query = update(Bulk).where(Bulk.id == bulk_id, Bulk.state == PREVIEWED).values(**values).returning(Bulk.id)
    if session.execute(query).first() is None:
        if session.get(Bulk, bulk_id) is None:
            raise Usage("there is no such preview; one that is not confirmed within a day is removed")
        return False
    bulk = session.get_one(Bulk, bulk_id, populate_existing=True)
    groups = list(bulk.selection["groups"])
    if taken := [one for one in groups if one in _on_trial(session, bulk_id)]:
        _set(session, bulk_id, SKIPPED, ELSEWHERE, BulkMember.fingerprint.in_(taken))
    _set(session, bulk_id, FREE, None, BulkMember.fingerprint.is_(None) | BulkMember.fingerprint.not_in(groups))
    if groups:
        bulk.state = CANARY
    audit(session, actor, bulk.action, bulk_id, {"how": bulk.selection["how"], "reason": bulk.reason})
    session.flush()
    return True


def advance(session: Session, bulk_id: str, settings: Settings) -> Moved:
    """Do what is next: judge the canaries, send a chunk of what they have set free, end it where nothing is left."""
    query = select(Bulk).where(Bulk.id == bulk_id, Bulk.state.in_(MOVING)).with_for_update(skip_locked=True)
    bulk = session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if bulk is None:  # it has ended, or another process is at it
        return Moved()
    rings, again = _judge(session, bulk, settings) if bulk.state == CANARY else ([], False)
    rings += _discard(session, bulk) if bulk.action == DISCARD else _send(session, bulk)
    left = session.scalar(select(exists().where(BulkMember.bulk_id == bulk_id, BulkMember.state == FREE)))
    if bulk.state == RELEASED and not left:
        bulk.state = STOPPED if bulk.selection.get("stopped") else DONE
        bulk.ended_at = now(session)
    session.flush()
    return Moved(rings, bool(left) or again)


def moving(session: Session) -> Sequence[str]:
    """Return the retries and discards that are not at their end, the oldest first."""
    return session.scalars(select(Bulk.id).where(Bulk.state.in_(MOVING)).order_by(Bulk.created_at)).all()


def forget(session: Session, bulk_id: str) -> None:
    """Remove a preview; what was confirmed stays."""
    gone = select(Bulk.id).where(Bulk.id == bulk_id, Bulk.state == PREVIEWED).with_for_update()
    if session.execute(gone).first() is not None:
        session.execute(delete(BulkMember).where(BulkMember.bulk_id == bulk_id))
        session.execute(delete(Bulk).where(Bulk.id == bulk_id))


def stale(session: Session, age: timedelta) -> Sequence[str]:
    """Return previews of such an age that nobody has confirmed."""
    query = select(Bulk.id).where(Bulk.state == PREVIEWED, Bulk.created_at < now(session) - age)
    return session.scalars(query).all()


def _judge(session: Session, bulk: Bulk, settings: Settings) -> tuple[list[Ring], bool]:
    """Move each group by how its canary stands; say whether there is more to look at right now."""
    rings: list[Ring] = []
    looks = 0
    tried = _tried(session, bulk)
    for fingerprint, held in _held(session, bulk).items():
        planned = bulk.selection["groups"][fingerprint]
        standing = Standing(planned, held, age=now(session) - _confirmed(bulk), **tried.get(fingerprint, {}))
        while (decision := canary.decide(standing)).move is Move.SEND:
            if looks == MOST_LOOKS:
                return rings, True
            looks += 1
            sent, seen = _try(session, bulk, fingerprint, decision.count, settings)
            rings += sent
            standing = Standing(planned, standing.held - seen, running=len(sent))
        if decision.move is Move.RELEASE:
            _set(session, bulk.id, FREE, None, BulkMember.fingerprint == fingerprint)
        elif decision.move is Move.STOP:
            _stop(session, bulk, fingerprint, decision.words)
    if not _held(session, bulk):
        bulk.state = RELEASED
    return rings, False


def _held(session: Session, bulk: Bulk) -> dict[str, int]:
    """Count the members that wait for a canary, by group; those of a group that was stopped wait no more."""
    query = (
        select(BulkMember.fingerprint, func.count())
        .where(BulkMember.bulk_id == bulk.id, BulkMember.state == HELD)
        .group_by(BulkMember.fingerprint)
    )
    stopped = bulk.selection.get("stopped", [])
    return {one: count for one, count in session.execute(query).all() if one is not None and one not in stopped}


def _tried(session: Session, bulk: Bulk) -> dict[str, dict[str, Any]]:
    """Return what became of those that were sent first, by group, as `Standing` has it."""
    found: dict[str, dict[str, Any]] = {}
    for row in tried(session, bulk):
        own = found.setdefault(row.fingerprint, {"running": 0, "succeeded": 0, "failed": 0, "overtaken": 0})
        what = verdict(row.state, row.error)
        own[what] += 1
        if what == "failed":
            own.setdefault("reason", sentence(row.reason or row.error))
    return found


def tried(session: Session, bulk: Bulk) -> Sequence[Any]:
    """Return fingerprint, study, state and reason of those that were sent first, and the error of one sent again.

    Whoever was faster than the sweep may have sent a canary back to work after it failed: its attempt still says so.
    """
    own = (Attempt.screening_id == Screening.id, Attempt.started_at >= _confirmed(bulk))
    final = Attempt.error_kind.in_((ErrorKind.PERMANENT, ErrorKind.UNKNOWN))  # a service that is away is nobody's fault
    error = (
        select(Attempt.reason)
        .where(*own, Attempt.outcome == Outcome.FAILED, final)
        .order_by(Attempt.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(BulkMember.fingerprint, Screening.study_id, Screening.state, Screening.reason, error.label("error"))
        .join(Screening, Screening.id == BulkMember.screening_id)
        .where(BulkMember.bulk_id == bulk.id, BulkMember.state == CANARY)
        .order_by(BulkMember.position)
    )
    return session.execute(query).all()


def verdict(state: str, error: str | None) -> str:
    """Say what a study's state, and the error of an attempt since, mean for the canary that it is part of."""
    if state == State.DONE:
        return "succeeded"
    if state in GIVEN_UP or error is not None:
        return "failed"
    return "overtaken" if state == State.CANCELLED else "running"


def _try(session: Session, bulk: Bulk, fingerprint: str, count: int,
         settings: Settings) -> tuple[list[Ring], int]:  # fmt: skip
    """Send the next members of a group, whose first error ends them; return bells, and how many were looked at."""
    rows = _next(session, bulk.id, HELD, count, BulkMember.fingerprint == fingerprint)
    moved = screenings.restart_many(session, _frozen(rows), tries=settings.max_tries)
    _note(session, bulk.id, rows, {one.ring.screening_id for one in moved}, CANARY)
    studies.refresh(session, *(one.study_id for one in moved))
    return [one.ring for one in moved], len(rows)


def _stop(session: Session, bulk: Bulk, fingerprint: str, words: str) -> None:
    stopped = [*bulk.selection.get("stopped", []), fingerprint]
    bulk.selection = {**bulk.selection, "stopped": stopped}
    if len(bulk.selection["groups"]) > 1:
        words = f"Group {fingerprint}: {words}"
    bulk.outcome = " ".join(part for part in (bulk.outcome, words) if part)[:OUTCOME]
    audit(session, SYSTEM, "canary_stopped", bulk.id, {"fingerprint": fingerprint})


def _send(session: Session, bulk: Bulk) -> list[Ring]:
    """Send a chunk of what may go back to work."""
    rows = _next(session, bulk.id, FREE, CHUNK)
    moved = screenings.restart_many(session, _frozen(rows))
    _note(session, bulk.id, rows, {one.ring.screening_id for one in moved}, SENT)
    studies.refresh(session, *(one.study_id for one in moved))
    return [one.ring for one in moved]


def _discard(session: Session, bulk: Bulk) -> list[Ring]:
    """Take a chunk out of work; one that was given up when it was chosen and is in work again is let be."""
    rows = _next(session, bulk.id, FREE, CHUNK)
    frozen = _frozen(rows)
    in_work = {row.screening_id for row in rows if row.was in IN_WORK}
    query = select(Screening.id, Screening.study_id, Screening.changed_at).where(Screening.id.in_(frozen))
    found = session.execute(query.order_by(Screening.id).with_for_update()).all()
    same = {row.study_id: row.id for row in found
            if row.id in in_work or row.changed_at == frozen[row.id]}  # fmt: skip
    changed = screenings.cancel(session, list(same.values()), Reason.CANCELLED.value)
    _note(session, bulk.id, rows, {same[study_id] for study_id in changed}, SENT)
    studies.refresh(session, *changed)
    return []


def _next(session: Session, bulk_id: str, state: str, count: int,
          *conditions: ColumnElement[bool]) -> Sequence[BulkMember]:  # fmt: skip
    query = select(BulkMember).where(BulkMember.bulk_id == bulk_id, BulkMember.state == state, *conditions)
    return session.scalars(query.order_by(BulkMember.position).limit(count)).all()


def _frozen(rows: Sequence[BulkMember]) -> Mapping[int, datetime | None]:
    return {row.screening_id: row.frozen_at for row in rows}


def _note(session: Session, bulk_id: str, rows: Sequence[BulkMember], moved: set[int], state: str) -> None:
    """Write down which of the members have moved; the others were moved by somebody else before."""
    for going in (True, False):
        positions = [row.position for row in rows if (row.screening_id in moved) is going]
        values = {"state": state} if going else {"state": SKIPPED, "reason": MOVED}
        mine = (BulkMember.bulk_id == bulk_id, BulkMember.position.in_(positions))
        session.execute(update(BulkMember).where(*mine).values(**values))


def _set(session: Session, bulk_id: str, state: str, reason: str | None, which: ColumnElement[bool]) -> None:
    """Move those that are held."""
    query = update(BulkMember).where(BulkMember.bulk_id == bulk_id, BulkMember.state == HELD, which)
    values = {"state": state, "reason": reason}
    session.execute(query.values(**values).execution_options(synchronize_session=False))


def _on_trial(session: Session, but: str) -> set[str]:
    """Return the groups whose canary runs now in another retry."""
    query = select(Bulk.selection).where(Bulk.state == CANARY, Bulk.id != but)
    found: set[str] = set()
    for kept in session.scalars(query):
        found |= set(kept["groups"]) - set(kept.get("stopped", []))
    return found


def _confirmed(bulk: Bulk) -> datetime:
    assert bulk.confirmed_at is not None
    return bulk.confirmed_at
