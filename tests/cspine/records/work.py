"""Screenings in work: made in any state, claimed and looked at as a worker would."""

from sqlalchemy import select

from cspine.database import Database
from cspine.records import claims
from cspine.records.claims import Held
from cspine.settings import Settings
from cspine.states import Stage, State
from cspine.tables import Attempt, Release, Screening
from tests.cspine.records import makers

WORKER = "host:screen:1:2"


def make(
    database: Database, count: int, state: State = State.READY, lane: str = "normal", **values: object
) -> list[int]:
    """Make screenings of as many studies, oldest first, with an active release; return their ids."""
    with database.write() as session:
        if not session.scalar(select(Release.id)):
            makers.release(session)
        known = session.scalar(select(Screening.id).limit(1)) is not None
        batch = makers.batch(session, name=f"{lane} {state} {known} {count}", lane=lane)
        ids = []
        for minute in range(count):
            study = makers.study(session, batch, state, minutes=minute)
            row = session.scalars(select(Screening).where(Screening.study_id == study.id)).one()
            row.lane = lane
            for name, value in values.items():
                setattr(row, name, value)
            ids.append(row.id)
        session.flush()
    return ids


def prepare(database: Database, settings: Settings, turn: int = 0, worker: str = "host:prepare:1:2") -> Held | None:
    """Claim what is due, as a prepare worker does."""
    with database.write() as session:
        return claims.for_prepare(session, worker, settings, turn)


def screen(database: Database, settings: Settings, turn: int = 0, device: str = "cpu") -> Held | None:
    """Claim what is due, as a screen worker does."""
    with database.write() as session:
        release = session.scalars(select(Release.id).where(Release.active)).one()
        return claims.for_screen(session, WORKER, device, release, settings, turn)


def take(
    database: Database, settings: Settings, ids: int | list[int], stage: Stage = Stage.SCREEN, device: str = "cpu",
    worker: str = WORKER,
) -> Held:  # fmt: skip
    """Claim exactly these, which are in the state that their stage takes them from."""
    named = [ids] if isinstance(ids, int) else ids
    with database.write() as session:
        release = session.scalars(select(Release.id).where(Release.active)).one() if stage is Stage.SCREEN else None
        query = claims.candidates(claims.WORK[stage][0]).where(Screening.id.in_(named)).order_by(Screening.id)
        rows = session.execute(query.with_for_update()).all()
        held = claims.hold(session, rows, stage, worker, device, release, settings)
    assert members(held) == named
    assert held is not None
    return held


def members(held: Held | None) -> list[int]:
    assert held is not None
    return [member.screening_id for member in held.members]


def row(database: Database, id_: int) -> Screening:
    with database.read() as session:
        return session.get_one(Screening, id_)


def states(database: Database, ids: list[int]) -> set[str]:
    with database.read() as session:
        return set(session.scalars(select(Screening.state).where(Screening.id.in_(ids))))


def attempts(database: Database, id_: int) -> list[Attempt]:
    with database.read() as session:
        return list(session.scalars(select(Attempt).where(Attempt.screening_id == id_).order_by(Attempt.id)))


def outcomes(database: Database, id_: int) -> list[str]:
    return [attempt.outcome for attempt in attempts(database, id_)]


def set_state(database: Database, id_: int, state: State) -> None:
    """Put a screening where the test wants it, without a claim."""
    with database.write() as session:
        found = session.get_one(Screening, id_)
        found.state, found.claim_id, found.next_try_at = state.value, None, None
