"""What lies in the queue, as a forecast sees it: the work of a batch, and what is before, beside and still to come."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median

from sqlalchemy import ColumnElement, and_, case, func, or_, select
from sqlalchemy.orm import Session

from cspine.records.claims import WORK
from cspine.states import IN_WORK, Disposition, Lane, Stage, State
from cspine.tables import Batch, Claim, ReceivedFile, Screening

SAMPLE = 300  # studies of a lane whose files are counted, for the mean of all of them
IN_HAND = 0.5  # of a study that a worker holds now so much is still to be done, on average
LAST = 1000  # files of a batch among which its last large study is looked for
SPAN = timedelta(minutes=5)
SPANS = 6  # in which arrivals are counted
STEADY = 3.0  # times the median of the spans: more in one span is a batch that came at once, and no stream

Place = tuple[Stage, Lane]
STAGES = {state: stage for stage, states in WORK.items() for state in states}


@dataclass(frozen=True)
class Size:
    """Studies with their files; a share of a study where a worker is in the middle of it."""

    studies: float = 0.0
    files: float = 0.0
    bytes: float = 0.0

    def __add__(self, other: "Size") -> "Size":
        """Return both together."""
        return Size(self.studies + other.studies, self.files + other.files, self.bytes + other.bytes)

    def __mul__(self, factor: float) -> "Size":
        """Return so much of it."""
        return Size(self.studies * factor, self.files * factor, self.bytes * factor)


@dataclass
class Own:
    """What of a batch is in work."""

    studies: int = 0
    sizes: dict[Place, Size] = field(default_factory=lambda: defaultdict(Size))
    counts: dict[Place, int] = field(default_factory=lambda: defaultdict(int))  # of those that nobody holds
    last: dict[Lane, datetime] = field(default_factory=dict)  # when the last study of the lane came in
    next_try: datetime | None = None  # the last stated time of another try

    @property
    def lanes(self) -> frozenset[Lane]:
        """The lanes in which it has work."""
        return frozenset(lane for _, lane in self.sizes)

    @property
    def stages(self) -> frozenset[Stage]:
        """The stages in which it has work now or later."""
        return frozenset({Stage.SCREEN} | {stage for stage, _ in self.sizes}) if self.sizes else frozenset()


@dataclass(frozen=True)
class Others:
    """Studies of others in one place: how many before the batch's last one, how many behind it, and of what size."""

    before: float
    behind: float
    mean: Size | None  # of one study; null where none of them waits


def own(session: Session, batch: Batch) -> Own:
    """Count the studies of a batch that are in work, by what is to be done with them next."""
    query = (
        select(
            Screening.state,
            Screening.stage,
            Screening.lane,
            func.count(Screening.id.distinct()),
            func.count(),
            func.coalesce(func.sum(ReceivedFile.size), 0),
            func.max(Screening.created_at, type_=Screening.created_at.type),
            func.max(Screening.next_try_at, type_=Screening.next_try_at.type),
        )
        .select_from(ReceivedFile)
        .join(Screening, (Screening.study_id == ReceivedFile.study_id) & Screening.shadow.is_(False))
        .where(*_accepted(batch), Screening.state.in_(IN_WORK))
        .group_by(Screening.state, Screening.stage, Screening.lane)
    )
    found = Own()
    for state, waits_for, lane, studies, files, size, last, next_try in session.execute(query):
        stage = STAGES.get(State(state), Stage(waits_for))
        place = (stage, Lane(lane))
        held = state == WORK[stage][1]
        found.studies += studies
        found.sizes[place] += Size(studies, files, float(size)) * (IN_HAND if held else 1.0)
        found.counts[place] += studies if state == WORK[stage][0] else 0
        found.last[place[1]] = max(found.last.get(place[1], last), last)
        if next_try is not None:
            found.next_try = max(found.next_try or next_try, next_try)
    return found


