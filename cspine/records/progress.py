"""Whether the work moves: what is due, and when an attempt last ended."""

from datetime import timedelta

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from cspine import lanes
from cspine.database import now
from cspine.records import pauses
from cspine.settings import Settings
from cspine.states import State
from cspine.tables import Attempt, Audit, Screening

PATIENCE = timedelta(minutes=5)
DUE = (State.RECEIVED, State.READY)


def stalled(session: Session, settings: Settings, patience: timedelta = PATIENCE) -> bool:
    """Say whether work has been due for five minutes in which no attempt ended; shadows may wait as long as they do.

    What nobody may claim is not due: a lane that is paused, or outside its window. Its workers have the five minutes
    from the opening of the window, or from the end of the pause, too.
    """
    moment = now(session)
    since = moment - patience
    closed = pauses.closed_lanes(session)
    open_ = set(lanes.open_lanes(moment, settings, closed)) & set(lanes.open_lanes(since, settings, closed))
    due = or_(
        and_(Screening.state.in_(DUE), Screening.changed_at < since),
        and_(Screening.state == State.WAITING, Screening.next_try_at < since),
    )
    mine = (due, Screening.lane.in_(open_), Screening.shadow.is_(False))
    if session.scalars(select(Screening.id).where(*mine).limit(1)).first() is None:
        return False
    begun = select(Audit.id).where(Audit.at >= since, Audit.action == "resume").limit(1)
    ended = select(Attempt.id).where(Attempt.ended_at >= since).limit(1)
    return session.scalars(begun).first() is None and session.scalars(ended).first() is None
