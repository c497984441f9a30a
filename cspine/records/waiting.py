"""What waits in each lane, as people ask for it: how many studies are due, in hand or will be tried again."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cspine.states import HELD, IN_WORK, Lane, State
from cspine.tables import Screening


@dataclass(frozen=True)
class Waiting:
    """The work of one lane, in studies."""

    due: int = 0  # a worker could take them now
    held: int = 0  # a worker has them
    later: int = 0  # will be tried again at a stated time
    oldest: datetime | None = None  # when the oldest of the due ones was received


def by_lane(session: Session) -> dict[Lane, Waiting]:
    """Count the work of every lane, the most urgent first; an index scan over what is in work, never over the rest."""
    query = (
        select(
            Screening.lane, Screening.state, func.count(),
            func.min(Screening.created_at, type_=Screening.created_at.type),
        )
        .where(Screening.state.in_(IN_WORK), Screening.shadow.is_(False))
        .group_by(Screening.lane, Screening.state)
    )  # fmt: skip
    found = {(lane, State(state)): (count, oldest) for lane, state, count, oldest in session.execute(query)}
    return {lane: _of(lane, found) for lane in Lane}


def _of(lane: Lane, found: dict[tuple[str, State], tuple[int, datetime]]) -> Waiting:
    own = {state: counted for (name, state), counted in found.items() if name == lane}
    due = [counted for state, counted in own.items() if state in {State.RECEIVED, State.READY}]
    return Waiting(
        due=sum(count for count, _ in due),
        held=sum(count for state, (count, _) in own.items() if state in HELD),
        later=own[State.WAITING][0] if State.WAITING in own else 0,
        oldest=min((oldest for _, oldest in due), default=None),
    )
