"""Studies that failed, and what becomes of them, for tests of retries and of the failures page."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from cspine.database import Database, now
from cspine.failure import Failure
from cspine.reasons import Reason
from cspine.records import endings
from cspine.settings import Settings
from cspine.states import ErrorKind, Stage, State
from cspine.tables import Batch, Bulk, BulkMember, Screening, Study
from tests.cspine.records import makers, work


def failed(session: Session, own: Batch, count: int = 1, fingerprint: str = "f1", state: State = State.FAILED,
           reason: str = "internal_error", lane: str = "normal", **values: object) -> list[Study]:  # fmt: skip
    """Make studies that failed alike."""
    made = []
    for _ in range(count):
        study = makers.study(session, own, state, **values)
        screening = session.scalars(select(Screening).where(Screening.study_id == study.id)).one()
        screening.fingerprint, screening.reason, screening.error_kind = fingerprint, reason, "unknown"
        screening.lane = lane
        session.flush()
        made.append(study)
    return made


def screening_of(database: Database, study: Study) -> Screening:
    with database.read() as session:
        return session.scalars(select(Screening).where(Screening.study_id == study.id)).one()


def states(database: Database, studies: list[Study]) -> list[str]:
    """Return the states of the studies' screenings, in their order."""
    return [screening_of(database, study).state for study in studies]


def waiting(database: Database) -> list[int]:
    """Return the screenings that wait to be prepared, the oldest first."""
    with database.read() as session:
        query = select(Screening.id).where(Screening.state == State.RECEIVED).order_by(Screening.id)
        return list(session.scalars(query))


def end(database: Database, settings: Settings, id_: int, failure: Failure | None = None) -> None:
    """Let a worker prepare a screening, and either answer it or fail."""
    held = work.take(database, settings, id_, Stage.PREPARE)
    with database.write() as session:
        endings.settle(session, held, settings, {id_: failure} if failure else None)
    if failure is None:
        held = work.take(database, settings, id_, Stage.SCREEN)
        with database.write() as session:
            endings.settle(session, held, settings)


def bug(fingerprint: str = "f1") -> Failure:
    """Return the failure of a bug in our code."""
    return Failure(ErrorKind.UNKNOWN, Reason.INTERNAL_ERROR, fingerprint)


def members(database: Database, bulk_id: str) -> dict[str, int]:
    """Count the members of a retry by their state."""
    with database.read() as session:
        rows = session.scalars(select(BulkMember.state).where(BulkMember.bulk_id == bulk_id)).all()
    return {state: rows.count(state) for state in sorted(set(rows))}


def bulk(database: Database, bulk_id: str) -> Bulk:
    with database.read() as session:
        return session.get_one(Bulk, bulk_id)


def moment(database: Database) -> datetime:
    with database.read() as session:
        return now(session)
