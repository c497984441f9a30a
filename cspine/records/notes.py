"""Notes: figures that a step of the sweep keeps for others to read, among the heartbeats, for a day at most."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from cspine.records import heartbeats
from cspine.tables import Heartbeat

KIND = "note"  # of a heartbeat that is no process


def keep(session: Session, name: str, figures: Mapping[str, Any]) -> None:
    """Keep figures under a name, in place of those before."""
    heartbeats.beat(session, name, KIND, figures)


def kept(session: Session, name: str) -> dict[str, Any] | None:
    """Return the figures that were kept within the last day, or null."""
    row = session.get(Heartbeat, name)
    return dict(row.detail or {}) if row else None
