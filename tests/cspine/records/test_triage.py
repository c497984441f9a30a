"""The pages of the triage list: order, keys, counts, overdue, the row of unreadable files."""

import base64
from datetime import timedelta

import pytest

from cspine.database import Database
from cspine.errors import Usage
from cspine.records import batches, triage
from cspine.settings import Settings
from cspine.triage import Bucket
from tests.cspine.records import makers

pytestmark = pytest.mark.services
MORNING = makers.NIGHT + timedelta(hours=5)
LATE = makers.NIGHT + timedelta(hours=24, minutes=7)


@pytest.fixture
def names(database: Database) -> dict[str, str]:
    """Make a night: id of each study -> what it is."""
    plan = [
        ("normal low", "normal", 0.1, 0), ("normal high", "normal", 0.3, 1), ("fracture", "positive", 0.8, 2),
        ("worst", "positive", 0.99, 3), ("failed late", "not_analysed", 0.0, 9),
        ("failed early", "not_analysed", 0.0, 4), ("tie early", "positive", 0.7, 5), ("tie late", "positive", 0.7, 6),
    ]  # fmt: skip
    with database.write() as session:
        own = makers.batch(session)
        made = {
            makers.study(session, own, bucket=bucket, urgency=urgency, minutes=minutes, reason="Because").id: name
            for name, bucket, urgency, minutes in plan
        }
        batches.note_unreadable(session, own.id, 2)
        own.unreadable_since = makers.NIGHT + timedelta(minutes=7)
    return made


def read(
    database: Database, settings: Settings, names: dict[str, str], moment: object = MORNING, **how: object
) -> list[str]:
    """Walk over all pages and name the rows."""
    rows, cursor = [], None
    while True:
        with database.read() as session:
            page = triage.page(session, settings, moment, after=cursor, **how)  # type: ignore[arg-type]
        rows += [names[row.study.id] if row.study else row.reason for row in page.rows]
        cursor = page.next
        if cursor is None:
            return rows


ORDER = ["worst", "fracture", "tie early", "tie late", "failed early", "2 files of batch night could not be read",
         "failed late", "normal high", "normal low"]  # fmt: skip


def cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "1", "[" * 100_000, '[1, "normal"]',
        '[1e300, "normal", 0.1, "2026-03-01T02:00:00+00:00", "x"]',
        '[-6e10, "normal", 0.1, "2026-03-01T02:00:00+00:00", "x"]',
        '[2e11, "normal", 0.1, "2026-03-01T02:00:00+00:00", "x"]',
        '[NaN, "normal", 0.1, "2026-03-01T02:00:00+00:00", "x"]',
        '[1772330400, "normal", NaN, "2026-03-01T02:00:00+00:00", "x"]',
        '[1772330400, "normal", 0.1, "2026-03-01T02:00:00", "x"]',
        '[1772330400, "normal", 0.1, "0001-01-01T00:00:00+23:59", "x"]',
        '[1772330400, "normal", 0.1, "9999-12-31T23:59:59-23:59", "x"]',
        '[1772330400, "normal", 0.1, 7, "x"]',
        '[1772330400, "normal", 0.1, "2026-03-01T02:00:00+00:00", "\\u0000"]',
    ],
)  # fmt: skip
def test_what_is_no_cursor_of_ours_is_refused(database: Database, settings: Settings, text: str) -> None:
    with pytest.raises(Usage), database.read() as session:
        triage.page(session, settings, MORNING, after=cursor(text) or "=")


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_order_is_the_same_in_pages_of_any_size(database: Database, settings: Settings, names: dict[str, str],
                                                limit: int) -> None:  # fmt: skip
    assert read(database, settings, names, limit=limit) == ORDER


@pytest.mark.parametrize("limit", [1, 3, 50])
def test_overdue_first_and_positives_first_among_them(database: Database, settings: Settings, names: dict[str, str],
                                                      limit: int) -> None:  # fmt: skip
    assert read(database, settings, names, LATE, limit=limit) == [
        "worst", "fracture", "tie early", "tie late", "normal high", "normal low", "failed early",
        "2 files of batch night could not be read", "failed late",
    ]  # fmt: skip


def test_filter_by_bucket_and_counts(database: Database, settings: Settings, names: dict[str, str]) -> None:
    assert read(database, settings, names, bucket=Bucket.NOT_ANALYSED) == ORDER[4:7]
    with database.read() as session:
        page = triage.page(session, settings, MORNING, bucket=Bucket.NORMAL, limit=1)
    assert page.counts == {"overdue": 0, "positive": 4, "not_analysed": 3, "normal": 2}


def test_every_study_is_on_the_list_at_any_hour(database: Database, settings: Settings, names: dict[str, str]) -> None:
    for hour in range(30):
        moment = makers.NIGHT + timedelta(hours=hour)
        assert sorted(read(database, settings, names, moment, limit=4)) == sorted(ORDER)


def test_a_row_in_work_has_its_reason(database: Database, settings: Settings, names: dict[str, str]) -> None:
    with database.read() as session:
        page = triage.page(session, settings, LATE, limit=50)
    reasons = {names[row.study.id]: row.reason for row in page.rows if row.study}
    assert reasons["worst"] == "Unread for 24 h; because"
    assert reasons["failed late"] == "Because"


@pytest.mark.parametrize("cursor", ["x", "", "bnVsbA", "W10"])
def test_a_strange_cursor_is_refused(database: Database, settings: Settings, cursor: str) -> None:
    with database.read() as session:
        if cursor:
            with pytest.raises(Usage):
                triage.page(session, settings, MORNING, after=cursor)
        else:
            assert triage.page(session, settings, MORNING, after=cursor).rows == []
