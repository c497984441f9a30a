"""The sweep's passes: what it rings, and when it lets leases be."""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from cspine import database as database_module
from cspine.database import Database
from cspine.errors import Contended, ServiceFault
from cspine.queue import EXPLAIN, Bell, connect
from cspine.records import claims, explanations, heartbeats, pauses, screenings
from cspine.records.screenings import Ring
from cspine.settings import Settings
from cspine.states import SHADOW, Lane, Stage, State
from cspine.tables import Claim, Replay
from tests.cspine.records import makers, work
from tests.worker import services
from worker.steps import STEPS, Step
from worker.sweep import Sweep, Swept

pytestmark = pytest.mark.services
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def bell(settings: Settings) -> Iterator[Bell]:
    with services.broker(settings) as bell:
        yield bell


def depths(bell: Bell, stage: Stage) -> dict[str, int]:
    return {lane.value: bell.depth(stage, lane) for lane in Lane}


def expire(database: Database, claim_id: str) -> None:
    with database.write() as session:
        session.get_one(Claim, claim_id).expires_at = LONG_AGO


def test_lost_bells_are_rung_again_where_the_queue_is_empty(settings: Settings, database: Database, bell: Bell) -> None:
    work.make(database, 3, State.RECEIVED, changed_at=LONG_AGO)
    work.make(database, 2, State.READY, lane="urgent", changed_at=LONG_AGO)
    backlog = work.make(database, 4, State.RECEIVED, lane="overnight", changed_at=LONG_AGO)
    bell.ring(Stage.PREPARE, "overnight", backlog[:1])
    sweep = Sweep(settings, database, bell)
    assert sweep.once() == Swept(rung=5)
    assert depths(bell, Stage.PREPARE) == {"urgent": 0, "normal": 3, "overnight": 1}
    assert depths(bell, Stage.SCREEN) == {"urgent": 2, "normal": 0, "overnight": 0}
    assert sweep.once() == Swept()
    with connect(settings) as client:
        client.flushdb()
    assert sweep.once() == Swept(rung=9)
    with database.read() as session:
        assert heartbeats.alive(session, "sweep")
    sweep.end()


def test_due_and_expired_work_is_rung_at_once(settings: Settings, database: Database, bell: Bell) -> None:
    (due,) = work.make(database, 1, State.WAITING, stage="screen", next_try_at=LONG_AGO)
    (held,) = work.make(database, 1, State.RECEIVED, lane="urgent")
    expire(database, work.take(database, settings, held, Stage.PREPARE).claim_id)
    assert Sweep(settings, database, bell).once() == Swept(expired=1, due=1)
    assert work.row(database, due).state == State.READY
    assert work.row(database, held).state == State.RECEIVED
    assert (bell.depth(Stage.SCREEN, "normal"), bell.depth(Stage.PREPARE, "urgent")) == (1, 1)


def test_without_a_broker_it_does_what_it_can(settings: Settings, database: Database) -> None:
    own = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    (due,) = work.make(database, 1, State.WAITING, next_try_at=LONG_AGO)
    assert Sweep(own, database, Bell(own)).once() == Swept(due=1)
    assert work.row(database, due).state == State.RECEIVED


