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


def prepare(database: Database, settings: Settings, id_: int, worker: str = "host:prepare:1:2") -> Held | None:
    with database.write() as session:
        return claims.for_prepare(session, id_, worker, settings)


def screen(database: Database, settings: Settings, id_: int, worker: str = WORKER, device: str = "cpu") -> Held | None:
    with database.write() as session:
        release = session.scalars(select(Release.id).where(Release.active)).one()
        return claims.for_screen(session, id_, worker, device, release, settings)


def take(database: Database, settings: Settings, id_: int, stage: Stage = Stage.SCREEN, device: str = "cpu") -> Held:
    """Claim what must be there to be claimed."""
    held = (
        prepare(database, settings, id_) if stage is Stage.PREPARE else screen(database, settings, id_, device=device)
    )
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
