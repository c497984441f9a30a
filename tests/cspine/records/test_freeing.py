"""Freeing: halves after a crash, a count for those alone, nothing for a worker that left in order."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from cspine.database import Database
from cspine.reasons import Reason
from cspine.records import endings, freeing, heartbeats, screenings
from cspine.records.screenings import Ring
from cspine.settings import Settings
from cspine.states import Stage, State
from cspine.tables import Claim, Heartbeat, Study
from tests.cspine.records import work

pytestmark = pytest.mark.services


def crash(database: Database, settings: Settings, claim_id: str) -> list[Ring]:
    with database.write() as session:
        return freeing.crash(session, claim_id, settings)


def test_a_poison_is_found_by_halves_and_its_neighbours_are_done(database: Database, settings: Settings) -> None:
    ids = work.make(database, 16)
    poison = ids[5]
    companies = []
    while held := work.screen(database, settings):
        if poison in work.members(held):
            companies.append(len(held.members))
            crash(database, settings, held.claim_id)
        else:
            with database.write() as session:
                assert len(endings.settle(session, held, settings).succeeded) == len(held.members)
    assert companies == [16, 8, 4, 2, 1, 1, 1]
    others = [id_ for id_ in ids if id_ != poison]
    assert work.states(database, others) == {State.DONE}
    assert {work.row(database, id_).lone_attempts for id_ in others} == {0}
    assert all(work.outcomes(database, id_)[-1] == "done" for id_ in others)
    quarantined = work.row(database, poison)
    assert (quarantined.state, quarantined.reason) == (State.QUARANTINED, "poison")
    assert quarantined.lone_attempts == settings.max_lone_attempts
    assert work.outcomes(database, poison) == ["crashed"] * 7
    with database.read() as session:
        assert session.get_one(Study, quarantined.study_id).bucket == "not_analysed"
        assert "quarantined" in session.get_one(Study, quarantined.study_id).reason.lower()


def test_a_file_that_kills_its_decoder_is_set_aside_by_that_name(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1, State.RECEIVED)
    for _ in range(settings.max_lone_attempts):
        crash(database, settings, work.take(database, settings, only, Stage.PREPARE).claim_id)
    assert work.row(database, only).reason == Reason.DECODER_CRASH
    assert work.row(database, only).state == State.QUARANTINED
    assert work.row(database, only).fingerprint


def test_alone_on_another_device_it_runs_on_the_processor_next(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1)
    assert work.take(database, settings, only, device="gpu:0").device == "gpu:0"
    crash(database, settings, work.row(database, only).claim_id or "")
    assert work.row(database, only).cpu_only
    assert work.take(database, settings, only, device="gpu:0").device == "cpu"


def test_what_is_left_of_a_company_is_not_counted_as_alone(database: Database, settings: Settings) -> None:
    ids = work.make(database, 2)
    held = work.take(database, settings, ids)
    work.set_state(database, ids[1], State.CANCELLED)
    assert [ring.screening_id for ring in crash(database, settings, held.claim_id)] == [ids[0]]
    assert work.row(database, ids[0]).lone_attempts == 0
    assert work.row(database, ids[1]).state == State.CANCELLED
    assert work.outcomes(database, ids[1]) == ["crashed"]


def test_freed_at_once_by_two_it_is_counted_once(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1)
    claim_id = work.take(database, settings, only).claim_id
    with ThreadPoolExecutor(4) as pool:
        rings = list(pool.map(lambda _: crash(database, settings, claim_id), range(4)))
    assert sorted(map(len, rings)) == [0, 0, 0, 1]
    assert work.row(database, only).lone_attempts == 1
    assert work.outcomes(database, only) == ["crashed"]


def test_handed_back_nothing_is_counted(database: Database, settings: Settings) -> None:
    ids = work.make(database, 3)
    claim_id = work.take(database, settings, ids).claim_id
    with database.write() as session:
        rings = freeing.hand_back(session, claim_id)
    assert [ring.screening_id for ring in rings] == ids
    assert work.states(database, ids) == {State.READY}
    assert {work.row(database, id_).group_id for id_ in ids} == {None}
    assert work.outcomes(database, ids[0]) == ["handed_back"]
    assert work.members(work.screen(database, settings)) == ids


def test_a_lease_expires_by_the_clock_and_not_before(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1)
    claim_id = work.take(database, settings, only).claim_id
    for shift, gone in ((0, False), (-2 * settings.lease_seconds, True)):
        with database.write() as session:
            claim = session.get_one(Claim, claim_id)
            claim.expires_at += timedelta(seconds=shift)
            session.flush()
            assert list(freeing.expired(session, settings)) == ([claim_id] if gone else [])
            assert bool(freeing.expire(session, claim_id, settings)) is gone
    assert work.outcomes(database, only) == ["expired"]


def test_a_lease_from_before_a_clock_was_set_back_is_expired(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1)
    claim_id = work.take(database, settings, only).claim_id
    with database.write() as session:
        session.get_one(Claim, claim_id).expires_at += timedelta(hours=1)
        session.flush()
        assert list(freeing.expired(session, settings)) == [claim_id]


def test_a_child_is_told_from_its_sisters_and_a_parent_has_all(database: Database, settings: Settings) -> None:
    parent = freeing.worker_name("a:host", Stage.PREPARE, 7)
    ids = work.make(database, 3, State.RECEIVED)
    for id_, child in zip(ids, (1, 2, 21), strict=True):
        name = freeing.worker_name("a:host", Stage.PREPARE, 7, child)
        work.take(database, settings, id_, Stage.PREPARE, worker=name)
    with database.read() as session:
        own = freeing.open_claims(session, freeing.worker_name("a:host", Stage.PREPARE, 7, 2))
        assert [claim.worker for claim in own] == ["a.host:prepare:7:2"]
        assert len(freeing.open_claims(session, parent)) == 3
        assert not freeing.open_claims(session, freeing.worker_name("a:host", Stage.PREPARE, 70))


@pytest.mark.parametrize(("silent", "outcome", "lone"), [(False, "expired", 1), (True, "handed_back", 0)])
def test_a_lease_that_ran_out_counts_only_where_the_worker_itself_is_alive(
    database: Database, settings: Settings, silent: bool, outcome: str, lone: int
) -> None:
    """A child alone is silent because of its study; a whole worker because of its host."""
    (only,) = work.make(database, 1)
    held = work.take(database, settings, only)
    parent = work.WORKER.rpartition(":")[0]
    with database.write() as session:
        heartbeats.beat(session, parent, "screen")
        late = timedelta(seconds=heartbeats.SILENT_SECONDS + 1 if silent else 0)
        session.get_one(Heartbeat, parent).at -= late
        session.get_one(Claim, held.claim_id).expires_at -= timedelta(seconds=settings.lease_seconds + 1)
    with database.write() as session:
        assert freeing.expire(session, held.claim_id, settings)
    assert work.outcomes(database, only) == [outcome]
    assert work.attempts(database, only)[0].reason == "lease_expired"
    assert work.row(database, only).lone_attempts == lone


def test_a_study_that_is_lost_again_and_again_is_no_bad_luck(database: Database, settings: Settings) -> None:
    """One that takes its whole machine down does so a bounded number of times."""
    ids = work.make(database, 2)
    outcomes = []
    while work.row(database, ids[0]).state == State.READY:
        held = work.take(database, settings, ids[0])
        with database.write() as session:
            freeing.lost(session, held.claim_id, settings, Reason.WORKER_CRASH)
        outcomes.append(work.outcomes(database, ids[0])[-1])
    assert outcomes == ["handed_back"] * freeing.MOST_LOSSES + ["crashed"] * settings.max_lone_attempts
    assert work.row(database, ids[0]).state == State.QUARANTINED


def lose(database: Database, settings: Settings, id_: int, reason: Reason, times: int) -> str:
    for _ in range(times):
        held = work.take(database, settings, id_)
        with database.write() as session:
            freeing.lost(session, held.claim_id, settings, reason)
    return work.outcomes(database, id_)[-1]


def test_outages_of_the_database_are_no_losses_that_count(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1)
    assert lose(database, settings, only, Reason.WORKER_CRASH, freeing.MOST_LOSSES) == "handed_back"
    assert lose(database, settings, only, Reason.DATABASE_UNAVAILABLE, 2) == "handed_back"
    assert lose(database, settings, only, Reason.WORKER_CRASH, 1) == "crashed"
    assert work.row(database, only).lone_attempts == 1


def test_a_retry_by_a_person_forgets_earlier_losses(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1)
    lose(database, settings, only, Reason.WORKER_CRASH, freeing.MOST_LOSSES)
    work.set_state(database, only, State.FAILED)
    with database.write() as session:
        assert screenings.restart(session, only)
    work.set_state(database, only, State.READY)
    assert lose(database, settings, only, Reason.WORKER_CRASH, 1) == "handed_back"


def test_a_company_that_is_lost_runs_together_again(database: Database, settings: Settings) -> None:
    ids = work.make(database, 4)
    held = work.take(database, settings, ids[0])
    company = work.members(held)
    with database.write() as session:
        rings = freeing.lost(session, held.claim_id, settings, Reason.WORKER_CRASH)
    assert sorted(ring.screening_id for ring in rings) == sorted(company)
    assert {work.row(database, id_).group_id for id_ in company} == {None}
