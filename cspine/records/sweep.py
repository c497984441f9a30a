"""The sweep's queries: due retries, and work whose bell was lost."""

from datetime import timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from cspine.backoff import longest_wait
from cspine.database import now
from cspine.queue import MOST_BELLS
from cspine.records import pauses, studies
from cspine.records.claims import WORK
from cspine.records.screenings import Ring
from cspine.settings import Settings
from cspine.states import SHADOW, Lane, Stage, State
from cspine.tables import Screening

MOST_DUE = 500
MOST_RINGS = MOST_BELLS  # each wakes a worker, and is passed on as long as there is work


def due(session: Session, settings: Settings) -> list[Ring]:
    """Take screenings back to work whose wait is over, or whose next try lies so far ahead that a clock was set."""
    moment = now(session)
    over = or_(Screening.next_try_at <= moment, Screening.next_try_at > moment + longest_wait(settings))
    query = (
        select(Screening.id, Screening.study_id, Screening.stage, Screening.lane)
        .where(Screening.state == State.WAITING, over)
        .order_by(Screening.next_try_at)
        .limit(MOST_DUE)
    )
    rows = session.execute(query.with_for_update(skip_locked=True)).all()
    for stage in Stage:
        ids = [row.id for row in rows if row.stage == stage]
        session.execute(
            update(Screening)
            .where(Screening.id.in_(ids), Screening.state == State.WAITING)
            .values(state=WORK[stage][0].value, next_try_at=None, changed_at=moment)
        )
    if shown := [row.study_id for row in rows if row.lane != SHADOW]:  # see `studies.refresh`
        studies.refresh(session, *shown)
    return [Ring(Stage(row.stage), row.lane, row.id) for row in rows]


def unrung(session: Session, stage: Stage, lane: str, age: timedelta) -> list[Ring]:
    """Return the oldest work of a lane that has been there for some time; its bell may have been lost.

    A lost bell cannot be told from a backlog by SQL alone: ask only when the lane's queue is empty.
    """
    moment = now(session)
    old = or_(Screening.changed_at <= moment - age, Screening.changed_at > moment)  # the latter: a clock was set back
    query = (
        select(Screening.id)
        .where(Screening.state == WORK[stage][0], Screening.lane == lane, old)
        .order_by(Screening.created_at, Screening.id)
        .limit(MOST_RINGS)
    )
    return [Ring(stage, lane, id_) for id_ in session.scalars(query)]


def resumed(session: Session) -> list[Ring]:
    """Return one bell for every lane and stage that has work and is not paused, for the moment after a pause."""
    closed = pauses.closed_lanes(session)
    open_ = [lane for lane in Lane if lane not in closed]
    return [ring for stage in Stage for lane in open_ for ring in unrung(session, stage, lane, timedelta())[:1]]
