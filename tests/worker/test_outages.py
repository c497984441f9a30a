"""Redis and PostgreSQL die, come back empty, refuse and cut connections, while real workers work.

Whatever happens, the workers go on by themselves, nothing is lost, and no study has an attempt or a try to its name.
"""

import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import select

from cspine import migrate
from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.errors import ServiceFault
from cspine.queue import Bell
from cspine.settings import Settings
from cspine.states import Stage, State
from cspine.tables import Image
from tests import servers
from tests.cspine.records import work
from tests.servers import Postgres, Redis, missing
from tests.worker.conftest import Activate, Receive, png
from tests.worker.services import Trap, Worker, wait, worker
from tests.worker.test_faults import holder, trap
from worker.sweep import Sweep

pytestmark = [pytest.mark.servers, pytest.mark.skipif(missing() is not None, reason=str(missing()))]
SHORT = {"lease_seconds": 6.0, "lease_renew_seconds": 0.5, "sweep_seconds": 0.5, "outage_seconds": 1.0,
         "hand_back_seconds": 0.5, "retry_first_seconds": 0.1}  # fmt: skip
NO_SEEKING = ("failed", "storage_unavailable")  # what the reader of a trap meets when it is let go: nobody's try


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """Run one PostgreSQL for the tests of this file, where the user `postgres` may get at it."""
    folder = Path(tempfile.mkdtemp(prefix="cspine-pg-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        with servers.postgres(folder / "postgres") as server:
            database = Database(Settings(database_url=server.url).database)
            migrate.upgrade(database)
            database.dispose()
            yield server
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    with servers.redis(tmp_path / "redis", keeps=False) as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path, postgres: Postgres, redis: Redis) -> Settings:
    """Give settings of servers of our own, whatever others were given; the tables are emptied."""
    postgres.query("DO $$ DECLARE t text; BEGIN FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' "
                   "AND tablename <> 'alembic_version' LOOP EXECUTE format('TRUNCATE %I CASCADE', t); END LOOP; "
                   "END $$")  # fmt: skip
    own = Settings(
        var=tmp_path / "var", database_url=postgres.url, redis_url=redis.url, secret_key="0123456789abcdef" * 4
    )
    return own.model_copy(update=SHORT)


@pytest.fixture
def bell(settings: Settings) -> Bell:
    return Bell(settings)


def sweep_until(
    settings: Settings, database: Database, ids: list[int], target: State, sweep: Sweep | None = None
) -> None:
    """Let the sweep run beside the workers until all of these are in a state."""
    sweep = sweep or Sweep(settings, database, Bell(settings))

    def arrived() -> bool:
        try:
            sweep.once()
            return work.states(database, ids) == {target}
        except ServiceFault:
            return False

    wait(arrived)


def assert_nobody_is_to_blame(database: Database, ids: list[int]) -> None:
    for id_ in ids:
        row = work.row(database, id_)
        assert (row.lone_attempts, row.tries) == (0, 0)
        endings = {(attempt.outcome, attempt.reason) for attempt in work.attempts(database, id_)}
        assert endings <= {("done", None), ("failed", "database_unavailable"), ("handed_back", None), NO_SEEKING,
                           ("handed_back", "database_unavailable"), ("handed_back", "worker_crash")}  # fmt: skip


def test_a_redis_that_dies_empty_then_is_full_then_is_a_replica(
    settings: Settings, database: Database, redis: Redis, bell: Bell, receive: Receive
) -> None:
    """One worker lives through all of it, its task in hand included, and takes up work by itself."""
    ids = receive(png(1))
    held = trap(settings, database, ids[0])
    with worker(settings, concurrency=2) as running:
        bell.ring(Stage.PREPARE, "normal", ids)
        wait(lambda: holder(database, ids[0]))
        redis.stop(signal.SIGKILL)
        ids = receive(png(1), png(2))
        redis.start()
        sweep_until(settings, database, ids[1:], State.READY)
        with redis.client() as client:
            client.config_set("maxmemory", 1)
            ids = receive(*(png(seed) for seed in range(1, 5)))
            with pytest.raises(ServiceFault):
                bell.ring(Stage.PREPARE, "normal", ids[2:])
            client.config_set("maxmemory", 0)
            sweep_until(settings, database, ids[1:], State.READY)
            client.execute_command("REPLICAOF", "127.0.0.1", "1")
            time.sleep(2.5)  # longer than it waits for a message
            client.execute_command("REPLICAOF", "NO", "ONE")
        ids = receive(*(png(seed) for seed in range(1, 8)))
        held.let_go()
        sweep_until(settings, database, ids, State.READY)
        assert running.popen.poll() is None
    assert [work.outcomes(database, id_)[-1] for id_ in ids] == ["done"] * 7
    assert "handed_back" not in work.outcomes(database, ids[0]), "the task in hand outlived three faults of Redis"
    assert_nobody_is_to_blame(database, ids)


def test_messages_of_a_visibility_timeout_shorter_than_the_task_do_nothing_twice(
    settings: Settings, database: Database, redis: Redis, bell: Bell, receive: Receive
) -> None:
    settings = settings.model_copy(update={"visibility_seconds": 1})
    ids = receive(png(1))
    held = trap(settings, database, ids[0])
    with worker(settings, concurrency=2), redis.client() as client:
        bell.ring(Stage.PREPARE, "normal", ids)
        wait(lambda: holder(database, ids[0]))
        first = holder(database, ids[0])
        wait(lambda: client.hlen("unacked") == 1 and bell.depth(Stage.PREPARE) == 0)  # the passed on bell has died
        (before,) = client.hkeys("unacked")
        wait(lambda: before not in client.hkeys("unacked"))  # delivered again, to the other child
        assert holder(database, ids[0]) == first
        held.let_go()
        sweep_until(settings, database, ids, State.READY)
    first_run, *others = work.attempts(database, ids[0])
    assert all(other.started_at >= (first_run.ended_at or other.started_at) for other in others)
    assert_nobody_is_to_blame(database, ids)


def test_a_database_that_crashes_cuts_and_turns_read_only_in_the_middle_of_work(
    settings: Settings, database: Database, postgres: Postgres, bell: Bell, receive: Receive, blobs: BlobStore
) -> None:
    ids = receive(png(0))
    held = trap(settings, database, ids[0])
    with worker(settings, concurrency=2) as running:
        bell.ring(Stage.PREPARE, "normal", ids)
        wait(lambda: holder(database, ids[0]))
        postgres.stop(signal.SIGQUIT)
        held.let_go()
        time.sleep(2.5)  # longer than the worker's patience: it owes its claim
        postgres.start()
        sweep_until(settings, database, ids, State.READY)
        ids = receive(*(png(seed) for seed in range(60)))
        bell.ring(Stage.PREPARE, "normal", ids)
        for _ in range(12):
            postgres.cut_connections()
        postgres.read_only(True)
        time.sleep(2.5)
        postgres.read_only(False)
        sweep_until(settings, database, ids, State.READY)
        assert running.popen.poll() is None
    assert_nobody_is_to_blame(database, ids)
    with database.read() as session:
        named = {key for row in session.execute(select(Image.canonical_key, Image.preview_key, Image.thumbnail_key))
                 for key in row}  # fmt: skip
    assert len(named) == 3 * 60
    assert named <= set(blobs.keys()), "no picture of a commit that was cut after it was done is lost"


def stop(running: Worker, sweep: Sweep, away: tuple[Postgres | Redis, ...]) -> None:
    """Ask a worker to stop while servers are away, and bring them back when it has ended; the sweep runs on."""
    sweep.once()
    for server in away:
        server.stop(signal.SIGQUIT)
    assert running.end() == 0
    with suppress(ServiceFault):
        sweep.once()
    for server in away:
        server.start()


@pytest.mark.parametrize("away", ["nothing", "redis", "database"])
def test_a_worker_that_is_asked_to_stop_in_the_middle_hands_back_whatever_is_away(
    settings: Settings, database: Database, redis: Redis, postgres: Postgres, bell: Bell, receive: Receive,
    away: str,
) -> None:  # fmt: skip
    ids = receive(*(png(seed) for seed in range(3)))
    held, sweep = trap(settings, database, ids[0]), Sweep(settings, database, bell)
    with worker(settings) as running:
        bell.ring(Stage.PREPARE, "normal", ids)
        wait(lambda: holder(database, ids[0]))
        stop(running, sweep, {"nothing": (), "redis": (redis,), "database": (postgres,)}[away])
    held.restore()
    with worker(settings):
        sweep_until(settings, database, ids, State.READY, sweep)
    assert work.outcomes(database, ids[0]) == ["handed_back", "done"]
    assert_nobody_is_to_blame(database, ids)


def test_a_screen_worker_that_is_asked_to_stop_without_redis_and_database_loses_no_study_of_its_batch(
    settings: Settings, database: Database, redis: Redis, postgres: Postgres, bell: Bell, receive: Receive,
    activate: Activate, tiny_release: Path,
) -> None:  # fmt: skip
    activate(tiny_release)
    ids, sweep = receive(*(png(seed) for seed in range(3))), Sweep(settings, database, bell)
    with worker(settings):
        sweep_until(settings, database, ids, State.READY, sweep)
    with database.read() as session:
        key = session.scalars(select(Image.canonical_key).order_by(Image.id)).first()
    assert key is not None
    held = Trap(settings.var / "blobs" / key)
    with worker(settings, "screen") as running:
        bell.ring(Stage.SCREEN, "normal", ids[:1])
        wait(lambda: holder(database, ids[0]), 200)  # it makes the release's export first
        assert {holder(database, id_) for id_ in ids} == {holder(database, ids[0])}, "they are one batch"
        stop(running, sweep, (redis, postgres))
    held.restore()
    with worker(settings, "screen"):
        sweep_until(settings, database, ids, State.DONE, sweep)
    assert [work.outcomes(database, id_)[-2:] for id_ in ids] == [["handed_back", "done"]] * 3
    assert_nobody_is_to_blame(database, ids)
