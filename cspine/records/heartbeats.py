"""Heartbeats: which processes are alive, and what keeps them from working."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from cspine.database import now
from cspine.reasons import Reason
from cspine.tables import Heartbeat

FRESH_SECONDS = 30
SILENT_SECONDS = 15  # a worker's parent beats every ten
SWEEP_SECONDS = 60
FORGET = timedelta(days=1)
AHEAD = timedelta(minutes=1)  # further in the future: the clock was set back since
STEPS = "steps"  # in a sweep's detail: the steps that could not be done, with why
OUTAGE = "outage"  # in a sweep's detail: when the last outage ended, as an ISO time


@dataclass(frozen=True)
class Fault:
    """Why a live worker does not work."""

    worker: str
    reason: Reason
    detail: str


def beat(session: Session, name: str, kind: str, detail: Mapping[str, Any] | None = None) -> None:
    """Say that a process is alive; the detail may carry {"fault": reason code, "detail": words}."""
    session.merge(Heartbeat(name=name, kind=kind, at=now(session), detail=dict(detail) if detail else None))
    session.execute(delete(Heartbeat).where(Heartbeat.at < now(session) - FORGET))


def gone(session: Session, name: str) -> None:
    """Forget a process that has ended in order."""
    session.execute(delete(Heartbeat).where(Heartbeat.name == name))


def fresh(session: Session, kind: str | None = None, seconds: float = FRESH_SECONDS) -> Sequence[Heartbeat]:
    """Return the processes of a kind (or of all kinds) that were alive within the last seconds."""
    moment = now(session)
    query = select(Heartbeat).where(Heartbeat.at > moment - timedelta(seconds=seconds), Heartbeat.at < moment + AHEAD)
    if kind is not None:
        query = query.where(Heartbeat.kind == kind)
    return session.scalars(query.order_by(Heartbeat.name)).all()


def silent(session: Session, name: str) -> bool:
    """Say whether a process that was alive has missed its beats; one that ended in order, or is unknown, has not."""
    at = session.scalar(select(Heartbeat.at).where(Heartbeat.name == name))
    return at is not None and at < now(session) - timedelta(seconds=SILENT_SECONDS)


def last_outage(session: Session) -> datetime | None:
    """Return when the latest outage ended that a sweep has seen within a day; null where there was none."""
    details = session.scalars(select(Heartbeat.detail).where(Heartbeat.kind == "sweep", Heartbeat.detail.is_not(None)))
    ends = [datetime.fromisoformat(detail[OUTAGE]) for detail in details if detail and OUTAGE in detail]
    moment = now(session)
    return max((end for end in ends if end <= moment), default=None)  # a later one: the clock was set back since


def broken_steps(session: Session) -> dict[str, str]:
    """Return the steps that a live sweep could not do in its last pass, each with why, by their names."""
    found: dict[str, str] = {}
    for row in fresh(session, "sweep", SWEEP_SECONDS):
        found |= (row.detail or {}).get(STEPS, {})
    return found


def alive(session: Session, kind: str) -> bool:
    """Say whether some process of this kind is alive; a sweep may be silent for a minute."""
    return bool(fresh(session, kind, SWEEP_SECONDS if kind == "sweep" else FRESH_SECONDS))


def fault(session: Session) -> Fault | None:
    """Return what keeps a live worker from working, or null."""
    for row in fresh(session):
        if row.detail and "fault" in row.detail:
            return Fault(row.name, Reason(row.detail["fault"]), str(row.detail.get("detail", "")))  # type: ignore[call-arg]
    return None
