"""Pauses: a lane, or the whole queue, from which nothing is claimed until somebody resumes it; with who and why.

A pause is honoured by the claim, so that it holds from the commit on, for every worker of every host, whatever
messages lie in Redis. What is in work at that moment is finished.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from cspine.database import lock, now
from cspine.errors import Usage
from cspine.records.audit import audit, written
from cspine.states import Lane
from cspine.tables import Pause

ALL = "all"
KEYS = (ALL, *(lane.value for lane in Lane))


def paused(session: Session) -> dict[str, Pause]:
    """Return what is paused, by the lane's name or `all`; the whole queue first, then the most urgent lane."""
    rows = {row.lane: row for row in session.scalars(select(Pause))}
    return {key: rows[key] for key in KEYS if key in rows}


def closed_lanes(session: Session) -> frozenset[Lane]:
    """Return the lanes from which nothing may be claimed; one small query for every claim."""
    keys = set(session.scalars(select(Pause.lane)))
    return frozenset(Lane) if ALL in keys else frozenset(lane for lane in Lane if lane.value in keys)


def pause(session: Session, lane_or_all: str, reason: str, actor: str) -> Pause | None:
    """Pause a lane, or the whole queue; return null, or the pause that was there before and is left as it is.

    Who paused first, and why, is what others wait for: a second pause neither takes that over nor begins its time anew.
    Raises `Usage` where the name is neither a lane nor `all`, or the reason is empty or too long.
    """
    _known(lane_or_all)
    reason = written(reason)
    lock(session, f"pause {lane_or_all}")
    if (before := session.get(Pause, lane_or_all)) is not None:
        return before
    session.add(Pause(lane=lane_or_all, reason=reason, paused_by=actor, paused_at=now(session)))
    audit(session, actor, "pause", lane_or_all, {"reason": reason})
    session.flush()
    return None


def resume(session: Session, lane_or_all: str, actor: str, reason: str | None = None) -> bool:
    """End the pause of a lane, or that of the whole queue; false where there is none of this name.

    Lanes that were paused by themselves stay paused when the whole queue is resumed. Raises `Usage` as `pause` does.
    """
    _known(lane_or_all)
    lock(session, f"pause {lane_or_all}")
    row = session.get(Pause, lane_or_all)
    if row is None:
        return False
    session.delete(row)
    why = {"resumed_because": written(reason)} if reason else {}
    audit(session, actor, "resume", lane_or_all, {"paused_by": row.paused_by, "reason": row.reason, **why})
    session.flush()
    return True


def _known(lane_or_all: str) -> None:
    if lane_or_all not in KEYS:
        raise Usage(f"{lane_or_all!r} is no lane; there are {', '.join(KEYS)}")
