"""Heartbeats: which processes are alive, and what keeps them from working."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from cspine.database import now
from cspine.reasons import Reason
from cspine.tables import Heartbeat

FRESH_SECONDS = 30
SWEEP_SECONDS = 60
FORGET = timedelta(days=1)


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
    query = select(Heartbeat).where(Heartbeat.at > now(session) - timedelta(seconds=seconds))
    if kind is not None:
        query = query.where(Heartbeat.kind == kind)
    return session.scalars(query.order_by(Heartbeat.name)).all()


def alive(session: Session, kind: str) -> bool:
    """Say whether some process of this kind is alive; a sweep may be silent for a minute."""
    return bool(fresh(session, kind, SWEEP_SECONDS if kind == "sweep" else FRESH_SECONDS))


def fault(session: Session) -> Fault | None:
    """Return what keeps a live worker from working, or null."""
    for row in fresh(session):
        if row.detail and "fault" in row.detail:
            return Fault(row.name, Reason(row.detail["fault"]), str(row.detail.get("detail", "")))  # type: ignore[call-arg]
    return None