@pytest.mark.parametrize("hours", [-1, 24])
def test_leases_are_let_be_after_a_clock_was_set(
    settings: Settings, database: Database, bell: Bell, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    settings = settings.model_copy(update={"lease_seconds": 30.0})
    (held, renewed) = work.make(database, 2, State.RECEIVED)
    sweep = Sweep(settings, database, bell)
    sweep.once()
    work.take(database, settings, held, Stage.PREPARE)
    lasting = work.take(database, settings, renewed, Stage.PREPARE)
    clock = Clock(monkeypatch)
    clock.ahead = timedelta(hours=hours)
    assert sweep.once().expired == 0, "its holder has not had the time to renew it"
    with database.write() as session:
        assert claims.renew(session, lasting.claim_id, settings)
    assert Sweep(settings, database, bell).once().expired == 0, "one that has just begun knows as well"
    clock.pass_by(seconds=29)
    with database.write() as session:
        assert claims.renew(session, lasting.claim_id, settings)
    clock.pass_by(seconds=2)
    assert sweep.once().expired == 1
    assert work.row(database, renewed).state == State.PREPARING
    lost = work.row(database, held)
    assert (lost.state, lost.lone_attempts) == (State.RECEIVED, 0)
    assert work.outcomes(database, held) == ["handed_back"]


class Clock:
    """The database's clock and the steady one, to be moved: the former against the latter too."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead, self.later = timedelta(), timedelta()
        true, steady = (database_module.now, database_module.clock), time.monotonic
        moved = {
            "now": lambda session: true[0](session) + self.ahead + self.later,
            "clock": lambda session, later=timedelta(): true[1](session, later + self.ahead + self.later),
        }
        for module in [one for name, one in sys.modules.items() if name.startswith(("cspine.records.", "worker."))]:
            for name, function in moved.items():
                if getattr(module, name, None) in true:
                    monkeypatch.setattr(module, name, function)
        monkeypatch.setattr("worker.sweep.time.monotonic", lambda: steady() + self.later.total_seconds())

    def pass_by(self, seconds: float) -> None:
        self.later += timedelta(seconds=seconds)


def test_a_clock_that_was_a_day_ahead_for_a_while_makes_no_later_loss_an_outage(
    settings: Settings, database: Database, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of that outage lies in the future; it must not be believed until then."""
    sweep, clock = Sweep(settings, database, bell), Clock(monkeypatch)
    for ahead in (0, 24, 0):
        clock.ahead = timedelta(hours=ahead)
        sweep.once()
    clock.pass_by(settings.lease_seconds + 1)
    (held,) = work.make(database, 1, State.RECEIVED)
    work.take(database, settings, held, Stage.PREPARE)
    clock.pass_by(settings.lease_seconds + 1)
    assert sweep.once().expired == 1
    assert work.outcomes(database, held) == ["expired"]


def test_leases_are_let_be_after_the_database_was_away(
    settings: Settings, database: Database, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And those that were not renewed afterwards are nobody's attempt, whichever sweep frees them."""
    (held,) = work.make(database, 1, State.RECEIVED)
    expire(database, work.take(database, settings, held, Stage.PREPARE).claim_id)
    sweep = Sweep(settings, Database("sqlite+pysqlite:////no/such/folder/x.db"), bell)
    with pytest.raises(ServiceFault):
        sweep.once()
    sweep.database = database
    clock = Clock(monkeypatch)
    assert sweep.once().expired == 0
    assert Sweep(settings, database, bell).once().expired == 0, "one that has just begun knows as well"
    clock.pass_by(settings.lease_seconds + 1)
    assert Sweep(settings, database, bell).once().expired == 1
    assert [(attempt.outcome, attempt.reason) for attempt in work.attempts(database, held)] == [
        ("handed_back", "database_unavailable")
    ]
    assert work.row(database, held).lone_attempts == 0


def test_two_sweeps_at_once_free_a_claim_once(settings: Settings, database: Database, bell: Bell) -> None:
    ids = work.make(database, 12, State.RECEIVED)
    for id_ in ids:
        expire(database, work.take(database, settings, id_, Stage.PREPARE).claim_id)
    waiting = work.make(database, 12, State.WAITING, stage="screen", next_try_at=LONG_AGO)
    sweeps = [Sweep(settings, Database.of(settings), Bell(settings)) for _ in range(4)]
    with ThreadPoolExecutor(len(sweeps)) as threads:
        swept = list(threads.map(lambda sweep: sweep.once(), sweeps))
    assert sum(one.due for one in swept) == len(waiting)
    assert {work.row(database, id_).lone_attempts for id_ in ids} == {1}
    assert [work.outcomes(database, id_) for id_ in ids] == [["expired"]] * len(ids)
    assert work.states(database, ids) == {State.RECEIVED}
    for sweep in sweeps:
        sweep.database.dispose()


def test_a_step_that_breaks_keeps_no_other_from_running_and_is_seen(
    settings: Settings, database: Database, bell: Bell
) -> None:
    errors = [RuntimeError("Doe^John")]

    def broken(_own: Sweep) -> list[Ring]:
        if errors:
            raise errors.pop()
        return []

    (due,) = work.make(database, 1, State.WAITING, next_try_at=LONG_AGO)
    sweep = Sweep(settings, database, bell, (Step("broken", 0, broken), *STEPS))
    assert sweep.once().due == 1
    with database.read() as session:
        (row,) = heartbeats.fresh(session, "sweep")
    assert row.detail == {"steps": {"broken": "RuntimeError at tests/worker/test_sweep.py:broken"}}
    sweep.once()
    with database.read() as session:
        assert heartbeats.fresh(session, "sweep")[0].detail is None
    assert work.row(database, due).state == State.RECEIVED


def test_a_step_that_the_database_is_too_busy_for_is_no_outage(
    settings: Settings, database: Database, bell: Bell
) -> None:
    def slow(_own: Sweep) -> list[Ring]:
        raise Contended("QueryCanceled")

    (held,) = work.make(database, 1, State.RECEIVED)
    sweep = Sweep(settings, database, bell, (Step("slow", 0, slow), *STEPS))
    sweep.once()
    expire(database, work.take(database, settings, held, Stage.PREPARE).claim_id)
    assert sweep.once().expired == 1
    assert work.outcomes(database, held) == ["expired"]
    with database.read() as session:
        assert heartbeats.broken_steps(session) == {"slow": "database_busy"}


def test_a_step_runs_no_more_often_than_it_says(settings: Settings, database: Database, bell: Bell,
                                                monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    ran: list[str] = []
    steps = (Step("often", 0, lambda own: ran.append("often") or []),
             Step("hourly", 3600, lambda own: ran.append("hourly") or []))  # fmt: skip
    sweep, clock = Sweep(settings, database, bell, steps), Clock(monkeypatch)
    for seconds in (0, 1000, 1000, 1600):
        clock.pass_by(seconds)
        sweep.once()
    assert ran == ["often", "hourly", "often", "often", "often", "hourly"]


def test_a_closed_lane_is_not_rung_for(settings: Settings, database: Database, bell: Bell) -> None:
    work.make(database, 2, State.RECEIVED, changed_at=LONG_AGO)
    with database.write() as session:
        pauses.pause(session, "normal", "the scanner is being repaired", "rita")
    assert Sweep(settings, database, bell).once() == Swept()
    with database.write() as session:
        pauses.resume(session, "normal", "rita")
    assert Sweep(settings, database, bell).once() == Swept(rung=2)


def test_maps_are_rung_for_too(settings: Settings, database: Database, bell: Bell) -> None:
    """One whose worker is gone at once; those whose bell was lost where the queue is empty."""
    with database.write() as session:
        batch = makers.batch(session)
        study = makers.study(session, batch)
        screening = screenings.shown(session, study.id)
        assert screening
        image = makers.image(session, study, makers.file(session, batch, study, original=False))
        attempt = makers.attempt(session, screening)
        result = makers.result(session, image, attempt, makers.release(session), "fracture", 0.9)
        gone, lost = (explanations.request(session, result.id, method, "rita") for method in ("cam", "gradient"))
        lost.requested_at = LONG_AGO
    with database.write() as session:
        assert explanations.claim(session, gone.id, "host:explain:1:2", -1)
    sweep = Sweep(settings, database, bell)
    assert sweep.once() == Swept(expired=1)  # the claim that the made-up attempt names
    assert bell.asked() == 1
    assert sweep.once() == Swept()
    with connect(settings) as client:
        client.flushdb()
    assert sweep.once() == Swept(rung=1)
    assert bell.asked() == 1


def test_shadows_are_rung_for_where_nothing_else_is_due(settings: Settings, database: Database, bell: Bell) -> None:
    with database.write() as session:
        replay = Replay(batch_id=makers.batch(session).id, release_id=makers.release(session).id,
                        created_at=makers.NIGHT, created_by="ada")  # fmt: skip
        session.add(replay)
    shadows = work.make(database, 3, lane=SHADOW, shadow=True, replay_id=replay.id, created_at=makers.NIGHT)
    sweep = Sweep(settings, database, bell)
    assert sweep.once() == Swept(), "no worker that takes them"
    with database.write() as session:
        heartbeats.beat(session, "host:explain:1", EXPLAIN)
    (other,) = work.make(database, 1, State.RECEIVED)
    assert sweep.once() == Swept(rung=1), "for what is due"
    assert bell.depth(Stage.SCREEN, SHADOW) == 0
    work.set_state(database, other, State.DONE)
    assert sweep.once() == Swept(rung=1)
    assert sweep.once() == Swept(), "the bell lies there"
    assert bell.depth(Stage.SCREEN, SHADOW) == 1
    assert sum(depths(bell, Stage.SCREEN).values()) == 0
    assert work.states(database, shadows) == {State.READY}
