"""Explanations: maps asked for on the study page, each made once by a worker of the queue `explain`.

An attempt is counted when it is claimed, so that no way of dying escapes the count.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.orm import Session

from cspine.database import lock, now
from cspine.reasons import Reason
from cspine.tables import Explanation, Image, Release, Result

MOST_ATTEMPTS = 2  # a person looks on, and may ask again
MOST_RINGS = 100


class Progress(StrEnum):
    """Where an explanation stands."""

    REQUESTED = "requested"  # waiting for a worker
    RUNNING = "running"
    DONE = "done"  # its map is in the blob store
    FAILED = "failed"  # with a reason, until somebody asks again


@dataclass(frozen=True)
class Work:
    """What a worker claimed."""

    explanation: Explanation
    result: Result
    image: Image
    release: Release


def request(session: Session, result_id: int, method: str, who: str) -> Explanation:
    """Ask for a map; what is there, or on its way, is returned as it is, and what failed is tried anew."""
    lock(session, f"explanation {result_id} {method}")
    row = of_result(session, result_id, method)
    if row is not None and row.state != Progress.FAILED:
        return row
    moment = now(session)
    row = row or Explanation(result_id=result_id, method=method)
    row.state, row.requested_by, row.requested_at = Progress.REQUESTED.value, who, moment
    row.attempts, row.reason, row.ended_at = 0, None, None
    session.add(row)
    session.flush()
    return row


def of_result(session: Session, result_id: int, method: str) -> Explanation | None:
    """Return the explanation of a result by a method, or null where nobody has asked."""
    query = select(Explanation).where(Explanation.result_id == result_id, Explanation.method == method)
    return session.scalars(query).one_or_none()


def claim(session: Session, explanation_id: int, worker: str, seconds: float) -> Work | None:
    """Take a requested map to make, for so many seconds; null where nothing is to be done."""
    moment = now(session)
    taken = session.execute(
        update(Explanation)
        .where(Explanation.id == explanation_id, Explanation.state == Progress.REQUESTED)
        .values(state=Progress.RUNNING.value, worker=worker, attempts=Explanation.attempts + 1, started_at=moment,
                expires_at=moment + timedelta(seconds=seconds))
        .returning(Explanation.id)
    ).first()  # fmt: skip
    if taken is None:
        return None
    query = (
        select(Explanation, Result, Image, Release)
        .join(Result, Result.id == Explanation.result_id)
        .join(Image, Image.id == Result.image_id)
        .join(Release, Release.id == Result.release_id)
        .where(Explanation.id == explanation_id)
    )
    return Work(*session.execute(query).one())


def finish(session: Session, work: Work, blob_key: str, options: Mapping[str, Any]) -> bool:
    """Say that the map is stored; false where the claim was lost, and the blob is nobody's.

    Said twice, since nobody could tell whether the first time was committed, it is still true.
    """
    if session.scalar(select(Explanation.id).where(Explanation.id == work.explanation.id,
                                                   Explanation.blob_key == blob_key)):  # fmt: skip
        return True
    return _end(session, work, state=Progress.DONE.value, blob_key=blob_key, options=dict(options), reason=None)


def fail(session: Session, work: Work, reason: Reason) -> bool:
    """Say why there is no map; false where the claim was lost."""
    return _end(session, work, state=Progress.FAILED.value, reason=reason.value)


def free(session: Session, worker: str, reason: Reason, *, counts: bool = True) -> list[int]:
    """Free what a process, or all processes below this name, held; return what is to be rung for.

    Where it `counts`, a map whose attempts are used up fails with the reason.
    """
    mine = or_(Explanation.worker == worker, Explanation.worker.startswith(f"{worker}:", autoescape=True))
    return _free(session, mine, reason, counts)


def expire(session: Session) -> list[int]:
    """Free what was held for longer than a worker may take; return what is to be rung for."""
    return _free(session, Explanation.expires_at < now(session), Reason.LEASE_EXPIRED, counts=True)


def running(session: Session, worker: str) -> Sequence[str]:
    """Return the names of the processes below this name that hold something."""
    query = select(Explanation.worker).where(
        Explanation.state == Progress.RUNNING, Explanation.worker.startswith(f"{worker}:", autoescape=True)
    )
    return [name for name in session.scalars(query) if name is not None]


def unrung(session: Session, age: timedelta) -> Sequence[int]:
    """Return the oldest maps that have waited for some time; their bell may have been lost."""
    query = select(Explanation.id).where(
        Explanation.state == Progress.REQUESTED, Explanation.requested_at <= now(session) - age
    )
    return session.scalars(query.order_by(Explanation.requested_at).limit(MOST_RINGS)).all()


def _end(session: Session, work: Work, **values: Any) -> bool:
    row = work.explanation
    mine = (
        Explanation.id == row.id,
        Explanation.state == Progress.RUNNING,
        Explanation.worker == row.worker,
        Explanation.attempts == row.attempts,
    )
    query = update(Explanation).where(*mine).values(ended_at=now(session), expires_at=None, **values)
    return session.execute(query.returning(Explanation.id)).first() is not None


def _free(session: Session, which: ColumnElement[bool], reason: Reason, counts: bool) -> list[int]:
    moment: datetime = now(session)
    held = select(Explanation).where(Explanation.state == Progress.RUNNING, which).with_for_update()
    rings = []
    for row in session.scalars(held):
        row.expires_at = None
        if counts and row.attempts >= MOST_ATTEMPTS:
            row.state, row.reason, row.ended_at = Progress.FAILED.value, reason.value, moment
        else:
            row.state, row.attempts = Progress.REQUESTED.value, row.attempts - (not counts)
            rings.append(row.id)
    session.flush()
    return rings
