"""Groups of failures for the browser to look at, each with a fingerprint of its own."""

import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.records import screenings
from cspine.states import Outcome, State
from cspine.tables import ReceivedFile, Screening
from tests.browser import rows
from tests.cspine.records import makers


def group(database: Database, blobs: BlobStore, count: int, **values: str) -> tuple[str, list[str]]:
    """Make so many studies that failed alike a minute ago, with their files; return fingerprint and ids."""
    fingerprint, ids, moment = secrets.token_hex(8), [], datetime.now(UTC)
    batch_id = rows.batch(database)
    with database.write() as session:
        for number in range(count):
            study = makers.study(session, session.get_one(makers.Batch, batch_id), State.FAILED, **values)
            file = session.scalars(select(ReceivedFile).where(ReceivedFile.study_id == study.id)).one()
            file.blob_key, file.name = blobs.put_bytes(b"x"), f"{fingerprint[:4]}-{number}.dcm"
            screening = screenings.shown(session, study.id)
            assert screening
            screening.fingerprint, screening.reason, screening.error_kind = fingerprint, "timed_out", "unknown"
            screening.changed_at = moment - timedelta(seconds=count - number)
            makers.attempt(session, screening, outcome=Outcome.FAILED, fingerprint=fingerprint, reason="timed_out",
                           error_kind="unknown", started_at=moment - timedelta(seconds=62),
                           ended_at=moment - timedelta(seconds=60))  # fmt: skip
            ids.append(study.id)
    return fingerprint, ids


def states(database: Database, ids: list[str]) -> list[str]:
    """Return where these studies stand, in their order."""
    with database.read() as session:
        found = dict(
            session.execute(select(Screening.study_id, Screening.state).where(Screening.study_id.in_(ids))).all()
        )
    return [found[study_id] for study_id in ids]


def end(database: Database, ids: list[str], state: State, reason: str | None = None) -> int:
    """Let those of the studies that are back in work end in a state, as a worker does; return how many there were."""
    with database.write() as session:
        working = select(Screening).where(Screening.study_id.in_(ids), Screening.state == State.RECEIVED)
        found = list(session.scalars(working))
        for row in found:
            row.state, row.reason, row.changed_at = state, reason, datetime.now(UTC)
    return len(found)
