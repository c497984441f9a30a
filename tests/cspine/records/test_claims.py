"""Claims: one compare-and-set, exactly one holder, attempts written before the run."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from cspine.database import Database
from cspine.records import claims, endings, releases, screenings
from cspine.settings import Settings
from cspine.states import Stage, State
from cspine.tables import Attempt, Claim, Release, new_id
from tests.cspine.records import makers, work

pytestmark = pytest.mark.services


def test_prepare_takes_one_and_writes_the_attempt_before_the_run(database: Database, settings: Settings) -> None:
    first, second = work.make(database, 2, State.RECEIVED)
    held = work.take(database, settings, first, Stage.PREPARE)
    assert work.members(held) == [first]
    assert work.row(database, first).state == State.PREPARING
    assert work.row(database, second).state == State.RECEIVED
    attempt = work.attempts(database, first)[0]
    assert (attempt.outcome, attempt.number, attempt.company, attempt.ended_at) == ("running", 1, 1, None)
    assert attempt.id == held.members[0].attempt_id


def test_a_second_bell_for_the_same_screening_gets_nothing(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1, State.RECEIVED)
    work.take(database, settings, only, Stage.PREPARE)
    assert work.prepare(database, settings, only) is None
    assert len(work.attempts(database, only)) == 1


@pytest.mark.parametrize("state", [state for state in State if state is not State.READY])
def test_a_bell_for_anything_but_ready_gets_nothing(database: Database, settings: Settings, state: State) -> None:
    (only,) = work.make(database, 1, state)
    assert work.screen(database, settings, only) is None


def test_a_bell_for_an_unknown_screening_gets_nothing(database: Database, settings: Settings) -> None:
    work.make(database, 1)
    assert work.screen(database, settings, 987_654_321) is None
    assert work.prepare(database, settings, 987_654_321) is None


def test_screen_takes_the_named_one_and_the_oldest_others_of_its_lane(database: Database, settings: Settings) -> None:
    settings = settings.model_copy(update={"screen_batch": 3})
    urgent = work.make(database, 2, lane="urgent")
    ids = work.make(database, 6)
    held = work.take(database, settings, ids[5])
    assert work.members(held) == [ids[5], ids[0], ids[1]]
    assert work.states(database, urgent) == {State.READY}
    assert [attempt.company for attempt in work.attempts(database, ids[0])] == [3]
    assert held.release_id is not None
    assert work.row(database, ids[0]).release_id == held.release_id


def test_those_with_a_group_run_with_exactly_their_group(database: Database, settings: Settings) -> None:
    group = work.make(database, 3, group_id=new_id())
    free = work.make(database, 4)
    assert work.members(work.screen(database, settings, free[0])) == free
    assert work.members(work.screen(database, settings, group[1])) == group


def test_no_work_is_taken_for_a_release_that_is_not_active_any_more(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1)
    with database.write() as session:
        old = session.scalars(select(Release.id)).one()
        releases.activate(session, makers.release(session, active=False))
    with database.write() as session:
        assert claims.for_screen(session, only, work.WORKER, "cpu", old, settings) is None
    assert work.row(database, only).state == State.READY


def test_one_that_crashed_on_a_gpu_runs_on_the_processor(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1, group_id=new_id(), cpu_only=True)
    held = work.take(database, settings, only, device="gpu:0")
    assert held.device == "cpu"
    assert work.attempts(database, only)[0].device == "cpu"


def test_attempts_are_numbered_within_their_screening(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1, State.RECEIVED)
    with database.write() as session:
        endings.settle(session, work_held := claims.for_prepare(session, only, "w", settings), settings)  # type: ignore[arg-type]
    assert work_held is not None
    work.take(database, settings, only)
    assert [attempt.number for attempt in work.attempts(database, only)] == [1, 2]


def test_a_lease_is_extended_until_the_claim_ends(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1)
    held = work.take(database, settings, only)
    longer = settings.model_copy(update={"lease_seconds": 500.0})
    with database.write() as session:
        assert claims.renew(session, held.claim_id, longer)
    with database.write() as session:
        claim = session.get_one(Claim, held.claim_id)
        assert claim.expires_at - claim.started_at > timedelta(seconds=499)
        endings.settle(session, held, settings)
    with database.write() as session:
        assert not claims.renew(session, held.claim_id, settings)


def test_a_write_in_the_middle_is_refused_once_the_study_was_taken_away(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1, State.RECEIVED)
    held = work.take(database, settings, only, Stage.PREPARE)
    with database.write() as session:
        claims.insist(session, held, held.members[0])
        screenings.cancel(session, [only], "cancelled")
    with database.write() as session, pytest.raises(claims.LeaseLost):
        claims.insist(session, held, held.members[0])


def test_many_at_once_share_the_work_without_overlap(database: Database, settings: Settings) -> None:
    """Eight takers, each bell heard by two of them: every screening is in exactly one claim."""
    settings = settings.model_copy(update={"screen_batch": 4})
    ids = work.make(database, 30)
    with ThreadPoolExecutor(8) as pool:
        helds = list(pool.map(lambda id_: work.screen(database, settings, id_), [*ids, *reversed(ids)]))
    taken = [member for held in helds if held for member in work.members(held)]
    assert sorted(taken) == ids
    assert all(len(held.members) <= 4 for held in helds if held)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Attempt)) == len(ids)


def test_a_group_is_never_split_by_bells_at_once(database: Database, settings: Settings) -> None:
    ids = work.make(database, 12, group_id=new_id())
    with ThreadPoolExecutor(6) as pool:
        helds = [held for held in pool.map(lambda id_: work.screen(database, settings, id_), ids) if held]
    assert [work.members(held) for held in helds] == [ids]
