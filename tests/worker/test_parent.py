"""The parent of a worker: it beats, and ends itself where messages wait and none is consumed."""

import os
import socket
from collections.abc import Iterator

import pytest

from cspine.database import Database
from cspine.queue import Bell
from cspine.reasons import Reason
from cspine.records import freeing, heartbeats
from cspine.settings import Settings
from cspine.states import Stage, State
from tests.cspine.records import work
from tests.worker import services
from worker.parent import HOST, Parent, stages_of

pytestmark = pytest.mark.services


@pytest.fixture
def bell(settings: Settings) -> Iterator[Bell]:
    with services.broker(settings) as bell:
        yield bell


@pytest.fixture
def own(settings: Settings) -> Iterator[Parent]:
    parent = Parent(settings, [Stage.PREPARE])
    yield parent
    parent.end()


def test_stages_follow_from_the_queues() -> None:
    assert stages_of(["prepare.urgent", "prepare.normal"]) == [Stage.PREPARE]
    assert stages_of(["screen.normal", "prepare.normal"]) == [Stage.PREPARE, Stage.SCREEN]
    assert stages_of(["explain"]) == []


def test_it_beats_and_says_when_it_ends(own: Parent, database: Database) -> None:
    own._beat()
    with database.read() as session:
        assert heartbeats.alive(session, "prepare")
    own.end()
    with database.read() as session:
        assert not heartbeats.alive(session, "prepare")


def test_what_a_dead_worker_of_this_host_held_is_freed_and_no_one_elses(
    own: Parent, settings: Settings, database: Database
) -> None:
    ids = work.make(database, 4, State.RECEIVED)
    dead, namesake = 2**22 + 1, f"{socket.gethostname()}-01234567"  # no process has a number above 2**22
    workers = ((HOST, dead), ("elsewhere", dead), (namesake, dead), (HOST, 1))
    names = [freeing.worker_name(host, Stage.PREPARE, pid, 7) for host, pid in workers]
    for id_, name in zip(ids, names, strict=True):
        work.take(database, settings, id_, Stage.PREPARE, worker=name)
    own._safely(own._free_orphans)
    assert [work.row(database, id_).state for id_ in ids] == [State.RECEIVED] + [State.PREPARING] * 3
    assert work.outcomes(database, ids[0]) == ["handed_back"], "nothing says that the study killed a whole worker"
    assert work.row(database, ids[0]).lone_attempts == 0


def test_without_a_database_it_lives_on(settings: Settings) -> None:
    away = Parent(
        settings.model_copy(update={"database_url": "sqlite+pysqlite:////no/such/folder/x.db"}), [Stage.PREPARE]
    )
    away.free(1, Reason.WORKER_CRASH)
    away.end()


class Away:
    """A database that is away as long as it is told so."""

    def __init__(self, own: Parent, settings: Settings) -> None:
        self._own, self._true = own, own._database
        self._nowhere = Database("sqlite+pysqlite:////no/such/folder/x.db")

    def __enter__(self) -> None:
        self._own._database = self._nowhere

    def __exit__(self, *_: object) -> None:
        self._own._database = self._true


@pytest.mark.parametrize(("reason", "outcome"), [
    (Reason.WORKER_CRASH, "crashed"),  # it was killed, whatever the database did
    (Reason.TIMED_OUT, "handed_back"),  # it waited for the database
])  # fmt: skip
def test_what_a_dead_child_held_is_freed_when_the_database_is_back(
    own: Parent, settings: Settings, database: Database, reason: Reason, outcome: str
) -> None:
    (id_,) = work.make(database, 1, State.RECEIVED)
    name = freeing.worker_name(HOST, Stage.PREPARE, os.getpid(), 77)
    work.prepare(database, settings, worker=name)
    with Away(own, settings):
        own.free(77, reason, seconds=5.0)
    assert work.row(database, id_).state == State.PREPARING
    own._pay()
    assert work.outcomes(database, id_) == [outcome]
    assert work.row(database, id_).state == State.RECEIVED
    own._pay()


def test_a_task_that_took_too_long_without_an_outage_is_counted(
    own: Parent, settings: Settings, database: Database
) -> None:
    (id_,) = work.make(database, 1, State.RECEIVED)
    work.prepare(database, settings, worker=freeing.worker_name(HOST, Stage.PREPARE, os.getpid(), 77))
    own.free(77, Reason.TIMED_OUT, seconds=5.0)
    assert work.outcomes(database, id_) == ["crashed"]
    assert work.row(database, id_).lone_attempts == 1


def test_what_is_handed_back_at_the_end_is_rung_for(
    own: Parent, settings: Settings, database: Database, bell: Bell
) -> None:
    work.make(database, 3, State.RECEIVED)
    work.prepare(database, settings, worker=freeing.worker_name(HOST, Stage.PREPARE, os.getpid(), 77))
    own._return_all()
    assert bell.depth(Stage.PREPARE, "normal") == 1


def test_without_a_broker_it_is_handed_back_all_the_same(settings: Settings, database: Database) -> None:
    away = Parent(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}), [Stage.PREPARE])
    (id_,) = work.make(database, 1, State.RECEIVED)
    work.prepare(database, settings, worker=freeing.worker_name(HOST, Stage.PREPARE, os.getpid(), 77))
    assert away._safely(away._return_all)
    assert work.row(database, id_).state == State.RECEIVED
    away.end()


def test_what_is_added_while_debts_are_paid_is_kept(own: Parent) -> None:
    done: list[str] = []

    def adds() -> None:
        own._owed.append(lambda: done.append("later"))
        done.append("first")

    own._owed.append(adds)
    own._pay()
    assert done == ["first"]
    own._pay()
    assert done == ["first", "later"]
