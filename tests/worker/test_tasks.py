"""The tasks: a bell is passed on as long as there is work, and ends where there is none."""

from collections.abc import Iterator

import pytest

from cspine.database import Database
from cspine.queue import MOST_BELLS, Bell
from cspine.settings import Settings
from cspine.states import Lane, Stage, State
from tests.cspine.records import work
from tests.worker import services
from tests.worker.conftest import Receive, png
from worker import prepare, runtime, tasks
from worker.runtime import Runtime

pytestmark = pytest.mark.services


@pytest.fixture
def bell(settings: Settings) -> Iterator[Bell]:
    with services.broker(settings) as bell:
        yield bell


def test_no_more_bells_lie_in_a_queue_than_are_of_use(bell: Bell) -> None:
    for _ in range(3):
        bell.ring(Stage.PREPARE, Lane.URGENT, range(1, 4))
    assert bell.depth(Stage.PREPARE, Lane.URGENT) == MOST_BELLS
    bell.ring(Stage.PREPARE, Lane.NORMAL, [])
    assert bell.depth(Stage.PREPARE, Lane.NORMAL) == 0


def test_a_bell_is_passed_on_while_there_is_work_and_rings_for_the_next_stage(
    own: Runtime, receive: Receive, database: Database, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.settings = own.settings.model_copy(update={"prepare_company": 1})
    monkeypatch.setattr(runtime, "_runtime", own)
    ids = receive(png(1), png(2))
    with services.connect(own.settings) as client:
        client.flushdb()
    expected = [(1, 1), (2, 2), (2, 2)]  # bells to prepare, bells to screen
    for found in expected:
        tasks.perform(prepare.claim, prepare.run)
        assert (bell.depth(Stage.PREPARE), bell.depth(Stage.SCREEN)) == found
    assert work.states(database, ids) == {State.READY}
