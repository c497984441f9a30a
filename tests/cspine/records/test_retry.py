"""Retry, discard and cancel: each change once, whoever asks at the same moment."""

import pytest

from cspine.database import Database
from cspine.records import failures, retry, screenings
from cspine.states import Disposition, State
from cspine.tables import Audit, ReceivedFile, Study
from tests.cspine.records import makers

pytestmark = pytest.mark.services


def failed(
    session: object, own: object, state: State = State.FAILED, fingerprint: str = "f1", **values: object
) -> Study:
    study = makers.study(session, own, state, **values)  # type: ignore[arg-type]
    screening = screenings.shown(session, study.id)  # type: ignore[arg-type]
    assert screening
    screening.fingerprint, screening.reason, screening.error_kind = fingerprint, "corrupt", "permanent"
    screening.tries, screening.lone_attempts = 3, 2
    session.flush()  # type: ignore[attr-defined]
    return study


def test_retry_is_fresh_and_once(database: Database) -> None:
    with database.write() as session:
        study = failed(session, makers.batch(session), State.QUARANTINED)
        first = retry.retry(session, [study.id, study.id], "ana")
        second = retry.retry(session, [study.id], "bob")
        assert (first.selected, first.retried, len(first.rings)) == (1, 1, 1)
        assert (second.retried, second.skipped) == (0, [{"study": study.id, "reason": "is_received"}])
        row = screenings.shown(session, study.id)
        assert row
        session.refresh(row)
        assert (row.state, row.tries, row.lone_attempts, row.reason) == (State.RECEIVED, 0, 0, None)
        assert row.group_id is not None  # a retried quarantined study runs alone
        assert session.query(Audit).one().actor == "ana"


def test_dry_run_changes_nothing(database: Database) -> None:
    with database.write() as session:
        study = failed(session, makers.batch(session))
        done = retry.retry(session, [study.id], "ana", dry_run=True)
        assert done.as_dict() == {"selected": 1, "retried": 1, "skipped": [], "dry_run": True}
        row = screenings.shown(session, study.id)
        assert row
        assert row.state == State.FAILED


def test_rejected_files_are_decoded_anew(database: Database) -> None:
    with database.write() as session:
        own = makers.batch(session)
        study = failed(session, own)
        broken = makers.file(session, own, study, disposition=Disposition.REJECTED, reason="truncated", decoded=True)
        retry.retry(session, [study.id], "ana")
        session.refresh(broken)
        assert (broken.disposition, broken.reason, broken.decoded) == ("accepted", None, False)


def test_a_study_whose_files_are_gone_says_so(database: Database) -> None:
    with database.write() as session:
        study = failed(session, makers.batch(session))
        session.query(ReceivedFile).update({"blob_key": None})
        assert retry.retry(session, [study.id], "ana").skipped == [{"study": study.id, "reason": "blob_missing"}]
        assert retry.retry(session, ["nobody"], "ana").skipped == [{"study": "nobody", "reason": "unknown_study"}]


def test_select_by_group_batch_and_all_leaves_cancelled_alone(database: Database) -> None:
    with database.write() as session:
        night, other = makers.batch(session), makers.batch(session, "other")
        one, two = failed(session, night), failed(session, night, State.QUARANTINED, "f2")
        three = failed(session, other)
        failed(session, night, State.CANCELLED)
        makers.study(session, night, State.DONE)
        assert list(retry.select_studies(session, fingerprint="f1")) == [one.id, three.id]
        assert list(retry.select_studies(session, batch=night)) == [one.id, two.id]
        assert list(retry.select_studies(session, everything=True)) == [one.id, two.id, three.id]
        groups = failures.groups(session)
        assert [(group.fingerprint, group.count) for group in groups] == [("f1", 2), ("f2", 1)]
        assert set(groups[0].studies) == {one.id, three.id}


def test_discard_and_cancel_spare_what_is_done(database: Database) -> None:
    with database.write() as session:
        own = makers.batch(session)
        done, held, waiting = (
            makers.study(session, own, state) for state in (State.DONE, State.SCREENING, State.RECEIVED)
        )
        running = screenings.shown(session, held.id)
        assert running
        attempt = makers.attempt(session, running, outcome="running")
        assert retry.discard(session, [done.id, waiting.id], "twice", "ana") == [waiting.id]
        assert retry.cancel_batch(session, own, "ana") == [held.id]
        session.refresh(attempt)
        session.refresh(done)
        assert attempt.outcome == "superseded"
        assert screenings.shown(session, done.id).state == State.DONE  # type: ignore[union-attr]
        session.refresh(held)
        assert held.reason.startswith("Cancelled")


def test_a_report_laid_beside_a_study_gives_its_batch_no_say(database: Database) -> None:
    with database.write() as session:
        study = failed(session, makers.batch(session))
        later = makers.batch(session, "reports")
        makers.file(session, later, study, disposition=Disposition.NOT_AN_IMAGE, blob_key=None)
        assert retry.select_studies(session, batch=later) == []
        assert retry.cancel_batch(session, later, "ana") == []
        assert screenings.shown(session, study.id).state == State.FAILED  # type: ignore[union-attr]


def test_a_retried_study_is_on_the_unread_list_again(database: Database) -> None:
    with database.write() as session:
        study = failed(session, makers.batch(session), read_at=makers.NIGHT, read_by="ana")
        retry.retry(session, [study.id], "ana")
        session.refresh(study)
        assert (study.read_at, study.read_by) == (None, None)


def test_missing_pictures_are_made_anew_from_all_files(database: Database) -> None:
    with database.write() as session:
        study = failed(session, makers.batch(session))
        screening = screenings.shown(session, study.id)
        assert screening
        screening.reason = "blob_missing"
        own = session.query(ReceivedFile).one()
        own.decoded = True
        session.flush()
        retry.retry(session, [study.id], "ana")
        session.refresh(own)
        assert not own.decoded
