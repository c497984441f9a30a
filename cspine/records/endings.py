"""Endings: a worker settles what it holds. Results may be written only for the members that it still held."""

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from cspine.backoff import decide
from cspine.database import clock
from cspine.failure import Failure, at_station
from cspine.records import studies
from cspine.records.claims import CLAIMS, SCREENINGS, WORK, Held, Member, locked
from cspine.settings import Settings
from cspine.states import HELD, SHADOW, Outcome, Stage, State
from cspine.tables import Attempt, Screening

NEXT = {Stage.PREPARE: State.READY, Stage.SCREEN: State.DONE}
SUCCESS = {"lone_attempts": 0, "reason": None, "error_kind": None, "fingerprint": None}


@dataclass(frozen=True)
class Settled:
    """The members that were still held, and how they ended; none where the lease was lost."""

    succeeded: tuple[Member, ...] = ()
    failed: tuple[Member, ...] = ()
    returned: tuple[Member, ...] = ()

    @property
    def kept(self) -> tuple[Member, ...]:
        """Those for which the worker may write what it found."""
        return self.succeeded + self.failed


def settle(session: Session, held: Held, settings: Settings, failures: Mapping[int, Failure] | None = None,
           back: Collection[Member] = ()) -> Settled:  # fmt: skip
    """End a claim: members with a failure fail, those of `back` go back to work uncounted, the others succeed.

    Of a part of a claim the members end so, and the claim does not.
    What the caller writes for the members that were kept belongs to the same transaction, and `studies.refresh` for
    them comes after it; of shadows it is none.
    """
    failures = failures or {}
    if not (locked if held.part else _end_claim)(session, held.claim_id):
        return Settled()
    given = {member.screening_id for member in back}
    hopeful = [one for one in held.members if one.screening_id not in failures and one.screening_id not in given]
    succeeded = _move(session, held, hopeful, NEXT[held.stage], Outcome.DONE)
    returned = _move(session, held, back, WORK[held.stage][0], Outcome.HANDED_BACK)
    failed = tuple(
        member
        for member in held.members
        if member.screening_id in failures and _fail(session, held, member, failures[member.screening_id], settings)
    )
    settled = Settled(succeeded, failed, returned)
    if len(succeeded) + len(failed) + len(returned) < len(held.members):
        _end(session, Attempt.claim_id == held.claim_id, Outcome.SUPERSEDED)
    if shown := [member.study_id for member in failed if member.lane != SHADOW]:  # see `studies.refresh`
        studies.refresh(session, *shown)
    return settled


def close(session: Session, claim_id: str, outcome: Outcome, failure: Failure | None = None) -> None:
    """End a locked claim, and each of its attempts that has not ended yet."""
    _end(session, Attempt.claim_id == claim_id, outcome, failure)
    _end_claim(session, claim_id)


def _move(session: Session, held: Held, members: Collection[Member], target: State,
          outcome: Outcome) -> tuple[Member, ...]:  # fmt: skip
    """Move members to a state, and end their attempts; return those that were still held."""
    if not members:
        return ()
    values: dict[str, Any] = {"state": target.value, "changed_at": clock(session), "claim_id": None}
    if outcome is Outcome.DONE:
        values |= SUCCESS
    if target is State.DONE:
        values |= {"group_id": None, "cpu_only": False}  # a group lasts until its answer
    query = (
        update(SCREENINGS)
        .where(SCREENINGS.c.id.in_([member.screening_id for member in members]),
               SCREENINGS.c.claim_id == held.claim_id, SCREENINGS.c.state.in_(HELD))
        .values(values)
        .returning(SCREENINGS.c.id)
    )  # fmt: skip
    moved = set(session.scalars(query))
    kept = tuple(member for member in members if member.screening_id in moved)
    if kept:
        _end(session, Attempt.id.in_([member.attempt_id for member in kept]), outcome)
    return kept


def _fail(session: Session, held: Held, member: Member, failure: Failure, settings: Settings) -> bool:
    """Move one member to `waiting` or `failed`; false where it was not held any more."""
    mine = (Screening.id == member.screening_id, Screening.claim_id == held.claim_id, Screening.state.in_(HELD))
    tries = session.scalar(select(Screening.tries).where(*mine).with_for_update())
    if tries is None:
        return False
    failure = at_station(failure, studies.station(session, member.study_id))
    decision = decide(failure, tries, settings, random.random())  # noqa: S311  # jitter, no secret
    session.execute(
        update(Screening)
        .where(*mine)
        .values(state=decision.state.value, claim_id=None, changed_at=clock(session), tries=decision.tries,
                next_try_at=clock(session, decision.wait) if decision.wait is not None else None,
                reason=failure.reason.value, error_kind=failure.kind.value, fingerprint=failure.fingerprint)
    )  # fmt: skip
    _end(session, Attempt.id == member.attempt_id, Outcome.FAILED, failure)
    return True


def _end(session: Session, which: ColumnElement[bool], outcome: Outcome, failure: Failure | None = None) -> None:
    """End attempts that have not ended yet: an attempt ends once."""
    session.execute(
        update(Attempt)
        .where(which, Attempt.ended_at.is_(None))
        .values(ended_at=clock(session), outcome=outcome.value, **_described(failure))
    )


def _end_claim(session: Session, claim_id: str) -> bool:
    """End a claim, and lock it by that; false where it has ended already."""
    open_ = update(CLAIMS).where(CLAIMS.c.id == claim_id, CLAIMS.c.ended_at.is_(None))
    return session.execute(open_.values(ended_at=clock(session)).returning(CLAIMS.c.id)).first() is not None


def _described(failure: Failure | None) -> dict[str, str | None]:
    if failure is None:
        return {}
    return {
        "reason": failure.reason.value,
        "error_kind": failure.kind.value,
        "fingerprint": failure.fingerprint,
        "place": failure.place,
        "traceback": failure.traceback,
    }
