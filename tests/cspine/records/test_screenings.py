"""Restarting: fresh, once, by whoever comes first, and only what has not moved since it was looked at."""

from datetime import timedelta

import pytest

from cspine.database import Database
from cspine.records import screenings
from cspine.states import Disposition, State
from cspine.tables import ReceivedFile, Screening, Study
from tests.cspine.records import crowd, makers

pytestmark = pytest.mark.services


def shown(session: object, study: Study) -> Screening:
    found = screenings.shown(session, study.id)  # type: ignore[arg-type]
    assert found
    return found


@pytest.mark.parametrize("state", [State.FAILED, State.QUARANTINED, State.CANCELLED])
def test_a_restart_is_fresh_and_once(database: Database, state: State) -> None:
    with database.write() as session:
        (study,) = crowd.failed(session, makers.batch(session), state=state)
        row = shown(session, study)
        row.tries, row.lone_attempts = 3, 2
        session.flush()
        ring = screenings.restart(session, row.id)
        assert ring
        assert ring.screening_id == row.id
        assert screenings.restart(session, row.id) is None
        session.refresh(row)
        assert (row.state, row.tries, row.lone_attempts, row.reason) == (State.RECEIVED, 0, 0, None)
        assert (row.group_id is not None) == (state == State.QUARANTINED)  # it runs alone


def test_what_has_moved_since_it_was_looked_at_is_left_alone(database: Database) -> None:
    with database.write() as session:
        one, two = (shown(session, study) for study in crowd.failed(session, makers.batch(session), 2))
        seen = {one.id: one.changed_at, two.id: two.changed_at - timedelta(microseconds=1)}
        assert [sent.ring.screening_id for sent in screenings.restart_many(session, seen, tries=5)] == [one.id]
        session.refresh(one)
        assert (one.state, one.tries) == (State.RECEIVED, 5)
        assert screenings.restart_many(session, {}) == []


def test_what_is_in_work_or_done_is_no_matter_for_a_retry(database: Database) -> None:
    with database.write() as session:
        own = makers.batch(session)
        for state in set(State) - {State.FAILED, State.QUARANTINED, State.CANCELLED}:
            assert screenings.restart(session, shown(session, makers.study(session, own, state)).id) is None


def test_rejected_files_are_decoded_anew(database: Database) -> None:
    with database.write() as session:
        own = makers.batch(session)
        (study,) = crowd.failed(session, own)
        broken = makers.file(session, own, study, disposition=Disposition.REJECTED, reason="truncated", decoded=True)
        sound = makers.file(session, own, study, decoded=True)
        screenings.restart(session, shown(session, study).id)
        session.refresh(broken)
        session.refresh(sound)
        assert (broken.disposition, broken.reason, broken.decoded) == ("accepted", None, False)
        assert sound.decoded


def test_missing_pictures_are_made_anew_from_all_files(database: Database) -> None:
    with database.write() as session:
        own = makers.batch(session)
        missing, other = crowd.failed(session, own, reason="blob_missing"), crowd.failed(session, own)
        session.query(ReceivedFile).update({"decoded": True})
        rows = [shown(session, study) for study in (*missing, *other)]
        screenings.restart_many(session, {row.id: None for row in rows})
        session.expire_all()
        decoded = {file.study_id: file.decoded for file in session.query(ReceivedFile)}
        assert decoded == {missing[0].id: False, other[0].id: True}


def test_a_retried_study_is_on_the_unread_list_again(database: Database) -> None:
    with database.write() as session:
        (study,) = crowd.failed(session, makers.batch(session), read_at=makers.NIGHT, read_by="ana")
        screenings.restart(session, shown(session, study).id)
        session.refresh(study)
        assert (study.read_at, study.read_by) == (None, None)


def test_cancelling_spares_what_is_done_and_ends_what_runs(database: Database) -> None:
    with database.write() as session:
        own = makers.batch(session)
        done, held = (makers.study(session, own, state) for state in (State.DONE, State.SCREENING))
        attempt = makers.attempt(session, shown(session, held), outcome="running")
        ids = [shown(session, study).id for study in (done, held)]
        assert screenings.cancel(session, ids, "cancelled") == [held.id]
        session.refresh(attempt)
        assert attempt.outcome == "superseded"
        assert shown(session, done).state == State.DONE
