"""Deadlines: the next time that the site's clock shows, over midnight and clock changes."""

from datetime import UTC, datetime

import pytest

from cspine.deadline import parse
from cspine.errors import Usage

VIENNA = "Europe/Vienna"


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("text", "now", "deadline"),
    [
        ("07:00", utc(2026, 1, 5, 19), utc(2026, 1, 6, 6)),  # tomorrow, by winter time
        ("7:00", utc(2026, 1, 5, 5, 59), utc(2026, 1, 5, 6)),  # in a minute
        ("07:00", utc(2026, 1, 5, 6), utc(2026, 1, 6, 6)),  # now is not the next one
        ("00:30", utc(2026, 1, 5, 23), utc(2026, 1, 5, 23, 30)),  # already tomorrow at the site
        ("07:00", utc(2026, 3, 28, 20), utc(2026, 3, 29, 5)),  # the clock is set forward in this night
        ("02:30", utc(2026, 3, 28, 20), utc(2026, 3, 29, 1, 30)),  # a time that the clock skips
        ("02:30", utc(2026, 10, 24, 20), utc(2026, 10, 25, 0, 30)),  # a time that it shows twice
        ("2026-01-06T07:00", utc(2026, 1, 5), utc(2026, 1, 6, 6)),
        ("2026-01-06 07:00", utc(2026, 1, 5), utc(2026, 1, 6, 6)),
        ("2026-01-06T07:00:00+00:00", utc(2026, 1, 5), utc(2026, 1, 6, 7)),
        (" 2026-01-06T07:00Z ", utc(2026, 1, 5), utc(2026, 1, 6, 7)),
    ],
)
def test_a_deadline_is_read_by_the_sites_clock(text: str, now: datetime, deadline: datetime) -> None:
    assert parse(text, VIENNA, now) == deadline


@pytest.mark.parametrize(
    "text",
    ["", "7", "24:00", "12:60", "07:00pm", "2026-01-06", "20260106", "tomorrow", "2026-13-01T07:00", "07:00:00",
     "0001-01-01T00:00", "9999-12-31T23:59-12:00", "2025-12-31T07:00"],
)  # fmt: skip
def test_what_is_no_deadline_or_has_passed_is_refused(text: str) -> None:
    with pytest.raises(Usage):
        parse(text, VIENNA, utc(2026, 1, 5))
