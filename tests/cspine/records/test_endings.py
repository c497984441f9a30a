"""Endings: results only for what was still held, failures decided one by one, each attempt ended once."""

import pytest

from cspine import failure
from cspine.database import Database
from cspine.errors import Permanent, Retriable, ServiceFault
from cspine.reasons import Reason
from cspine.records import endings, freeing, screenings
from cspine.records.claims import Held
from cspine.settings import Settings
from cspine.states import ErrorKind, Stage, State
from cspine.tables import Claim, Study, new_id
from tests.cspine.records import work

pytestmark = pytest.mark.services


def settle(
    database: Database, settings: Settings, held: Held, errors: dict[int, BaseException] | None = None
) -> list[int]:
    failures = {id_: failure.of_error(error, held.stage) for id_, error in (errors or {}).items()}
    with database.write() as session:
        return [member.screening_id for member in endings.settle(session, held, settings, failures).succeeded]


def test_prepared_becomes_ready_and_screened_becomes_done(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1, State.RECEIVED, reason="worker_crash", lone_attempts=2, group_id=new_id())
    assert settle(database, settings, work.take(database, settings, only, Stage.PREPARE)) == [only]
    ready = work.row(database, only)
    assert (ready.state, ready.claim_id, ready.lone_attempts, ready.reason) == (State.READY, None, 0, None)
    assert ready.group_id is not None, "a retried quarantined study runs alone in both stages"
    assert settle(database, settings, work.take(database, settings, only)) == [only]
    done = work.row(database, only)
    assert (done.state, done.group_id) == (State.DONE, None)
    assert work.outcomes(database, only) == ["done", "done"]


def test_settling_twice_writes_once(database: Database, settings: Settings) -> None:
    """A commit whose answer was lost is tried again, and finds that it was done."""
    ids = work.make(database, 3)
    held = work.take(database, settings, ids)
    assert settle(database, settings, held) == ids
    assert settle(database, settings, held) == []
    assert [work.outcomes(database, id_) for id_ in ids] == [["done"]] * 3


def test_a_worker_that_lost_its_lease_writes_nothing(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1)
    frozen = work.take(database, settings, only)
    with database.write() as session:
        session.get_one(Claim, frozen.claim_id).expires_at = session.get_one(Claim, frozen.claim_id).started_at
    with database.write() as session:
        assert freeing.expire(session, frozen.claim_id, settings)
    second = work.take(database, settings, only)
    assert settle(database, settings, frozen) == []
    assert work.row(database, only).claim_id == second.claim_id
    assert settle(database, settings, second) == [only]
    assert work.outcomes(database, only) == ["expired", "done"]


def test_the_others_go_on_when_one_was_cancelled_or_changed(database: Database, settings: Settings) -> None:
    ids = work.make(database, 3)
    held = work.take(database, settings, ids)
    with database.write() as session:
        screenings.cancel(session, [ids[0]], "cancelled")
        screenings.begin(session, session.get_one(Study, held.members[1].study_id), "normal")
    assert settle(database, settings, held) == [ids[2]]
    assert [work.row(database, id_).state for id_ in ids] == [State.CANCELLED, State.RECEIVED, State.DONE]
    assert [work.outcomes(database, id_) for id_ in ids] == [["superseded"], ["superseded"], ["done"]]


def test_one_fails_and_its_company_is_done(database: Database, settings: Settings) -> None:
    ids = work.make(database, 3)
    held = work.take(database, settings, ids)
    error = Permanent("no such blob", Reason.BLOB_MISSING)
    assert settle(database, settings, held, {ids[1]: error}) == [ids[0], ids[2]]
    failed = work.row(database, ids[1])
    assert (failed.state, failed.reason, failed.error_kind) == (State.FAILED, "blob_missing", "permanent")
    assert failed.fingerprint == work.attempts(database, ids[1])[0].fingerprint
    with database.read() as session:
        study = session.get_one(Study, failed.study_id)
        assert "failed" in study.reason.lower(), "the triage list says it in the same transaction"


def test_a_passing_error_waits_and_is_given_up_after_max_tries(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1)
    for tries in range(1, settings.max_tries + 1):
        settle(database, settings, work.take(database, settings, only), {only: Retriable("later", Reason.TIMED_OUT)})
        waiting = work.row(database, only)
        assert waiting.tries == tries
        if tries < settings.max_tries:
            assert waiting.state == State.WAITING
            assert waiting.next_try_at is not None
            work.set_state(database, only, State.READY)
    assert work.row(database, only).state == State.FAILED
    assert work.outcomes(database, only) == ["failed"] * settings.max_tries


def test_a_fault_of_a_service_is_nobodys_try(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1)
    for _ in range(settings.max_tries + 2):
        settle(database, settings, work.take(database, settings, only), {only: ServiceFault("S3")})
        assert (work.row(database, only).state, work.row(database, only).tries) == (State.WAITING, 0)
        work.set_state(database, only, State.READY)


def test_an_unnamed_error_keeps_its_place_and_no_foreign_words(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1, State.RECEIVED)
    held = work.take(database, settings, only, Stage.PREPARE)
    try:
        raise ValueError("could not convert 'DOE^JANE'")
    except ValueError as error:
        settle(database, settings, held, {only: error})
    attempt = work.attempts(database, only)[0]
    assert attempt.error_kind == ErrorKind.UNKNOWN
    assert attempt.place == (
        "tests/cspine/records/test_endings.py:test_an_unnamed_error_keeps_its_place_and_no_foreign_words"
    )
    assert attempt.traceback is not None
    assert "builtins.ValueError" in attempt.traceback
    assert "JANE" not in attempt.traceback.replace("raise ValueError(\"could not convert 'DOE^JANE'\")", "")
