"""Claims: a worker takes screenings by one compare-and-set, and holds them by a lease that it renews.

A claim is one row, so that renewing it is one update. It is also the lock of everything that ends the claim: whoever
settles it or frees it locks the claim first, then screenings, then attempts, then studies, always in this order.
An attempt is written before the run, so that no way of dying can escape the count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Row, Select, func, insert, select, update
from sqlalchemy.orm import Session

from cspine import __version__
from cspine.database import now
from cspine.errors import CspineError
from cspine.reasons import Reason
from cspine.settings import Settings
from cspine.states import Outcome, Stage, State
from cspine.tables import Attempt, Claim, Release, Screening, new_id

CPU = "cpu"
WORK = {Stage.PREPARE: (State.RECEIVED, State.PREPARING), Stage.SCREEN: (State.READY, State.SCREENING)}
Candidate = Row[int, str, str, bool]


class LeaseLost(CspineError):
    """Somebody else has freed this claim, or the study was taken out of it: nothing more may be written."""

    default = Reason.LEASE_EXPIRED


@dataclass(frozen=True)
class Member:
    """A screening in a claim, and the attempt that was written for it."""

    screening_id: int
    study_id: str
    lane: str
    attempt_id: int


@dataclass(frozen=True)
class Held:
    """What a worker holds."""

    claim_id: str
    stage: Stage
    device: str
    release_id: int | None
    members: tuple[Member, ...]


def for_prepare(session: Session, screening_id: int, worker: str, settings: Settings) -> Held | None:
    """Claim one received screening; null where somebody else has it, or nothing is to be done."""
    query = _candidates(State.RECEIVED).where(Screening.id == screening_id).with_for_update(skip_locked=True)
    return _hold(session, session.execute(query).all(), Stage.PREPARE, worker, CPU, None, settings)


def for_screen(session: Session, screening_id: int, worker: str, device: str, release_id: int,
               settings: Settings) -> Held | None:  # fmt: skip
    """Claim a ready screening and others of its lane, at most `screen_batch` together; null where there is nothing.

    One with a group is claimed with exactly its group: these were in a claim that crashed. The release must be the
    active one; where it is not any more, nothing is claimed.
    """
    named = session.execute(
        select(Screening.group_id, Screening.lane)
        .join(Release, Release.id == release_id)
        .where(Screening.id == screening_id, Screening.state == State.READY, Release.active)
    ).first()
    if named is None:
        return None
    query = _candidates(State.READY)
    if named.group_id is not None:
        # Waits for a lock instead of skipping it: two bells of one group must not take half of it each.
        query = query.where(Screening.group_id == named.group_id).order_by(Screening.id).with_for_update()
        return _hold(session, session.execute(query).all(), Stage.SCREEN, worker, device, release_id, settings)
    free = query.where(Screening.group_id.is_(None)).with_for_update(skip_locked=True)
    rows = list(session.execute(free.where(Screening.id == screening_id)))
    if rows and settings.screen_batch > 1:
        others = (
            free.where(Screening.lane == named.lane, Screening.id != screening_id, Screening.shadow.is_(False))
            .order_by(Screening.created_at, Screening.id)
            .limit(settings.screen_batch - 1)
        )
        rows += session.execute(others)
    return _hold(session, rows, Stage.SCREEN, worker, device, release_id, settings)


def renew(session: Session, claim_id: str, settings: Settings) -> bool:
    """Extend the lease; false where the claim has ended, so that its holder may write nothing more."""
    query = (
        update(Claim)
        .where(Claim.id == claim_id, Claim.ended_at.is_(None))
        .values(expires_at=now(session) + timedelta(seconds=settings.lease_seconds))
        .returning(Claim.id)
    )
    return session.execute(query).first() is not None


def locked(session: Session, claim_id: str) -> bool:
    """Lock the claim for the rest of the transaction; false where it has ended."""
    query = select(Claim.id).where(Claim.id == claim_id, Claim.ended_at.is_(None)).with_for_update()
    return session.execute(query).first() is not None


def insist(session: Session, held: Held, member: Member) -> None:
    """Lock claim and screening for a write in the middle of a run; raises `LeaseLost` where they are not ours."""
    query = select(Screening.id).where(Screening.id == member.screening_id, Screening.claim_id == held.claim_id)
    if not locked(session, held.claim_id) or session.execute(query.with_for_update()).first() is None:
        raise LeaseLost("the claim has ended")


def tries(session: Session, member: Member) -> int:
    """Return how many tries the member has used up before this attempt."""
    return session.scalars(select(Screening.tries).where(Screening.id == member.screening_id)).one()


def _candidates(state: State) -> Select[int, str, str, bool]:
    return select(Screening.id, Screening.study_id, Screening.lane, Screening.cpu_only).where(Screening.state == state)


def _hold(session: Session, rows: Sequence[Candidate], stage: Stage, worker: str, device: str,
          release_id: int | None, settings: Settings) -> Held | None:  # fmt: skip
    """Write the claim, the compare-and-set on its screenings, and their attempts."""
    if not rows:
        return None
    ids = [row.id for row in rows]
    before, after = WORK[stage]
    moment = now(session)
    device = CPU if any(row.cpu_only for row in rows) else device
    claim = Claim(id=new_id(), stage=stage.value, worker=worker, device=device, size=len(ids), started_at=moment,
                  expires_at=moment + timedelta(seconds=settings.lease_seconds))  # fmt: skip
    session.add(claim)
    session.flush()
    taken = session.scalars(
        update(Screening)
        .where(Screening.id.in_(ids), Screening.state == before)
        .values(state=after.value, stage=stage.value, claim_id=claim.id, changed_at=moment, next_try_at=None,
                release_id=release_id)
        .returning(Screening.id)
    ).all()  # fmt: skip
    assert len(taken) == len(ids), "rows were locked and left their state"
    latest = (
        select(Attempt.screening_id, func.max(Attempt.number).label("number"))
        .where(Attempt.screening_id.in_(ids))
        .group_by(Attempt.screening_id)
    )
    numbers = {row.screening_id: row.number for row in session.execute(latest)}
    attempts = [
        {"screening_id": id_, "claim_id": claim.id, "release_id": release_id, "stage": stage.value,
         "number": numbers.get(id_, 0) + 1, "company": len(ids), "worker": worker, "device": device,
         "started_at": moment, "outcome": Outcome.RUNNING.value, "software": __version__}
        for id_ in ids
    ]  # fmt: skip
    attempt_ids = session.scalars(insert(Attempt).returning(Attempt.id, sort_by_parameter_order=True), attempts).all()
    members = tuple(
        Member(row.id, row.study_id, row.lane, attempt_id) for row, attempt_id in zip(rows, attempt_ids, strict=True)
    )
    return Held(claim.id, stage, device, release_id, members)
