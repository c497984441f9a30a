"""Trends: how often something failed alike within the last hour, day and week, counted from the attempts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import BigInteger, case, cast, extract, func, literal, select
from sqlalchemy.orm import Session

from cspine.database import now
from cspine.tables import Attempt, Screening

HOUR, DAY = 3600, 86400  # seconds
HOUR_BARS, DAY_BARS, WEEK_BARS = 12, 24, 7  # how many bars a window has
FIVE_MINUTES = HOUR // HOUR_BARS


@dataclass(frozen=True)
class Trend:
    """Failed attempts, the oldest first: of the last hour by five minutes, of the day by hours, of the week by days."""

    hour: tuple[int, ...] = (0,) * HOUR_BARS
    day: tuple[int, ...] = (0,) * DAY_BARS
    week: tuple[int, ...] = (0,) * WEEK_BARS

    @property
    def last_hour(self) -> int:
        """How many there were within the last hour."""
        return sum(self.hour)

    @property
    def last_day(self) -> int:
        """How many there were within the last 24 hours."""
        return sum(self.day)

    @property
    def last_week(self) -> int:
        """How many there were within the last seven days."""
        return sum(self.week)


def of(session: Session, fingerprints: Sequence[str]) -> dict[str, Trend]:
    """Return the trends of some fingerprints; one that did not occur within the week is left out.

    One query counts by bars that grow with age: five minutes within the hour, an hour within the day, then a day. The
    finer bars then add up to the first of the coarser.
    """
    moment = int(now(session).timestamp())
    age = literal(moment, BigInteger) - cast(extract("epoch", Attempt.ended_at), BigInteger)
    seconds = case((age < 0, 0), else_=age)  # a clock that was set back has left some in the future
    bar = case((seconds < HOUR, seconds // FIVE_MINUTES), (seconds < DAY, HOUR_BARS + seconds // HOUR),
               else_=HOUR_BARS + DAY_BARS + seconds // DAY).label("bar")  # fmt: skip
    begin = now(session) - timedelta(days=WEEK_BARS)
    query = (
        select(Attempt.fingerprint, bar, func.count())
        .join(Screening, Screening.id == Attempt.screening_id)
        .where(Attempt.fingerprint.in_(fingerprints), Attempt.ended_at > begin, Screening.shadow.is_(False))
        .group_by(Attempt.fingerprint, bar)
    )
    counted: dict[str, dict[int, int]] = {}
    for fingerprint, number, count in session.execute(query):
        counted.setdefault(fingerprint, {})[int(number)] = count
    return {fingerprint: _trend(bars) for fingerprint, bars in counted.items()}


def _trend(bars: dict[int, int]) -> Trend:
    hour = [bars.get(number, 0) for number in range(HOUR_BARS)]
    day = [bars.get(HOUR_BARS + number, 0) for number in range(DAY_BARS)]
    week = [bars.get(HOUR_BARS + DAY_BARS + number, 0) for number in range(WEEK_BARS)]
    day[0] += sum(hour)
    week[0] += sum(day)
    return Trend(*(tuple(reversed(one)) for one in (hour, day, week)))
