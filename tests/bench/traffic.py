"""What a study costs in each stage of a fleet: CPU, requests and bytes at the blob store, connections.

python -m tests.bench.traffic --films 24

Real workers, one child each, one stage after the other; blobs in moto's S3, a Redis of its own, SQLite or the empty
database of DATABASE_URL. CPU of the workers is that of their processes while the stage runs, after a film to warm up.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from sqlalchemy import func, select, text

from cspine import migrate
from cspine.blobs import BlobStore
from cspine.commands.release import ensure
from cspine.commands.service import Service
from cspine.database import Database
from cspine.embedded import process
from cspine.ingest import Intake
from cspine.queue import Bell
from cspine.records import batches
from cspine.settings import Settings
from cspine.states import State
from cspine.tables import Screening
from tests import servers
from tests.bench import inputs
from tests.cspine.s3 import Server, server

SEED = 700_000
TICK = os.sysconf("SC_CLK_TCK")
SECONDS = 600.0


def main() -> int:
    """Measure in a temporary folder and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=24)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cspine-traffic-") as folder, \
            servers.redis(Path(folder) / "redis") as redis, server() as store:  # fmt: skip
        settings = Settings().model_copy(update={"var": Path(folder) / "var", "redis_url": redis.url,
                                                 "blob_url": store.url})  # fmt: skip
        database = Database.of(settings)
        migrate.upgrade(database)
        made = Service(settings, database, BlobStore(settings.blobs), Bell(settings))
        ensure(made)
        paths = inputs.write_films(Path(folder) / "films", chosen.films + 1, SEED)
        size = sum(path.stat().st_size for path in paths[1:]) / chosen.films
        print(f"{chosen.films} films of {size / 1e6:.1f} MB, {'SQLite' if database.sqlite else 'PostgreSQL'}")
        measure(made, store, redis.client(), paths)
        database.dispose()
    return 0


def measure(made: Service, store: Server, client: Redis, paths: list[Path]) -> None:
    """Take one film through everything, then the others, stage by stage."""
    intake(made, paths[:1])
    with worker(made.settings, "prepare") as preparing, worker(made.settings, "screen") as screening:
        until(made, State.DONE, 1)
        for pid in (preparing, screening):  # they stand still until it is their stage's turn
            os.kill(pid, signal.SIGSTOP)
        store.asked.clear()
        began = time.process_time()
        intake(made, paths[1:])
        tell("intake", time.process_time() - began, store, len(paths) - 1)
        was = cpu(preparing)
        os.kill(preparing, signal.SIGCONT)
        until(made, State.READY, len(paths) - 1)
        tell("prepare", cpu(preparing) - was, store, len(paths) - 1)
        was = cpu(screening)
        os.kill(screening, signal.SIGCONT)
        until(made, State.DONE, len(paths))
        tell("screen", cpu(screening) - was, store, len(paths) - 1)
        print(f"  connections of one prepare and one screen worker with one child each, and of us:"
              f" Redis {len(client.client_list())}, database {connections(made.database)}")  # fmt: skip


def tell(stage: str, seconds: float, store: Server, films: int) -> None:
    """Print what a stage has cost for each film, and forget its requests."""
    asked = Counter("LIST" if one.lists else one.method for one in store.asked)
    up, down = (sum(getattr(one, way) for one in store.asked) / films / 1e6 for way in ("up", "down"))
    requests = ", ".join(f"{count / films:.1f} {method}" for method, count in sorted(asked.items()))
    print(f"  {stage:8} CPU {seconds / films * 1000:6.0f} ms, up {up:5.2f} MB, down {down:5.2f} MB, {requests}")
    sys.stdout.flush()
    store.asked.clear()


def intake(made: Service, paths: list[Path]) -> None:
    with made.database.write() as session:
        batch = batches.get_or_create(session, "films", "normal")
    door = Intake(made.settings, made.database, made.blobs, made.bell, batch)
    for path in paths:
        door.receive_path(path, path.name)
    door.finish()


@contextmanager
def worker(settings: Settings, stage: str) -> Iterator[int]:
    """Run a worker with one child and no other setting than its addresses; give its process id."""
    var = settings.var / stage
    var.mkdir(parents=True, exist_ok=True)
    environment = settings.model_copy(update={"var": var}).environment()
    with (var / "log.txt").open("wb") as log:
        running = process.spawn([sys.executable, "-m", "cspine", "worker", "--stage", stage, "--concurrency", "1"],
                                environment, log)  # fmt: skip
    try:
        yield running.pid
    finally:
        running.kill()
        running.wait()


def until(made: Service, state: State, count: int) -> None:
    """Wait until so many screenings are in a state."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with made.database.read() as session:
            if (session.scalar(select(func.count()).where(Screening.state == state)) or 0) >= count:
                return
        time.sleep(0.1)
    raise TimeoutError(state)


def cpu(pid: int) -> float:
    """Return the CPU seconds of a process and of all below it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICK + sum(cpu(child) for child in process.children(pid))


def connections(database: Database) -> int | str:
    """Count the connections to the database, where it is a server."""
    if database.sqlite:
        return "a file"
    with database.read() as session:
        query = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return int(session.scalar(query) or 0)


if __name__ == "__main__":
    raise SystemExit(main())
