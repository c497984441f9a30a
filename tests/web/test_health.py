"""`/healthz` and `/readyz`: open to monitors, and without a word about patients."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import update

from cspine.blobs import BlobStore
from cspine.database import Database, now
from cspine.queue import Bell
from cspine.records import heartbeats, releases
from cspine.states import Outcome, State
from cspine.tables import Heartbeat, Screening
from tests.cspine.records import makers
from tests.web.conftest import Browser
from web.health import checks

pytestmark = pytest.mark.services


@pytest.fixture(autouse=True)
def _broker_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bell, "alive", lambda self: True)
    monkeypatch.setattr(checks, "_verified", {})


@pytest.fixture
def alive(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every process be alive and a sound release be active."""
    monkeypatch.setattr(checks.release_store, "fetch", lambda blobs, identity, cache: cache)
    with database.write() as session:
        for kind in ("sweep", "prepare", "screen"):
            heartbeats.beat(session, f"host:{kind}:1", kind)
        makers.release(session)


def failing(browser: Browser) -> dict[str, dict[str, str]]:
    """Return the checks that say no."""
    answer = browser.get("/readyz")
    assert answer.json
    bad = {name: check for name, check in answer.json["checks"].items() if not check["ready"]}
    assert answer.status_code == (503 if bad else 200)
    assert answer.json["ready"] is not bad
    return bad


def test_healthz_says_that_the_process_lives(stranger: Browser) -> None:
    answer = stranger.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_ready_when_everything_is(stranger: Browser, alive: None) -> None:
    assert failing(stranger) == {}


def test_an_empty_installation_is_not_ready_and_says_why(stranger: Browser) -> None:
    bad = failing(stranger)
    assert set(bad) == {"sweep", "prepare", "screen", "release"}
    assert bad["release"]["reason"] == "no_release"


def test_the_broker(stranger: Browser, alive: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bell, "alive", lambda self: False)
    assert failing(stranger) == {"broker": {"ready": False, "reason": "broker_unavailable"}}


def test_the_database(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database("sqlite+pysqlite:////nowhere/at/all.db")
    own = app.extensions["cspine"]
    app.extensions["cspine"] = type(own)(own.settings, database, own.blobs, own.bell)
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json
    assert answer.json["checks"]["database"] == {"ready": False, "reason": "database_unavailable"}
    own.database.dispose()


@pytest.mark.parametrize(("kind", "seconds"), [("sweep", 61), ("prepare", 31), ("screen", 31)])
def test_a_process_that_was_silent_too_long(stranger: Browser, alive: None, database: Database, kind: str,
                                            seconds: int) -> None:  # fmt: skip
    with database.write() as session:
        late = now(session) - timedelta(seconds=seconds)
        session.execute(update(Heartbeat).where(Heartbeat.kind == kind).values(at=late))
    assert set(failing(stranger)) == {kind}


def test_a_worker_that_says_what_keeps_it_from_working(stranger: Browser, alive: None, database: Database) -> None:
    with database.write() as session:
        heartbeats.beat(session, "host:screen:1", "screen",
                        {"fault": "broken_release", "detail": "model.keras is missing"})  # fmt: skip
    assert failing(stranger) == {
        "worker": {"ready": False, "reason": "broken_release", "detail": "model.keras is missing"}
    }


def test_a_step_of_the_sweep_that_breaks(stranger: Browser, alive: None, database: Database) -> None:
    with database.write() as session:
        heartbeats.beat(session, "host:sweep:1", "sweep", {"steps": {"leases": "KeyError at worker/steps.py:leases"}})
    assert failing(stranger) == {"sweep_steps": {
        "ready": False, "detail": "not done in the last pass: leases (KeyError at worker/steps.py:leases)"
    }}  # fmt: skip
    with database.write() as session:
        heartbeats.beat(session, "host:sweep:1", "sweep", {"outage": "2026-11-30T10:00:00+00:00"})
    assert failing(stranger) == {}


def test_a_beat_from_the_future_is_no_sign_of_life(stranger: Browser, alive: None, database: Database) -> None:
    """The clock was set back an hour since: a worker that died then must not look alive for an hour."""
    with database.write() as session:
        ahead = now(session) + timedelta(hours=1)
        session.execute(update(Heartbeat).where(Heartbeat.kind == "prepare").values(at=ahead))
    assert set(failing(stranger)) == {"prepare"}


def test_work_that_is_due_and_does_not_move(stranger: Browser, alive: None, database: Database) -> None:
    with database.write() as session:
        study = makers.study(session, makers.batch(session), State.READY)  # since long ago
        assert study
    assert set(failing(stranger)) == {"work"}
    with database.write() as session:
        screening = makers.study(session, makers.batch(session, name="other"))
        done = session.query(Screening).filter_by(study_id=screening.id).one()
        makers.attempt(session, done, outcome=Outcome.DONE, ended_at=now(session))
    assert failing(stranger) == {}


def test_work_that_has_just_come_is_no_fault(stranger: Browser, alive: None, database: Database) -> None:
    with database.write() as session:
        makers.study(session, makers.batch(session), State.READY)
        session.execute(update(Screening).values(changed_at=now(session)))
    assert failing(stranger) == {}


def test_a_broken_release_names_the_file(stranger: Browser, database: Database, blobs: BlobStore) -> None:
    identity = "ab" * 32
    for name, text in (("SHA256SUMS", f"{'0' * 64}  model.keras\n"), ("model.keras", "not what it was")):
        blobs.put_bytes(text.encode(), key=f"releases/{identity}/{name}")
    with database.write() as session:
        release = makers.release(session, identity=identity, active=False)
        releases.activate(session, release)
    bad = failing(stranger)["release"]
    assert bad["reason"] == "broken_release"
    assert "model.keras" in bad["detail"]
