"""The parent of a worker: it beats, and ends itself where messages wait and none is consumed."""

from collections.abc import Iterator

import pytest
from celery.worker import state as celery_state

from cspine.database import Database
from cspine.queue import Bell
from cspine.reasons import Reason
from cspine.records import freeing, heartbeats
from cspine.settings import Settings
from cspine.states import Stage, State
from tests.cspine.records import work
from tests.worker import services
from worker import parent
from worker.parent import HOST, Parent, stages_of

pytestmark = pytest.mark.services


@pytest.fixture
def bell(settings: Settings) -> Iterator[Bell]:
    with services.broker(settings) as bell:
        yield bell


@pytest.fixture
def patient(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parent]:
    """Give a parent that ends with an exception instead of its process, and that has no patience."""

    def leave(status: int) -> None:
        raise SystemExit(status)

    monkeypatch.setattr("worker.parent.os._exit", leave)
    monkeypatch.setattr(parent, "STUCK_SECONDS", -1.0)
    own = Parent(settings, [Stage.PREPARE])
    yield own
    own.end()


def test_stages_follow_from_the_queues() -> None:
    assert stages_of(["prepare.urgent", "prepare.normal"]) == [Stage.PREPARE]
    assert stages_of(["screen.normal", "prepare.normal"]) == [Stage.PREPARE, Stage.SCREEN]
    assert stages_of(["explain"]) == []


def test_a_worker_that_does_not_consume_ends(patient: Parent, bell: Bell) -> None:
    bell.ring(Stage.PREPARE, "urgent", [1])
    patient._look_for_progress()
    with pytest.raises(SystemExit):
        patient._look_for_progress()


def test_a_worker_without_messages_or_with_progress_stays(
    patient: Parent, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    bell.ring(Stage.SCREEN, "urgent", [1])
    for _ in range(3):
        patient._look_for_progress()
    bell.ring(Stage.PREPARE, "urgent", [1])
    for count in range(3):
        monkeypatch.setitem(celery_state.total_count, "cspine.prepare", count + 1)
        patient._look_for_progress()
    monkeypatch.setattr(celery_state, "active_requests", {object()})
    for _ in range(3):
        patient._look_for_progress()


def test_it_beats_and_says_when_it_ends(patient: Parent, database: Database) -> None:
    patient._beat()
    with database.read() as session:
        assert heartbeats.alive(session, "prepare")
    patient.end()
    with database.read() as session:
        assert not heartbeats.alive(session, "prepare")


def test_what_a_dead_worker_of_this_host_held_is_freed_and_no_one_elses(
    patient: Parent, settings: Settings, database: Database
) -> None:
    ids = work.make(database, 3, State.RECEIVED)
    dead, other = 2**22 + 1, "elsewhere"  # no process has a number above 2**22
    names = [freeing.worker_name(host, Stage.PREPARE, pid, 7) for host, pid in ((HOST, dead), (other, dead), (HOST, 1))]
    for id_, name in zip(ids, names, strict=True):
        work.take(database, settings, id_, Stage.PREPARE, worker=name)
    patient._safely(patient._free_orphans)
    assert [work.row(database, id_).state for id_ in ids] == [State.RECEIVED, State.PREPARING, State.PREPARING]


def test_without_a_database_it_lives_on(settings: Settings) -> None:
    away = Parent(
        settings.model_copy(update={"database_url": "sqlite+pysqlite:////no/such/folder/x.db"}), [Stage.PREPARE]
    )
    away.free(1, Reason.WORKER_CRASH)
    away.end()
