"""Lanes: turns that let nothing starve, and a window by the site's clock, over midnight and over its changes."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from cspine import lanes
from cspine.settings import Settings
from cspine.states import Lane

URGENT, NORMAL, OVERNIGHT = Lane


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def site(window: str, zone: str = "Europe/Vienna") -> Settings:
    return Settings().model_copy(update={"overnight_window": window, "site_timezone": zone})


def test_of_ten_turns_seven_two_and_one_and_no_lane_waits_long() -> None:
    firsts = [lanes.order(turn)[0] for turn in range(20)]
    assert Counter(firsts[:10]) == {URGENT: 7, NORMAL: 2, OVERNIGHT: 1}
    assert firsts[:10] == firsts[10:]
    assert all(URGENT in firsts[start : start + 2] for start in range(19))


def test_the_turn_of_a_lane_without_work_goes_to_the_most_urgent() -> None:
    assert lanes.order(lanes.TURNS.index(OVERNIGHT)) == (OVERNIGHT, URGENT, NORMAL)
    assert lanes.order(lanes.TURNS.index(NORMAL)) == (NORMAL, URGENT, OVERNIGHT)
    assert lanes.order(lanes.TURNS.index(OVERNIGHT), (NORMAL, URGENT)) == (URGENT, NORMAL)


@pytest.mark.parametrize(
    ("paused", "expected"),
    [((), (URGENT, NORMAL, OVERNIGHT)), (("normal",), (URGENT, OVERNIGHT)), ((NORMAL, URGENT), (OVERNIGHT,)),
     (tuple(Lane), ())],
)  # fmt: skip
def test_a_paused_lane_is_closed(paused: tuple[str, ...], expected: tuple[Lane, ...]) -> None:
    assert lanes.open_lanes(at("2026-03-01T12:00Z"), site(""), paused) == expected


@pytest.mark.parametrize(
    ("moment", "is_open", "opens"),
    [
        ("2026-01-10T21:59:59+01:00", False, "2026-01-10T22:00+01:00"),
        ("2026-01-10T22:00+01:00", True, None),
        ("2026-01-11T00:00+01:00", True, None),
        ("2026-01-11T05:59:59+01:00", True, None),
        ("2026-01-11T06:00+01:00", False, "2026-01-11T22:00+01:00"),
    ],
)
def test_a_window_over_midnight(moment: str, is_open: bool, opens: str | None) -> None:
    own = site("22:00-06:00")
    assert (OVERNIGHT in lanes.open_lanes(at(moment), own)) is is_open
    assert NORMAL in lanes.open_lanes(at(moment), own)
    assert lanes.next_opening(OVERNIGHT, at(moment), own) == (at(opens) if opens else None)
    assert lanes.next_opening(URGENT, at(moment), own) is None


def test_a_window_within_a_day() -> None:
    own = site("01:00-05:00", "Asia/Tokyo")
    assert lanes.window(at("2026-01-10T12:00+09:00"), own) == (
        at("2026-01-11T01:00+09:00"), at("2026-01-11T05:00+09:00")
    )  # fmt: skip
    assert lanes.next_opening(OVERNIGHT, at("2026-01-11T04:59+09:00"), own) is None


@pytest.mark.parametrize(
    ("moment", "begins", "ends", "hours"),
    [
        ("2026-03-29T00:30+01:00", "2026-03-28T22:00+01:00", "2026-03-29T06:00+02:00", 7),  # 02:00 becomes 03:00
        ("2026-10-25T00:30+02:00", "2026-10-24T22:00+02:00", "2026-10-25T06:00+01:00", 9),  # 03:00 becomes 02:00
    ],
)
def test_in_the_nights_in_which_the_clock_is_set(moment: str, begins: str, ends: str, hours: int) -> None:
    span = lanes.window(at(moment), site("22:00-06:00"))
    assert span == (at(begins), at(ends))
    assert span is not None
    assert span[1] - span[0] == timedelta(hours=hours)


def test_a_time_that_comes_twice_is_its_first_and_one_that_is_skipped_comes_later() -> None:
    twice = lanes.window(at("2026-10-24T23:00+02:00"), site("22:00-02:30"))
    assert twice == (at("2026-10-24T22:00+02:00"), at("2026-10-25T02:30+02:00"))
    assert lanes.next_opening(OVERNIGHT, at("2026-10-25T02:30+01:00"), site("22:00-02:30")) == at(
        "2026-10-25T22:00+01:00"
    )
    skipped = lanes.window(at("2026-03-29T01:00+01:00"), site("02:30-06:00"))
    assert skipped == (at("2026-03-29T03:30+02:00"), at("2026-03-29T06:00+02:00"))


def test_without_a_window_overnight_is_always_open() -> None:
    assert lanes.window(at("2026-01-10T12:00Z"), site("")) is None
    assert lanes.next_opening(OVERNIGHT, at("2026-01-10T12:00Z"), site("")) is None
