"""The broker as it stands, asked in one round trip."""

import pytest

from cspine import broker
from cspine.errors import ServiceFault
from cspine.queue import connect, queue_name
from cspine.reasons import Reason
from cspine.settings import Settings
from cspine.states import SHADOW, Lane, Stage
from tests.worker import services

pytestmark = pytest.mark.services


def test_what_waits_and_how_much_memory_is_used(settings: Settings) -> None:
    with services.broker(settings), connect(settings) as client:
        client.lpush(queue_name(Stage.SCREEN, Lane.URGENT), "{}", "{}")
        client.lpush(queue_name(Stage.SCREEN, SHADOW), "{}")
        found = broker.look(settings)
    assert found.messages["screen.urgent"] == 2
    assert found.messages["prepare.normal"] == 0
    assert "explain" in found.messages
    assert found.messages["replay"] == 1
    assert found.memory > 100_000
    assert found.limit >= 0


def test_a_broker_that_is_away(settings: Settings) -> None:
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    with pytest.raises(ServiceFault) as fault:
        broker.look(away)
    assert fault.value.reason is Reason.BROKER_UNAVAILABLE
