"""The failures page: groups, tracebacks for admins only, and sending work back."""

import pytest
from flask import Flask
from sqlalchemy import select

from cspine.database import Database
from cspine.queue import Bell
from cspine.records import screenings
from cspine.records.screenings import Ring
from cspine.states import Lane, Outcome, Stage, State
from cspine.tables import Audit, Screening
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
            study = makers.study(session, batch, state, station="ROOM 3")
            screening = screenings.shown(session, study.id)
            assert screening
            screening.fingerprint, screening.reason, screening.error_kind = fingerprint, reason, "permanent"
            makers.attempt(session, screening, outcome=Outcome.FAILED, fingerprint=fingerprint, reason=reason,
                           place="worker/screen.py:answer", traceback="Traceback: secret line",
                           release_id=release.id)  # fmt: skip
            ids[name] = study.id
        return ids


def states(database: Database) -> dict[str, str]:
    with database.read() as session:
        return {row.study_id: row.state for row in session.scalars(select(Screening))}


def test_groups_with_their_reason_in_words(reader: Browser, failed: dict[str, str]) -> None:
    text = reader.get("/failures").text
    assert "The network gave a value that is not a finite number; it is no answer." in text
    assert "This study repeatedly killed its worker; it is set aside until a person retries it." in text
    for words in ("aaaa1111", "permanent", "ROOM 3", "demo 1", "worker/screen.py:answer", "Try all 2 again"):
        assert words in text, words
    assert text.index("aaaa1111") < text.index("bbbb2222")


def test_tracebacks_are_for_admins(reader: Browser, admin: Browser, failed: dict[str, str]) -> None:
    assert "secret line" not in reader.get("/failures").text
    assert "secret line" in admin.get("/failures").text


def test_retry_of_a_group_leaves_the_others(reader: Browser, failed: dict[str, str], database: Database) -> None:
    answer = reader.post("/failures/aaaa1111/retry")
    assert (answer.status_code, answer.location) == (303, "/failures")
    now = states(database)
    assert [now[failed[name]] for name in ("one", "two", "poison")] == ["received", "received", "quarantined"]
    text = reader.get("/failures").text
    assert "2 studies are sent back to work." in text
    assert "aaaa1111" not in text
    with database.read() as session:
        assert session.scalars(select(Audit.actor).where(Audit.action == "retry")).all() == ["rita"]


def test_a_double_click_is_a_no_op(reader: Browser, failed: dict[str, str], database: Database) -> None:
    reader.post("/failures/aaaa1111/retry")
    reader.get("/failures")
    reader.post("/failures/aaaa1111/retry")
    assert "Nothing to send back" in reader.get("/failures").text
    with database.read() as session:
        assert len(session.scalars(select(Audit).where(Audit.action == "retry")).all()) == 1


def test_retry_of_one_study_and_of_a_batch(reader: Browser, failed: dict[str, str], database: Database) -> None:
    back = f"/studies/{failed['poison']}"
    answer = reader.post(f"{back}/retry", {"back": back})
    assert (answer.status_code, answer.location) == (303, back)
    assert states(database)[failed["poison"]] == "received"
    reader.post(f"/batches/{failed['batch']}/retry", {"back": f"/batches/{failed['batch']}"})
    assert set(states(database).values()) == {"received"}


def test_the_bell_is_rung_and_a_missing_broker_is_said(app: Flask, reader: Browser, failed: dict[str, str],
                                                       monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    rung: list[tuple[Stage, str, list[int]]] = []
    reader.post(f"/studies/{failed['one']}/retry")
    if not app.extensions["cspine"].settings.redis_url:
        assert "The message broker does not answer; work waits" in reader.get("/failures").text
    monkeypatch.setattr(Bell, "ring", lambda self, stage, lane, ids: rung.append((stage, lane, list(ids))))
    reader.post(f"/studies/{failed['two']}/retry")
    assert [(stage, lane) for stage, lane, _ in rung] == [(Stage.PREPARE, Lane.NORMAL)]
    assert Ring(Stage.PREPARE, "normal", rung[0][2][0])


def test_unknown_ids(reader: Browser, failed: dict[str, str]) -> None:
    assert reader.post("/studies/nothing/retry").status_code == 404
    assert reader.post("/batches/nothing/retry").status_code == 404
    assert reader.post("/failures/nothing/retry").status_code == 303


def test_nothing_has_failed(reader: Browser) -> None:
    assert "Nothing has failed" in reader.get("/failures").text
