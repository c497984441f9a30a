"""The failures page: groups with their trend, the filter, the list study by study, tracebacks for admins only."""

import re
from datetime import UTC, datetime

import pytest

from cspine.database import Database
from cspine.records import screenings
from cspine.states import Outcome, State
from cspine.tables import Attempt
from tests.cspine.records import makers
from tests.web.conftest import Browser

pytestmark = pytest.mark.services


@pytest.fixture
def failed(database: Database) -> dict[str, str]:
    """Make two studies that failed alike and one that is quarantined; return ids by name."""
    with database.write() as session:
        batch = makers.batch(session)
        release = makers.release(session)
        ids = {"batch": batch.id}
        for name, state, fingerprint, reason in (
            ("one", State.FAILED, "aaaa1111", "not_a_number"),
            ("two", State.FAILED, "aaaa1111", "not_a_number"),
            ("poison", State.QUARANTINED, "bbbb2222", "poison"),
        ):
            study = makers.study(session, batch, state, station="ROOM 3" if name != "poison" else "ROOM <4>")
            screening = screenings.shown(session, study.id)
            assert screening
            screening.fingerprint, screening.reason, screening.error_kind = fingerprint, reason, "permanent"
            makers.attempt(session, screening, outcome=Outcome.FAILED, fingerprint=fingerprint, reason=reason,
                           place="worker/screen.py:answer", traceback="Traceback: secret line",
                           ended_at=makers.NIGHT, release_id=release.id)  # fmt: skip
            ids[name] = study.id
        return ids


def groups(browser: Browser, query: str = "") -> list[str]:
    """Return the fingerprints that the page shows, in order."""
    return re.findall(r"<dt>Group</dt><dd><code>([^<]*)<", browser.get(f"/failures{query}").text)


def test_groups_with_their_reason_in_words(reader: Browser, failed: dict[str, str]) -> None:
    text = reader.get("/failures").text
    assert "The network gave a value that is not a finite number; it is no answer." in text
    assert "This study repeatedly killed its worker; it is set aside until a person retries it." in text
    for words in ("permanent", "ROOM 3", "ROOM &lt;4&gt;", "demo 1", "worker/screen.py:answer", "Try all 2 again",
                  "Try it again", "3 studies in 2 groups", "(1 quarantined)"):  # fmt: skip
        assert words in text, words
    assert groups(reader) == ["aaaa1111", "bbbb2222"]


def test_the_trend_counts_failed_attempts_by_time(reader: Browser, failed: dict[str, str], database: Database) -> None:
    text = reader.get("/failures").text
    assert text.count("Failed attempts by the hour") == 2
    with database.write() as session:
        for row in session.query(Attempt).filter_by(fingerprint="aaaa1111"):
            row.started_at = row.ended_at = datetime.now(UTC)
    card = reader.get("/failures").text.split("aaaa1111")[0]
    assert re.findall(r'</svg><span class="number">(\d+)<', reader.get("/failures").text)[:3] == ["2", "2", "2"]
    assert "the oldest first: 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2" in reader.get("/failures").text
    assert card


def test_what_changed_since_is_said(reader: Browser, failed: dict[str, str]) -> None:
    assert "Changed since it failed last: cspine 0 -&gt; " in reader.get("/failures").text


def test_tracebacks_are_for_admins(reader: Browser, admin: Browser, failed: dict[str, str]) -> None:
    assert "secret line" not in reader.get("/failures").text
    assert "secret line" in admin.get("/failures").text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?reason=poison", ["bbbb2222"]), ("?state=failed", ["aaaa1111"]), ("?station=ROOM+3", ["aaaa1111"]),
        ("?kind=transient", []), ("?stage=screen", []), ("?since=1h", []), ("?fingerprint=bbbb2222", ["bbbb2222"]),
        ("?batch={batch}", ["aaaa1111", "bbbb2222"]), ("?batch=other", []),
        ("?reason=&state=", ["aaaa1111", "bbbb2222"]),
        ("?since=2026-02-28T23:00&reason=poison", ["bbbb2222"]),
    ],
)  # fmt: skip
def test_the_filter(reader: Browser, failed: dict[str, str], query: str, found: list[str]) -> None:
    assert groups(reader, query.format(**failed)) == found


def test_the_filter_keeps_what_was_asked_and_offers_what_occurs(reader: Browser, failed: dict[str, str]) -> None:
    text = reader.get("/failures?reason=poison&since=2020-01-01T00:00").text
    assert '<option value="poison" selected>poison</option>' in text
    assert '<option value="not_a_number">not a number</option>' in text
    assert '<option value="2020-01-01T00:00" selected>' in text
    assert '<option value="ROOM &lt;4&gt;">' in text
    assert f'<option value="{failed["batch"]}">night</option>' in text
    assert "1 study in 1 group that failed alike match" in text
    assert "Nothing that failed matches the filter" in reader.get("/failures?reason=corrupt").text


@pytest.mark.parametrize("query", ["?since=soon", "?since=0001-01-01T00:00%2B14:00",
                                   "?kind=odd", "?stage=x", "?state=done"])  # fmt: skip
def test_a_filter_that_is_none(reader: Browser, failed: dict[str, str], query: str) -> None:
    assert reader.get(f"/failures{query}").status_code == 400
    assert reader.get(f"/failures/studies{query}").status_code == 400


def test_the_list_filtered_to_a_group(reader: Browser, failed: dict[str, str]) -> None:
    assert 'href="/failures/studies?fingerprint=aaaa1111"' in reader.get("/failures").text
    text = reader.get("/failures/studies?fingerprint=aaaa1111").text
    assert text.count('name="study"') == 2
    assert failed["one"] in text
    assert failed["poison"] not in text
    assert "2 studies of group" in text
    assert "Try all 2 again" in text


def test_the_list_is_paged(reader: Browser, database: Database) -> None:
    with database.write() as session:
        batch = makers.batch(session)
        ids = [makers.study(session, batch, State.FAILED).id for _ in range(103)]
    first = reader.get("/failures/studies").text
    assert first.count('name="study"') == 100
    following = first.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    second = reader.get(following).text
    assert second.count('name="study"') == 3
    assert {one for one in ids if one in first} | {one for one in ids if one in second} == set(ids)
    assert reader.get("/failures/studies?after=x").status_code == 404


def test_nothing_has_failed(reader: Browser) -> None:
    text = reader.get("/failures").text
    assert "Nothing has failed" in text
    assert "<select" not in text
    assert "Nothing here." in reader.get("/failures/studies").text
