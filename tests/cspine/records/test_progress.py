"""Whether the work moves."""

from datetime import timedelta

import pytest

from cspine.database import Database, now
from cspine.records import progress, screenings
from cspine.states import State
from tests.cspine.records import makers

pytestmark = pytest.mark.services


@pytest.mark.parametrize(
    ("state", "stalled"),
    [(State.RECEIVED, True), (State.READY, True), (State.DONE, False), (State.FAILED, False), (State.SCREENING, False)],
)
def test_work_that_has_been_due_for_long(database: Database, state: State, stalled: bool) -> None:
    with database.write() as session:
        makers.study(session, makers.batch(session), state)
        assert progress.stalled(session) is stalled


def test_a_retry_is_due_from_its_time_on(database: Database) -> None:
    with database.write() as session:
        study = makers.study(session, makers.batch(session), State.WAITING)
        screening = screenings.shown(session, study.id)
        assert screening
        screening.next_try_at = now(session) + timedelta(minutes=1)
        session.flush()
        assert not progress.stalled(session)
        screening.next_try_at = now(session) - timedelta(minutes=6)
        session.flush()
        assert progress.stalled(session)


def test_an_attempt_that_ended_lately_shows_that_it_moves(database: Database) -> None:
    with database.write() as session:
        study = makers.study(session, makers.batch(session), State.RECEIVED)
        screening = screenings.shown(session, study.id)
        assert screening
        attempt = makers.attempt(session, screening, ended_at=now(session) - timedelta(minutes=6))
        assert progress.stalled(session)
        attempt.ended_at = now(session)
        session.flush()
        assert not progress.stalled(session)


def test_a_shadow_may_wait_as_long_as_it_does(database: Database) -> None:
    with database.write() as session:
        study = makers.study(session, makers.batch(session), State.READY)
        screening = screenings.shown(session, study.id)
        assert screening
        screening.shadow = True
        session.flush()
        assert not progress.stalled(session)
