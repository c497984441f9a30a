"""Endings: a worker settles what it holds. Results may be written only for the members that it still held."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from cspine.backoff import decide
from cspine.database import now
from cspine.failure import Failure, at_station
from cspine.records import studies
from cspine.records.claims import Held, Member, locked
from cspine.settings import Settings
from cspine.states import HELD, Outcome, Stage, State
from cspine.tables import Attempt, Claim, Screening

NEXT = {Stage.PREPARE: State.READY, Stage.SCREEN: State.DONE}
SUCCESS = {"claim_id": None, "lone_attempts": 0, "reason": None, "error_kind": None, "fingerprint": None}


@dataclass(frozen=True)
class Settled:
    """The members that were still held, and how they ended; none where the lease was lost."""

    succeeded: tuple[Member, ...] = ()
    failed: tuple[Member, ...] = ()

    @property
    def kept(self) -> tuple[Member, ...]:
        """Those for which the worker may write what it found."""
        return self.succeeded + self.failed


def settle(session: Session, held: Held, settings: Settings, failures: Mapping[int, Failure] | None = None) -> Settled:
    """End a claim: members with a failure fail, the others succeed.

    What the caller writes for the members that were kept belongs to the same transaction, and `studies.refresh` for
    them comes after it.
    """
    failures = failures or {}
    if not locked(session, held.claim_id):
        return Settled()
    moment = now(session)
    hopeful = [member for member in held.members if member.screening_id not in failures]
    succeeded = _succeed(session, held, hopeful, moment)
    failed = tuple(
        member
        for member in held.members
        if member.screening_id in failures
        and _fail(session, held, member, failures[member.screening_id], settings, moment)
    )
    settled = Settled(succeeded, failed)
    if len(settled.kept) < len(held.members):
        _end(session, Attempt.claim_id == held.claim_id, Outcome.SUPERSEDED, moment)
    _end_claim(session, held.claim_id, moment)
    if failed:
        studies.refresh(session, *(member.study_id for member in failed))
    return settled


def close(session: Session, claim_id: str, outcome: Outcome, failure: Failure | None = None) -> None:
    """End a locked claim, and each of its attempts that has not ended yet."""
    moment = now(session)
    _end(session, Attempt.claim_id == claim_id, outcome, moment, failure)
    _end_claim(session, claim_id, moment)


def _succeed(session: Session, held: Held, members: list[Member], moment: datetime) -> tuple[Member, ...]:
    """Move members to their next state; return those that were still held."""
    target = NEXT[held.stage]
    group = {} if target is State.READY else {"group_id": None, "cpu_only": False}  # a group lasts until its answer
    ids = [member.screening_id for member in members]
    query = (
        update(Screening)
        .where(Screening.id.in_(ids), Screening.claim_id == held.claim_id, Screening.state.in_(HELD))
        .values(state=target.value, changed_at=moment, **SUCCESS, **group)
        .returning(Screening.id)
    )
    moved = set(session.scalars(query)) if ids else set()
    kept = tuple(member for member in members if member.screening_id in moved)
    if kept:
        _end(session, Attempt.id.in_([member.attempt_id for member in kept]), Outcome.DONE, moment)
    return kept


def _fail(session: Session, held: Held, member: Member, failure: Failure, settings: Settings,
          moment: datetime) -> bool:  # fmt: skip
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
        .values(state=decision.state.value, claim_id=None, changed_at=moment, tries=decision.tries,
                next_try_at=moment + decision.wait if decision.wait is not None else None,
                reason=failure.reason.value, error_kind=failure.kind.value, fingerprint=failure.fingerprint)
    )  # fmt: skip
    _end(session, Attempt.id == member.attempt_id, Outcome.FAILED, moment, failure)
    return True


def _end(session: Session, which: ColumnElement[bool], outcome: Outcome, moment: datetime,
         failure: Failure | None = None) -> None:  # fmt: skip
    """End attempts that have not ended yet: an attempt ends once."""
    session.execute(
        update(Attempt)
        .where(which, Attempt.ended_at.is_(None))
        .values(ended_at=moment, outcome=outcome.value, **_described(failure))
    )


def _end_claim(session: Session, claim_id: str, moment: datetime) -> None:
    session.execute(update(Claim).where(Claim.id == claim_id).values(ended_at=moment))


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
