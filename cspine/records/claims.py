"""Claims: a worker takes screenings by one compare-and-set, and holds them by a lease that it renews.

A claim is one row, so that renewing it is one update. It is also the lock of everything that ends the claim: whoever
settles it or frees it locks the claim first, then screenings, then attempts, then studies, always in this order.
An attempt is written before the run, so that no way of dying can escape the count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Row, Select, func, insert, select, update
from sqlalchemy.orm import Session

from cspine import __version__, lanes
from cspine.database import now
from cspine.errors import CspineError
from cspine.reasons import Reason
from cspine.records import pauses
from cspine.settings import Settings
from cspine.states import Lane, Outcome, Stage, State
from cspine.tables import Attempt, Claim, Release, Screening, new_id

CPU = "cpu"
NO_TIME = datetime.min.replace(tzinfo=UTC)
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


def for_prepare(session: Session, worker: str, settings: Settings, turn: int) -> Held | None:
    """Claim a received screening of the lane whose turn it is; null where nothing is to be done."""
    rows = pick(session, Stage.PREPARE, _lanes(session, settings, turn), 1)
    return hold(session, rows, Stage.PREPARE, worker, CPU, None, settings)


def for_screen(session: Session, worker: str, device: str, release_id: int, settings: Settings,
               turn: int) -> Held | None:  # fmt: skip
    """Claim ready screenings of the lane whose turn it is, at most `screen_batch`; null where there is nothing.

    The release must be the active one; where it is not any more, nothing is claimed.
    """
    if session.scalar(select(Release.active).where(Release.id == release_id)) is not True:
        return None
    rows = pick(session, Stage.SCREEN, _lanes(session, settings, turn), settings.screen_batch)
    return hold(session, rows, Stage.SCREEN, worker, device, release_id, settings)


def pick(session: Session, stage: Stage, lanes: Sequence[Lane], limit: int) -> Sequence[Candidate]:
    """Lock and return what a worker is to take: of the first of the lanes that has any, the oldest ones.

    Those with a group were in a claim that crashed; they come before the others of their lane, and a group is taken
    exactly as it is. Shadow screenings are not looked at.
    """
    state = WORK[stage][0]
    for lane in lanes:
        mine = (Screening.state == state, Screening.lane == lane, Screening.shadow.is_(False))
        oldest = (Screening.created_at, Screening.id)
        group = session.scalar(
            select(Screening.group_id).where(*mine, Screening.group_id.is_not(None)).order_by(*oldest).limit(1)
        )
        if group is not None:
            # Waits for a lock instead of skipping it: two workers must not take half of a group each.
            whole = candidates(state).where(Screening.group_id == group).order_by(Screening.id).with_for_update()
            if rows := session.execute(whole).all():
                return rows
        free = candidates(state).where(*mine, Screening.group_id.is_(None)).order_by(*oldest).limit(limit)
        if rows := session.execute(free.with_for_update(skip_locked=True)).all():
            return rows
    return []


def candidates(state: State) -> Select[int, str, str, bool]:
    """Select the screenings of a state as `hold` takes them; the caller narrows it down and locks the rows."""
    return select(Screening.id, Screening.study_id, Screening.lane, Screening.cpu_only).where(Screening.state == state)


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


def _lanes(session: Session, settings: Settings, turn: int) -> Sequence[Lane]:
    """Return the lanes that are open, in the order of this turn; a window needs the database's clock, others none."""
    closed = pauses.closed_lanes(session)
    moment = now(session) if settings.overnight_window else NO_TIME
    return lanes.order(turn, lanes.open_lanes(moment, settings, closed))


def hold(session: Session, rows: Sequence[Candidate], stage: Stage, worker: str, device: str,
         release_id: int | None, settings: Settings) -> Held | None:  # fmt: skip
    """Write the claim, the compare-and-set on screenings that were locked, and their attempts; null where none is."""
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
