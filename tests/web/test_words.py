"""How the pages say things."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cspine.states import State
from cspine.tables import Release
from cspine.triage import Bucket
from web import words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0 s"), (45, "45 s"), (7 * 60, "7 min"), (3 * 3600 + 20 * 60, "3 h 20 min"), (3600, "1 h 00 min"),
     (52 * 3600, "2 d 4 h")],
)  # fmt: skip
def test_waiting_time(seconds: int, said: str) -> None:
    since = datetime(2026, 3, 1, tzinfo=UTC)
    assert words.waited(since, since + timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (None, ""), ("", ""), ("^^^^", ""), ("Doe^Jane", "Doe, Jane"),
        ("Doe^Jane^Mary^Dr^PhD", "Doe, Jane Mary, Dr, PhD"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou · 山田, 太郎 · やまだ, たろう"),
        ("Doe^Jane=Doe^Jane", "Doe, Jane"), ("Doe^^^^^^too^many", "Doe"), ("plain", "plain"),
    ],
)  # fmt: skip
def test_names_of_persons(stored: str | None, said: str) -> None:
    assert words.person_name(stored) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 KB"), (4 * 2**30, "4.3 GB"), (10**13, "10000.0 GB")],
)
def test_sizes(count: int, said: str) -> None:
    assert words.size(count) == said


def test_times_are_local_and_to_the_minute() -> None:
    shown = words.local(datetime(2026, 7, 1, 22, 30, 5, tzinfo=UTC), ZoneInfo("Europe/Berlin"))
    assert ">2026-07-02 00:30<" in shown
    assert 'title="2026-07-02 00:30:05 CEST"' in shown


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ({"temperature": 1.4}, "model output, temperature-scaled"),
        ({"temperature": 1.0}, "model output, uncalibrated"),
        ({"temperature": 1.0, "demo": True}, "model output, uncalibrated, demo release"),
        (None, "model output"),
    ],
)
def test_what_a_probability_is(card: dict[str, object] | None, said: str) -> None:
    assert words.said(Release(card=card) if card is not None else None) == said


def test_bars_stand_in_the_cards_order() -> None:
    card = {"labels": [{"name": "normal"}, {"name": "fracture"}]}
    assert words.bars({"fracture": 0.9, "other": 0.0, "normal": 0.1}, card) == [
        ("normal", 0.1), ("fracture", 0.9), ("other", 0.0)
    ]  # fmt: skip
    assert words.bars(None, card) == []


def test_every_state_and_bucket_has_words() -> None:
    assert set(words.STATES) == set(State)
    assert set(words.BUCKETS) == set(Bucket)
