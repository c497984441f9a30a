"""Whether the work moves."""

from datetime import datetime, timedelta

import pytest

from cspine.database import Database, now
from cspine.records import pauses, progress, screenings
from cspine.settings import Settings
from cspine.states import Lane, State
from tests.cspine.records import makers, work

pytestmark = pytest.mark.services


@pytest.mark.parametrize(
    ("state", "stalled"),
    [(State.RECEIVED, True), (State.READY, True), (State.DONE, False), (State.FAILED, False), (State.SCREENING, False)],
)
def test_work_that_has_been_due_for_long(database: Database, settings: Settings, state: State, stalled: bool) -> None:
    with database.write() as session:
        makers.study(session, makers.batch(session), state)
        assert progress.stalled(session, settings) is stalled


def test_a_retry_is_due_from_its_time_on(database: Database, settings: Settings) -> None:
    with database.write() as session:
        study = makers.study(session, makers.batch(session), State.WAITING)
        screening = screenings.shown(session, study.id)
        assert screening
        screening.next_try_at = now(session) + timedelta(minutes=1)
        session.flush()
        assert not progress.stalled(session, settings)
        screening.next_try_at = now(session) - timedelta(minutes=6)
        session.flush()
        assert progress.stalled(session, settings)


def test_an_attempt_that_ended_lately_shows_that_it_moves(database: Database, settings: Settings) -> None:
    with database.write() as session:
        study = makers.study(session, makers.batch(session), State.RECEIVED)
        screening = screenings.shown(session, study.id)
        assert screening
        attempt = makers.attempt(session, screening, ended_at=now(session) - timedelta(minutes=6))
        assert progress.stalled(session, settings)
        attempt.ended_at = now(session)
        session.flush()
        assert not progress.stalled(session, settings)


def test_a_shadow_may_wait_as_long_as_it_does(database: Database, settings: Settings) -> None:
    with database.write() as session:
        study = makers.study(session, makers.batch(session), State.READY)
        screening = screenings.shown(session, study.id)
        assert screening
        screening.shadow = True
        session.flush()
        assert not progress.stalled(session, settings)


@pytest.mark.parametrize(("paused", "stalled"), [("normal", False), ("all", False), ("urgent", True)])
def test_what_is_paused_is_not_due(database: Database, settings: Settings, paused: str, stalled: bool) -> None:
    work.make(database, 1, State.RECEIVED)
    with database.write() as session:
        pauses.pause(session, paused, "the scanner is being moved", "rita")
        assert progress.stalled(session, settings) is stalled
        pauses.resume(session, paused, "rita")
        assert not progress.stalled(session, settings), "its workers have five minutes from here on"
        assert progress.stalled(session, settings, timedelta())


@pytest.mark.parametrize(("at", "stalled"), [("21:00", False), ("22:04", False), ("22:06", True), ("06:01", False)])
def test_overnight_is_due_within_its_window(database: Database, settings: Settings, at: str, stalled: bool,
                                            monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    work.make(database, 1, State.RECEIVED, lane=Lane.OVERNIGHT)
    own = settings.model_copy(update={"overnight_window": "22:00-06:00", "site_timezone": "UTC"})
    monkeypatch.setattr(progress, "now", lambda _session: datetime.fromisoformat(f"2026-03-02T{at}Z"))
    with database.read() as session:
        assert progress.stalled(session, own) is stalled
