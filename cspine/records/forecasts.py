"""Forecasts: when a batch will be done, which deadlines will be missed, what so many more studies would take."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from cspine import forecast, lanes
from cspine.database import now
from cspine.forecast import Backlog, Expected, Forecast, Openings, Piece, Situation, Why
from cspine.records import backlogs, paces, pauses
from cspine.records.backlogs import Own, Place, Size
from cspine.records.paces import Paces
from cspine.settings import Settings
from cspine.states import Lane, Stage
from cspine.tables import Batch

FORGOTTEN = timedelta(days=7)  # so long after its deadline a batch is nobody's worry any more


def of_batch(session: Session, batch: Batch, settings: Settings, moment: datetime | None = None) -> Forecast:
    """Forecast the end of a batch, of what has been received of it up to now."""
    moment = moment or now(session)
    return _of_batch(session, batch, settings, moment, None)


def late(session: Session, settings: Settings) -> list[tuple[Batch, Forecast]]:
    """Return the batches whose deadline will be missed, or is, with studies still in work; the nearest first."""
    moment = now(session)
    query = (
        select(Batch)
        .where(Batch.deadline > moment - FORGOTTEN, Batch.cancelled_at.is_(None))
        .order_by(Batch.deadline, Batch.id)
    )
    found, measured = [], None
    for batch in session.scalars(query).all():
        measured = measured or paces.read(session, moment)
        told = _of_batch(session, batch, settings, moment, measured)
        if told.late:
            found.append((batch, told))
    return found


def expected(session: Session, studies: int, lane: str, settings: Settings, moment: datetime | None = None) -> Expected:
    """Say what so many studies of the usual size take that are sent back to work, and when they would be done.

    A study that is retried stands in its lane where it stood before, which is as a rule before all others.
    """
    moment = moment or now(session)
    measured = paces.read(session, moment)
    usual = measured[Stage.PREPARE].usual * studies
    mine = Own(studies)
    mine.sizes[Stage.PREPARE, Lane(lane)] = usual
    ends_at, why = _end(session, mine, settings, measured, None)
    told = all(measured[stage].strength for stage in Stage)
    work = sum(measured[stage].cost.of(usual.files, usual.bytes) for stage in Stage)
    return Expected(work if told else None, ends_at, why)


def openings(settings: Settings, closed: Iterable[Lane]) -> Openings:
    """Return the function that tells which lanes are open at a moment, and until when that stays so."""
    paused = frozenset(closed)

    def at(moment: datetime) -> tuple[tuple[Lane, ...], datetime | None]:
        span = lanes.window(moment, settings)
        changes = None if span is None else span[0] if moment < span[0] else span[1]
        return lanes.open_lanes(moment, settings, paused), changes

    return at


def _of_batch(session: Session, batch: Batch, settings: Settings, moment: datetime,
              measured: Paces | None) -> Forecast:  # fmt: skip
    mine = backlogs.own(session, batch)
    if not mine.studies:
        return Forecast(moment, 0, None, Why.DONE, None, batch.deadline)
    measured = measured or paces.read(session, moment)
    ends_at, why = _end(session, mine, settings, measured, batch)
    screened = measured[Stage.SCREEN].strength
    per_minute = screened.studies_per_minute if screened else None
    return Forecast(moment, mine.studies, ends_at, why, per_minute, batch.deadline)


def _end(session: Session, mine: Own, settings: Settings, measured: Paces,
         batch: Batch | None) -> tuple[datetime | None, Why | None]:  # fmt: skip
    """Return when this work is done, with all that comes before it; or why no end is known."""
    closed = pauses.closed_lanes(session)
    if mine.lanes & closed:
        return None, Why.PAUSED
    if not all(measured[stage].alive for stage in mine.stages):
        return None, Why.NO_WORKER
    if not all(measured[stage].strength for stage in mine.stages):
        return None, Why.NOT_MEASURED
    ends_at = forecast.end(_situation(session, mine, measured, batch), openings(settings, closed))
    return ends_at, None if ends_at else Why.BEYOND


def _situation(session: Session, mine: Own, measured: Paces, batch: Batch | None) -> Situation:
    """Gather what lies in the queue, and give each thing its price in seconds of a child."""

    def price(stage: Stage, size: Size) -> float:
        return measured[stage].cost.of(size.files, size.bytes)

    backlog: dict[Place, Backlog] = defaultdict(Backlog)
    kinds: dict[Lane, Size] = defaultdict(lambda: measured[Stage.PREPARE].usual)  # a study of the lane
    for place, found in backlogs.others(session, mine, batch).items():
        stage, lane = place
        one = found.mean or measured[Stage.PREPARE].usual
        kinds[lane] = one
        backlog[place].until += found.before * price(stage, one)
        backlog[place].behind += found.behind * price(stage, one)
    for place, size in mine.sizes.items():
        backlog[place].until += price(place[0], size)
    streams = backlogs.streams(session, measured.moment, mine.lanes)
    arrivals = {lane: rate * price(Stage.PREPARE, kinds[lane]) for lane, rate in streams.items()}
    kinds |= {lane: size * (1 / size.studies) for (stage, lane), size in mine.sizes.items() if stage is Stage.PREPARE}
    strengths = {stage: known for stage in Stage if (known := measured[stage].strength)}
    return Situation(
        moment=measured.moment,
        strength={stage: strengths[stage].children if stage in strengths else 0.0 for stage in Stage},
        backlog=backlog,
        onward={lane: price(Stage.SCREEN, one) / price(Stage.PREPARE, one) for lane, one in kinds.items()},
        arrivals=arrivals,
        pieces=_pieces(session, measured, batch) if batch is not None and Stage.PREPARE in mine.stages else (),
        company={stage: known.claim_seconds for stage, known in strengths.items()},
        not_before=mine.next_try,
    )


def _pieces(session: Session, measured: Paces, batch: Batch) -> list[Piece]:
    """Price the batch's last studies, and what comes after each of them."""
    pieces, after = [], 0.0
    for size, since in backlogs.last(session, batch):
        seconds = measured[Stage.PREPARE].cost.of(size.files, size.bytes)
        pieces.append(Piece(seconds, after, since))
        after += 0.0 if since else seconds
    return pieces