def others(session: Session, mine: Own, batch: Batch | None) -> dict[Place, Others]:
    """Count what else is due or in hand in each lane."""
    last = [and_(Screening.lane == lane.value, Screening.created_at <= last) for lane, last in mine.last.items()]
    before = func.sum(case((or_(*last), 1), else_=0)) if last else func.sum(0)
    query = (
        select(Screening.state, Screening.lane, func.count(), before)
        .where(Screening.state.in_(STAGES), Screening.lane.in_([lane.value for lane in Lane]))
        .group_by(Screening.state, Screening.lane)
    )
    totals: dict[Place, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for state, lane, count, earlier in session.execute(query):
        stage = STAGES[State(state)]
        place, share = (stage, Lane(lane)), IN_HAND if state == WORK[stage][1] else 1.0
        first = place in mine.sizes or (stage is Stage.SCREEN and Lane(lane) in mine.lanes)
        counted = mine.counts[place] if state == WORK[stage][0] else 0
        ahead = max(0, int(earlier) - counted) if first else 0
        totals[place][0] += share * ahead
        totals[place][1] += share * max(0, count - counted - ahead)
    return {
        place: Others(before, behind, _mean(session, place, batch))
        for place, (before, behind) in totals.items()
        if before or behind
    }


def last(session: Session, batch: Batch) -> list[tuple[Size, datetime | None]]:
    """Return the batch's last studies that are to be prepared, the very last first; with when a worker took it.

    What one claim holds is done one after the other, and is returned as one.
    """
    latest = (
        select(Screening.id, Screening.claim_id, ReceivedFile.id.label("file_id"), ReceivedFile.size)
        .join(ReceivedFile, ReceivedFile.study_id == Screening.study_id)
        .where(*_accepted(batch), Screening.shadow.is_(False), Screening.state.in_(WORK[Stage.PREPARE]))
        .order_by(ReceivedFile.id.desc())
        .limit(LAST)
        .subquery()
    )
    held = (func.count(latest.c.id.distinct()), func.count(), func.sum(latest.c.size))
    query = (
        select(*held, func.max(Claim.started_at, type_=Claim.started_at.type))
        .select_from(latest)
        .outerjoin(Claim, Claim.id == latest.c.claim_id)
        .group_by(latest.c.claim_id, case((latest.c.claim_id.is_(None), latest.c.id)))
        .order_by(func.max(latest.c.file_id).desc())
    )
    return [(Size(studies, files, float(size)), since) for studies, files, size, since in session.execute(query)]


def streams(session: Session, moment: datetime, without: Collection[Lane]) -> dict[Lane, float]:
    """Return how many studies a second keep coming into each lane; a batch that came all at once is no stream."""
    number = case(
        *((Screening.created_at >= moment - SPAN * (index + 1), index) for index in range(SPANS)), else_=SPANS
    )
    lanes = [lane.value for lane in Lane if lane not in without]
    query = (
        select(Screening.lane, number, func.count())
        .where(
            Screening.state.in_(list(State)),
            Screening.lane.in_(lanes),
            Screening.created_at >= moment - SPAN * SPANS,
            Screening.created_at <= moment,
        )
        .group_by(Screening.lane, number)
    )
    spans: Mapping[str, list[int]] = defaultdict(lambda: [0] * (SPANS + 1))
    for lane, index, count in session.execute(query):
        spans[lane][index] = count
    rates = {}
    for lane, counts in spans.items():
        middle = median(counts[:SPANS])
        steady = [min(count, STEADY * middle) for count in counts[:SPANS]]
        if middle:
            rates[Lane(lane)] = sum(steady) / (SPAN * SPANS).total_seconds()
    return rates


def _accepted(batch: Batch) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return ReceivedFile.batch_id == batch.id, ReceivedFile.disposition == Disposition.ACCEPTED


def _mean(session: Session, place: Place, batch: Batch | None) -> Size | None:
    """Return the mean size of the oldest studies in a place that are not the batch's."""
    stage, lane = place
    oldest = (
        select(Screening.study_id)
        .where(Screening.state == WORK[stage][0], Screening.lane == lane.value)
        .order_by(Screening.created_at, Screening.id)
        .limit(SAMPLE)
        .subquery()
    )
    query = (
        select(
            func.count(ReceivedFile.study_id.distinct()), func.count(), func.coalesce(func.sum(ReceivedFile.size), 0)
        )
        .join(oldest, oldest.c.study_id == ReceivedFile.study_id)
        .where(ReceivedFile.disposition == Disposition.ACCEPTED)
    )
    if batch is not None:
        query = query.where(ReceivedFile.batch_id != batch.id)
    studies, files, size = session.execute(query).one()
    return Size(1, files / studies, float(size) / studies) if studies else None
