"""The lease of an attempt that an outage ended: its claim is handed back, and others are woken for it."""

import pytest

from cspine.database import Database
from cspine.errors import ServiceFault
from cspine.records.claims import Held
from cspine.settings import Settings
from cspine.states import Stage, State
from tests.cspine.records import work
from tests.worker import services
from worker.lease import Lease

pytestmark = pytest.mark.services


def end_by_outage(settings: Settings, database: Database, held: Held | None) -> None:
    assert held is not None
    own = settings.model_copy(update={"lease_renew_seconds": 0.05})
    with pytest.raises(ServiceFault), Lease(own, database, held) as lease:
        raise ServiceFault("away")
    lease._thread.join(10)
    assert not lease._thread.is_alive()


def test_a_debt_is_handed_back_and_rung_for(settings: Settings, database: Database) -> None:
    ids = work.make(database, 3, State.RECEIVED)
    with services.broker(settings) as bell:
        end_by_outage(settings, database, work.prepare(database, settings))
        assert bell.depth(Stage.PREPARE, "normal") == 1
    assert work.states(database, ids) == {State.RECEIVED}


def test_without_a_broker_a_debt_is_paid_all_the_same(settings: Settings, database: Database) -> None:
    (id_,) = work.make(database, 1, State.RECEIVED)
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    end_by_outage(away, database, work.prepare(database, settings))
    assert work.row(database, id_).state == State.RECEIVED
    assert work.outcomes(database, id_) == ["handed_back"]
