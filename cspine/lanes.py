"""Lanes: in which order a worker looks at them, and when each may be worked on. Pure: nothing here asks a database.

Of ten claims a worker makes seven look at `urgent` first, two at `normal` and one at `overnight`, so that urgent work
overtakes and nothing starves. Where the lane whose turn it is has nothing, the most urgent one that has takes the turn.
"""

from collections.abc import Collection
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cspine.settings import Settings
from cspine.states import Lane

U, N, O = Lane.URGENT, Lane.NORMAL, Lane.OVERNIGHT  # noqa: E741  # as the row below shows them
TURNS = (U, U, N, U, U, O, U, N, U, U)


def order(turn: int, lanes: Collection[Lane] = tuple(Lane)) -> tuple[Lane, ...]:
    """Return those of the lanes in the order in which the claim of this number looks at them."""
    own = TURNS[turn % len(TURNS)]
    return tuple(sorted(lanes, key=lambda lane: (lane is not own, list(Lane).index(lane))))


def open_lanes(moment: datetime, settings: Settings, paused: Collection[str] = ()) -> tuple[Lane, ...]:
    """Return the lanes from which work may be claimed at a moment, the most urgent first; `paused` names lanes."""
    closed = set(paused)
    span = window(moment, settings)
    if span is not None and moment < span[0]:
        closed.add(Lane.OVERNIGHT)
    return tuple(lane for lane in Lane if lane not in closed)


def window(moment: datetime, settings: Settings) -> tuple[datetime, datetime] | None:
    """Return the overnight window that is open at a moment, else the next one, in UTC; null where it is always open.

    Begin and end are times of the site's clock, so that a window is an hour shorter or longer in the night in which
    that clock is set. A time that the clock shows twice is its first, and one that it skips is as much later.
    """
    if not settings.overnight_window:
        return None
    zone = ZoneInfo(settings.site_timezone)
    begins, ends = (time.fromisoformat(text) for text in settings.overnight_window.split("-"))
    today = moment.astimezone(zone).date()
    for days in (-1, 0, 1, 2):
        day = today + timedelta(days=days)
        last = day if ends > begins else day + timedelta(days=1)
        begin = datetime.combine(day, begins, zone).astimezone(UTC)
        end = datetime.combine(last, ends, zone).astimezone(UTC)
        if begin < end and moment < end:
            return begin, end
    raise AssertionError("a window opens every day")


def next_opening(lane: Lane, moment: datetime, settings: Settings) -> datetime | None:
    """Return when the window of a lane opens that is closed at a moment; null where it is open."""
    span = window(moment, settings) if lane is Lane.OVERNIGHT else None
    return span[0] if span is not None and moment < span[0] else None
