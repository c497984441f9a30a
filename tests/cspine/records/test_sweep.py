"""The sweep's queries: what is due, and what nobody rang for."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from cspine.database import Database
from cspine.records import sweep
from cspine.records.screenings import Ring
from cspine.settings import Settings
from cspine.states import Stage, State
from tests.cspine.records import work

pytestmark = pytest.mark.services
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def due(database: Database, settings: Settings) -> list[Ring]:
    with database.write() as session:
        return sweep.due(session, settings)


def test_what_is_due_goes_back_to_its_stage(database: Database, settings: Settings) -> None:
    (first,) = work.make(database, 1, State.WAITING, stage="prepare", next_try_at=LONG_AGO)
    (second,) = work.make(database, 1, State.WAITING, lane="urgent", stage="screen", next_try_at=LONG_AGO)
    (later,) = work.make(
        database, 1, State.WAITING, lane="overnight", next_try_at=datetime.now(UTC) + timedelta(minutes=9)
    )
    assert {(ring.stage, ring.lane, ring.screening_id) for ring in due(database, settings)} == {
        (Stage.PREPARE, "normal", first),
        (Stage.SCREEN, "urgent", second),
    }
    assert [work.row(database, id_).state for id_ in (first, second, later)] == ["received", "ready", "waiting"]
    assert due(database, settings) == []


def test_a_next_try_beyond_any_wait_means_that_a_clock_was_set(database: Database, settings: Settings) -> None:
    (only,) = work.make(database, 1, State.WAITING, next_try_at=datetime.now(UTC) + timedelta(hours=1))
    assert [ring.screening_id for ring in due(database, settings)] == [only]


def test_two_sweeps_at_once_ring_once(database: Database, settings: Settings) -> None:
    ids = work.make(database, 20, State.WAITING, next_try_at=LONG_AGO)
    with ThreadPoolExecutor(2) as pool:
        rings = [ring.screening_id for part in pool.map(lambda _: due(database, settings), range(2)) for ring in part]
    assert sorted(rings) == ids


def test_the_oldest_of_a_lane_are_rung_again(database: Database, settings: Settings) -> None:
    old = work.make(database, 3, State.READY, changed_at=LONG_AGO)
    work.make(database, 1, State.RECEIVED, changed_at=LONG_AGO)
    work.make(database, 2, State.READY, lane="urgent", changed_at=datetime.now(UTC) - timedelta(seconds=1))
    work.make(database, 2, State.DONE, lane="overnight", changed_at=LONG_AGO)
    age = timedelta(seconds=30)
    with database.read() as session:
        assert [ring.screening_id for ring in sweep.unrung(session, Stage.SCREEN, "normal", age)] == old
        assert sweep.unrung(session, Stage.SCREEN, "urgent", age) == []
        assert sweep.unrung(session, Stage.SCREEN, "overnight", age) == []
