"""Deadlines as people write them: a time of the site's clock, or a day with a time. Pure."""

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cspine.errors import Usage

CLOCK = re.compile(r"\d{1,2}:\d{2}")
HELP = "a deadline is a time such as 07:00, or a day and a time such as 2026-12-01T07:00"


def parse(text: str, zone_name: str, now: datetime) -> datetime:
    """Return the deadline in UTC.

    A time by itself is the next one that the site's clock shows; a time without an offset is the site's. One that the
    clock skips when it is set is as much later, one that it shows twice is the first. Raises `Usage` where the text is
    neither, or the deadline has passed.
    """
    text, zone = text.strip(), ZoneInfo(zone_name)
    if CLOCK.fullmatch(text):
        return _next(text, zone, now)
    try:
        deadline = datetime.fromisoformat(text)
    except ValueError as error:
        raise Usage(HELP) from error
    if ":" not in text:  # a day by itself would be its first minute, which nobody means
        raise Usage(HELP)
    try:
        deadline = (deadline if deadline.tzinfo else deadline.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError as error:
        raise Usage(HELP) from error
    if deadline <= now:
        raise Usage("this deadline has passed already")
    return deadline


def _next(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    hours, minutes = map(int, text.split(":"))
    if hours > 23 or minutes > 59:
        raise Usage(HELP)
    today = now.astimezone(zone).date()
    for days in (0, 1):
        moment = datetime.combine(today + timedelta(days=days), time(hours, minutes), zone).astimezone(UTC)
        if moment > now:
            return moment
    raise AssertionError("tomorrow's time lies ahead")
