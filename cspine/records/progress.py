"""Whether the work moves: what is due, and when an attempt last ended."""

from datetime import timedelta

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from cspine.database import now
from cspine.states import State
from cspine.tables import Attempt, Screening

PATIENCE = timedelta(minutes=5)
DUE = (State.RECEIVED, State.READY)


def stalled(session: Session, patience: timedelta = PATIENCE) -> bool:
    """Say whether work has been due for five minutes in which no attempt ended; shadows may wait as long as they do."""
    since = now(session) - patience
    due = or_(
        and_(Screening.state.in_(DUE), Screening.changed_at < since),
        and_(Screening.state == State.WAITING, Screening.next_try_at < since),
    )
    if session.scalars(select(Screening.id).where(due, Screening.shadow.is_(False)).limit(1)).first() is None:
        return False
    return session.scalars(select(Attempt.id).where(Attempt.ended_at >= since).limit(1)).first() is None
