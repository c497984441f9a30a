"""The sweep's passes: what it rings, and when it lets leases be."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from cspine.database import Database
from cspine.errors import ServiceFault
from cspine.queue import Bell, connect
from cspine.records import explanations, heartbeats, screenings
from cspine.settings import Settings
from cspine.states import Lane, Stage, State
from cspine.tables import Claim
from tests.cspine.records import makers, work
from tests.worker import services
from worker import sweep as module
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


def test_leases_are_let_be_after_a_clock_was_set(
    settings: Settings, database: Database, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.model_copy(update={"lease_seconds": 30.0})
    (held,) = work.make(database, 1, State.RECEIVED)
    sweep = Sweep(settings, database, bell)
    sweep.once()
    work.take(database, settings, held, Stage.PREPARE)
    true = module.now
    monkeypatch.setattr(module, "now", lambda session: true(session) + timedelta(days=1))
    monkeypatch.setattr("cspine.records.freeing.now", lambda session: true(session) + timedelta(days=1))
    assert sweep.once().expired == 0, "its holder has not had the time to renew it"
    steady = module.time.monotonic
    monkeypatch.setattr("worker.sweep.time.monotonic", lambda: steady() + 31)
    monkeypatch.setattr(module, "now", lambda session: true(session) + timedelta(days=1, seconds=31))
    assert sweep.once().expired == 1


def test_leases_are_let_be_after_the_database_was_away(settings: Settings, database: Database, bell: Bell) -> None:
    (held,) = work.make(database, 1, State.RECEIVED)
    expire(database, work.take(database, settings, held, Stage.PREPARE).claim_id)
    sweep = Sweep(settings, Database("sqlite+pysqlite:////no/such/folder/x.db"), bell)
    with pytest.raises(ServiceFault):
        sweep.once()
    sweep.database = database
    assert sweep.once().expired == 0
    assert Sweep(settings, database, bell).once().expired == 1


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
