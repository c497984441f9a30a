"""Claims: a worker takes screenings by one compare-and-set, and holds them by a lease that it renews.

A claim is one row, so that renewing it is one update. It is also the lock of everything that ends the claim: whoever
settles it or frees it locks the claim first, then screenings, then attempts, then studies, always in this order.
An attempt is written before the run, so that no way of dying can escape the count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import accumulate
from math import ceil
from typing import Any, cast

from sqlalchemy import ColumnElement, Row, Select, case, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from cspine import __version__, lanes
from cspine.database import clock, now
from cspine.errors import CspineError
from cspine.reasons import Reason
from cspine.records import pauses
from cspine.settings import Settings
from cspine.states import Disposition, Lane, Outcome, Stage, State
from cspine.tables import Attempt, Claim, ReceivedFile, Release, Screening, Study, new_id, plain

CPU = "cpu"
CLAIMS, SCREENINGS, ATTEMPTS = plain(Claim), plain(Screening), plain(Attempt)
NO_TIME = datetime.min.replace(tzinfo=UTC)
WORK = {Stage.PREPARE: (State.RECEIVED, State.PREPARING), Stage.SCREEN: (State.READY, State.SCREENING)}
Candidate = Row[int, str, str, bool, str | None]


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
    part: bool = False  # a part of what the claim holds: settling it does not end the claim


def for_prepare(session: Session, worker: str, settings: Settings, turn: int) -> Held | None:
    """Claim received screenings of the lane whose turn it is: several small ones, or one that is large.

    They are so many that their files have at most `prepare_company_bytes` together. Null where nothing is to be done.
    """
    rows = pick(session, Stage.PREPARE, _lanes(session, settings, turn), settings.prepare_company)
    return hold(session, _small(session, _share(rows, settings), settings), Stage.PREPARE, worker, CPU, None, settings)


def for_screen(session: Session, worker: str, device: str, release_id: int, settings: Settings,
               turn: int) -> Held | None:  # fmt: skip
    """Claim ready screenings of the lane whose turn it is, at most `screen_batch`; null where there is nothing.

    They have at most `screen_images` together, or are one that has more. The release must be the active one; where it
    is not any more, nothing is claimed.
    """
    if session.scalar(select(Release.active).where(Release.id == release_id)) is not True:
        return None
    rows = pick(session, Stage.SCREEN, _lanes(session, settings, turn), settings.screen_batch)
    return hold(session, few(session, rows, settings), Stage.SCREEN, worker, device, release_id, settings)


def pick(session: Session, stage: Stage, lanes: Sequence[Lane], limit: int) -> Sequence[Candidate]:
    """Lock and return what a worker is to take: of the first of the lanes that has any, the oldest ones.

    Those with a group were in a claim that crashed; they come before the others of their lane, and a group is taken
    exactly as it is. One query finds lane and rows; only where those were taken by others meanwhile, or have groups,
    it looks lane by lane.
    """
    state = WORK[stage][0]
    if not lanes:
        return []
    found = session.execute(_first(state, tuple(lanes), limit)).all()
    if found and found[0].waiting_group is None:
        return cast(Sequence[Candidate], found)  # with one column more
    if not found and session.scalar(_any(state, tuple(lanes))) is not True:
        return []
    for lane in lanes:
        if (name := session.scalar(_oldest_group(state, lane.value))) is not None:
            # Waits for a lock instead of skipping it: two workers must not take half of a group each.
            whole = candidates(state).where(Screening.group_id == name).order_by(Screening.id).with_for_update()
            if rows := session.execute(whole).all():
                return rows
        if rows := session.execute(_free(state, lane.value, limit)).all():
            return rows
    return []


def candidates(state: State) -> Select[int, str, str, bool, str | None]:
    """Select the screenings of a state as `hold` takes them; the caller narrows it down and locks the rows."""
    columns = Screening.id, Screening.study_id, Screening.lane, Screening.cpu_only, Screening.group_id
    return select(*columns).where(Screening.state == state)


@cache
def _first(state: State, lanes: tuple[Lane, ...], limit: int) -> Select[int, str, str, bool, str | None, str | None]:
    """Select from the first lane that has anything; built once, since that costs more than running it."""
    lane = case(*((_waits(state, one).exists(), one.value) for one in lanes), else_=None)
    return _free(state, lane, limit).add_columns(_oldest_group(state, lane).scalar_subquery().label("waiting_group"))


@cache
def _any(state: State, lanes: tuple[Lane, ...]) -> Select[bool]:
    return select(or_(*(_waits(state, lane).exists() for lane in lanes)))


def _waits(state: State, lane: Lane) -> Select[int]:
    one = SCREENINGS.alias()  # stands beside the rows that `_free` selects
    return select(one.c.id).where(one.c.state == state.value, one.c.lane == lane.value, ~one.c.shadow)


def _free(state: State, lane: str | ColumnElement[str], limit: int) -> Select[int, str, str, bool, str | None]:
    query = candidates(state).where(Screening.lane == lane, Screening.group_id.is_(None), Screening.shadow.is_(False))
    return query.order_by(Screening.created_at, Screening.id).limit(limit).with_for_update(skip_locked=True)


def _oldest_group(state: State, lane: str | ColumnElement[str]) -> Select[str | None]:
    """Select by the small index of those with a group; that of all work, which `coalesce` hides, may hold thousands."""
    one = SCREENINGS.alias()
    mine = (one.c.group_id > "", func.coalesce(one.c.state, "") == state.value, func.coalesce(one.c.lane, "") == lane,
            ~one.c.shadow)  # fmt: skip
    return select(one.c.group_id).where(*mine).order_by(one.c.created_at, one.c.id).limit(1)


def _share(rows: Sequence[Candidate], settings: Settings) -> Sequence[Candidate]:
    """Leave the last few that wait to the other children of this host in equal parts, which else had nothing to do.

    Polychronopoulos and Kuck, Guided self-scheduling, IEEE Transactions on Computers C-36 (1987). Those that were in a
    claim that crashed are taken as they are.
    """
    if len(rows) == settings.prepare_company or any(row.group_id is not None for row in rows):
        return rows
    return rows[: ceil(len(rows) / settings.prepare_children)]


def _small(session: Session, rows: Sequence[Candidate], settings: Settings) -> Sequence[Candidate]:
    """Return the first of the studies, with as many others as are small together."""
    if len(rows) < 2:
        return rows
    ids = [row.study_id for row in rows]
    sizes = dict(
        session.execute(
            select(ReceivedFile.study_id, func.sum(ReceivedFile.size))
            .where(ReceivedFile.study_id.in_(ids), ReceivedFile.decoded.is_(False),
                   ReceivedFile.disposition == Disposition.ACCEPTED)
            .group_by(ReceivedFile.study_id)
        ).all()
    )  # fmt: skip
    return _within(rows, sizes, settings.prepare_company_bytes)


def few(session: Session, rows: Sequence[Candidate], settings: Settings) -> Sequence[Candidate]:
    """Return the first of the studies, with as many others as have few images together."""
    if len(rows) < 2:
        return rows
    ids = [row.study_id for row in rows]
    counts = dict(session.execute(select(Study.id, Study.image_count).where(Study.id.in_(ids))).all())
    return _within(rows, counts, settings.screen_images)


def _within(rows: Sequence[Candidate], sizes: Mapping[Any, int], most: int) -> Sequence[Candidate]:
    totals = accumulate(sizes.get(row.study_id, 0) for row in rows)
    return [row for number, (row, total) in enumerate(zip(rows, totals, strict=True)) if number == 0 or total <= most]


def renew(session: Session, claim_id: str, settings: Settings) -> bool:
    """Extend the lease; false where the claim has ended, so that its holder may write nothing more."""
    query = (
        update(Claim)
        .where(Claim.id == claim_id, Claim.ended_at.is_(None))
        .values(expires_at=clock(session, timedelta(seconds=settings.lease_seconds)))
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


def kept(session: Session, held: Held) -> dict[int, int]:
    """Lock the claim and all that it still holds; return how many tries each member has used up before this attempt.

    Raises `LeaseLost` where the claim has ended.
    """
    if not locked(session, held.claim_id):
        raise LeaseLost("the claim has ended")
    query = select(Screening.id, Screening.tries).where(Screening.claim_id == held.claim_id).order_by(Screening.id)
    members = {member.screening_id for member in held.members}
    return {id_: tries for id_, tries in session.execute(query.with_for_update()).all() if id_ in members}


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
    device = CPU if any(row.cpu_only for row in rows) else device
    moment = clock(session)
    claim_id = new_id()
    session.execute(
        insert(CLAIMS).values(
            id=claim_id, stage=stage.value, worker=worker, device=device, size=len(ids), started_at=moment,
            expires_at=clock(session, timedelta(seconds=settings.lease_seconds)),
        )
    )  # fmt: skip
    taken = session.execute(
        update(SCREENINGS)
        .where(SCREENINGS.c.id.in_(ids), SCREENINGS.c.state == before.value)
        .values(state=after.value, stage=stage.value, claim_id=claim_id, changed_at=moment, next_try_at=None,
                release_id=release_id)
        .returning(SCREENINGS.c.id)
    ).all()  # fmt: skip
    assert len(taken) == len(ids), "rows were locked and left their state"
    earlier = select(func.coalesce(func.max(ATTEMPTS.c.number), 0)).where(ATTEMPTS.c.screening_id == SCREENINGS.c.id)
    values = {
        "claim_id": claim_id, "release_id": release_id, "stage": stage.value, "company": len(ids), "worker": worker,
        "device": device, "started_at": moment, "outcome": Outcome.RUNNING.value, "software": __version__,
    }  # fmt: skip
    columns = [value if isinstance(value, ColumnElement) else literal(value, ATTEMPTS.c[name].type)
               for name, value in values.items()]  # fmt: skip
    written = insert(ATTEMPTS).from_select(
        ["screening_id", "number", *values],
        select(SCREENINGS.c.id, earlier.scalar_subquery() + 1, *columns).where(SCREENINGS.c.claim_id == claim_id),
    )
    attempts: dict[int, int] = dict(session.execute(written.returning(ATTEMPTS.c.screening_id, ATTEMPTS.c.id)).all())
    members = tuple(Member(row.id, row.study_id, row.lane, attempts[row.id]) for row in rows)
    return Held(claim_id, stage, device, release_id, members)
