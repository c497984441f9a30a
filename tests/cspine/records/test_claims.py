"""Claims: one compare-and-set, exactly one holder, attempts written before the run."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from cspine.database import Database, now
from cspine.lanes import TURNS
from cspine.records import claims, endings, pauses, releases, screenings
from cspine.settings import Settings
from cspine.states import Lane, Stage, State
from cspine.tables import Attempt, Claim, ReceivedFile, Release, Screening, new_id
from tests.cspine.records import makers, work

pytestmark = pytest.mark.services


def test_prepare_takes_small_ones_and_writes_their_attempts_before_the_run(
    database: Database, settings: Settings
) -> None:
    settings = settings.model_copy(update={"prepare_company": 2})
    first, second, third = work.make(database, 3, State.RECEIVED)
    held = work.prepare(database, settings)
    assert work.members(held) == [first, second]
    assert work.states(database, [first, second]) == {State.PREPARING}
    assert work.row(database, third).state == State.RECEIVED
    attempt = work.attempts(database, second)[0]
    assert (attempt.outcome, attempt.number, attempt.company, attempt.ended_at) == ("running", 1, 2, None)
    assert held is not None
    assert attempt.id == held.members[1].attempt_id


def test_large_studies_are_taken_by_themselves(database: Database, settings: Settings) -> None:
    """Sizes in bytes 5, 1, 1, 9; a file that is decoded already costs nothing."""
    settings = settings.model_copy(update={"prepare_company_bytes": 2})
    ids = work.make(database, 4, State.RECEIVED)
    with database.write() as session:
        files = session.scalars(select(ReceivedFile).order_by(ReceivedFile.id)).all()
        for file, size in zip(files, (5, 1, 1, 9), strict=True):
            file.size = size
    assert work.members(work.prepare(database, settings)) == ids[:1]
    assert work.members(work.prepare(database, settings)) == ids[1:3]
    with database.write() as session:
        session.get_one(ReceivedFile, files[3].id).decoded = True
    small = work.make(database, 2, State.RECEIVED)
    assert sorted(work.members(work.prepare(database, settings))) == [ids[3], *small]


def test_the_last_ones_are_shared_out_among_the_children_of_a_host(database: Database, settings: Settings) -> None:
    """Of two children neither takes all that waits; a group that was in a crash stays what it is."""
    settings = settings.model_copy(update={"prepare_processes": 2, "prepare_company": 8})
    ids = work.make(database, 18, State.RECEIVED)
    with database.write() as session:
        for id_ in ids[-3:]:
            session.get_one(Screening, id_).group_id = "crashed"
    taken = [work.members(work.prepare(database, settings)) for _ in range(5)]
    assert taken == [ids[15:], ids[:8], ids[8:12], ids[12:14], ids[14:15]]


def test_a_claim_looks_at_no_more_where_more_waits(database: Database) -> None:
    """The oldest group is found by the small index of those that have one, not among all that wait."""
    if not database.sqlite:
        pytest.skip("PostgreSQL plans by what it has counted")
    query = claims._oldest_group(State.RECEIVED, Lane.NORMAL.value)
    sql = query.compile(database.engine, compile_kwargs={"literal_binds": True})
    with database.read() as session:
        plan = [row.detail for row in session.execute(text(f"EXPLAIN QUERY PLAN {sql}"))]
    assert "ix_screening_group_id" in plan[0], plan


def test_a_second_bell_for_the_same_work_gets_nothing(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1, State.RECEIVED)
    assert work.members(work.prepare(database, settings)) == [only]
    assert work.prepare(database, settings) is None
    assert len(work.attempts(database, only)) == 1


@pytest.mark.parametrize("state", [state for state in State if state is not State.READY])
def test_nothing_but_what_is_ready_is_screened(database: Database, settings: Settings, state: State) -> None:
    work.make(database, 1, state)
    assert work.screen(database, settings) is None


def test_nothing_is_claimed_where_nothing_is(database: Database, settings: Settings) -> None:
    work.make(database, 1, State.DONE)
    assert work.screen(database, settings) is None
    assert work.prepare(database, settings) is None


def test_a_shadow_is_not_taken_as_if_it_were_shown(database: Database, settings: Settings) -> None:
    work.make(database, 1, shadow=True, lane="overnight")
    assert work.screen(database, settings) is None


def test_screen_takes_the_oldest_of_the_lane_whose_turn_it_is(database: Database, settings: Settings) -> None:
    settings = settings.model_copy(update={"screen_batch": 3})
    urgent = work.make(database, 2, lane="urgent")
    ids = work.make(database, 6)
    held = work.screen(database, settings, TURNS.index(Lane.NORMAL))
    assert work.members(held) == ids[:3]
    assert work.states(database, urgent) == {State.READY}
    assert [attempt.company for attempt in work.attempts(database, ids[0])] == [3]
    assert held is not None
    assert held.release_id is not None
    assert work.row(database, ids[0]).release_id == held.release_id
    assert work.members(work.screen(database, settings, TURNS.index(Lane.URGENT))) == urgent
    assert work.members(work.screen(database, settings, TURNS.index(Lane.URGENT))) == ids[3:], "it has nothing itself"


def test_of_ten_claims_seven_two_and_one(database: Database, settings: Settings) -> None:
    settings = settings.model_copy(update={"prepare_company": 1})
    for lane in Lane:
        work.make(database, 12, State.RECEIVED, lane=lane)
    helds = [work.prepare(database, settings, turn) for turn in range(100, 110)]
    taken = Counter(member.lane for held in helds if held for member in held.members)
    assert taken == {"urgent": 7, "normal": 2, "overnight": 1}


def test_nothing_is_claimed_from_a_lane_that_is_paused(database: Database, settings: Settings) -> None:
    work.make(database, 1, State.RECEIVED, lane="urgent")
    (normal,) = work.make(database, 1, State.RECEIVED)
    with database.write() as session:
        pauses.pause(session, "urgent", "network work", "ada")
    assert work.members(work.prepare(database, settings)) == [normal]
    assert work.prepare(database, settings) is None
    with database.write() as session:
        pauses.resume(session, "urgent", "ada")
        pauses.pause(session, "all", "network work", "ada")
    assert work.prepare(database, settings) is None
    with database.write() as session:
        pauses.resume(session, "all", "ada")
    assert work.prepare(database, settings) is not None


def test_overnight_work_waits_for_its_window(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1, State.RECEIVED, lane="overnight")
    with database.read() as session:
        moment = now(session)
    hours = [f"{moment + timedelta(hours=one):%H:%M}" for one in (-1, 1, 2)]
    later = settings.model_copy(update={"overnight_window": f"{hours[1]}-{hours[2]}"})
    assert work.prepare(database, later) is None
    at_once = settings.model_copy(update={"overnight_window": f"{hours[0]}-{hours[1]}"})
    assert work.members(work.prepare(database, at_once)) == [only]


def test_those_with_a_group_run_first_and_with_exactly_their_group(database: Database, settings: Settings) -> None:
    free = work.make(database, 4)
    group = work.make(database, 3, group_id=new_id())
    assert work.members(work.screen(database, settings)) == group
    assert work.members(work.screen(database, settings)) == free


def test_no_work_is_taken_for_a_release_that_is_not_active_any_more(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1)
    with database.write() as session:
        old = session.scalars(select(Release.id)).one()
        releases.activate(session, makers.release(session, active=False))
    with database.write() as session:
        assert claims.for_screen(session, work.WORKER, "cpu", old, settings, 0) is None
    assert work.row(database, only).state == State.READY


def test_one_that_crashed_on_a_gpu_runs_on_the_processor(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1, group_id=new_id(), cpu_only=True)
    held = work.take(database, settings, only, device="gpu:0")
    assert held.device == "cpu"
    assert work.attempts(database, only)[0].device == "cpu"


def test_attempts_are_numbered_within_their_screening(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1, State.RECEIVED)
    with database.write() as session:
        held = claims.for_prepare(session, "w", settings, 0)
        assert held is not None
        endings.settle(session, held, settings)
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
    """Eight takers, twice as many bells as screenings: every screening is in exactly one claim."""
    settings = settings.model_copy(update={"screen_batch": 4})
    ids = work.make(database, 30)
    with ThreadPoolExecutor(8) as pool:
        helds = list(pool.map(lambda turn: work.screen(database, settings, turn), range(60)))
    taken = [member for held in helds if held for member in work.members(held)]
    assert sorted(taken) == ids
    assert all(len(held.members) <= 4 for held in helds if held)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Attempt)) == len(ids)


def test_a_group_is_never_split_by_bells_at_once(database: Database, settings: Settings) -> None:
    ids = work.make(database, 12, group_id=new_id())
    with ThreadPoolExecutor(6) as pool:
        helds = [held for held in pool.map(lambda turn: work.screen(database, settings, turn), range(12)) if held]
    assert [work.members(held) for held in helds] == [ids]
