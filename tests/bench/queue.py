"""What the queue costs: studies without pixels through enqueue, both claims and result, beside plain Celery tasks.

python -m tests.bench.queue

Real PostgreSQL (that waits for its disk), SQLite, a real Redis and one real worker with two children, whose pipelines
are the true ones except that nothing is decoded and no network runs: each study gets its rows at intake, an image, a
result with a map, and what the list shows. Plain tasks, one message each, take turns with the studies of both
databases in the same run; medians are printed. Then the same with up to 100,000 studies waiting.
"""

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from statistics import median

from celery import Celery
from sqlalchemy import insert, select

from cspine import migrate
from cspine.blobs import Stored
from cspine.database import Database, now
from cspine.decoding import Header
from cspine.embedded import process
from cspine.queue import Bell, connect
from cspine.records import batches, intake
from cspine.settings import Settings
from cspine.states import IN_WORK, Disposition, Lane, Stage, State
from cspine.tables import ReceivedFile, Release, Screening, Study, new_id
from tests.servers import Postgres, Redis, missing

GROUP = 100  # files recorded in one transaction, as entries of an archive are
POLL_SECONDS = 0.05
DEEP_POLL_SECONDS = 0.25  # the question looks at all that wait
PATIENCE_SECONDS = 600.0
LIMITS = {"SQLite": 5.0, "PostgreSQL": 7.0}
FLAT = 1.3
_numbers = itertools.count()


class House:
    """An installation and its worker."""

    def __init__(self, settings: Settings) -> None:
        """Make the database and a release that is active."""
        self.settings, self.database, self.bell = settings, Database.of(settings), Bell(settings)
        self._plain = Celery("plain", broker=settings.redis_url, set_as_current=False)
        migrate.upgrade(self.database)
        with self.database.write() as session:
            session.add(Release(identity="0" * 64, name="none", version="1", card={}, imported_at=now(session),
                                active=True))  # fmt: skip
            self.batch = batches.get_or_create(session, "bench", Lane.NORMAL)

    def plain(self, count: int) -> float:
        """Send plain tasks, wait for the last, and return milliseconds for one."""
        began = time.perf_counter()
        with self._plain.producer_or_acquire() as producer:
            for number in range(count):
                self._plain.send_task("plain", args=[number], producer=producer)
        with connect(self.settings) as client:
            while client.llen("celery") or client.hlen("unacked"):
                time.sleep(POLL_SECONDS)
        return (time.perf_counter() - began) * 1000 / count

    def studies(self, count: int) -> float:
        """Enqueue studies, wait until as many have an answer, and return milliseconds for one."""
        last = self._oldest(count)
        began = time.perf_counter()
        for start in range(0, count, GROUP):
            self._receive(min(GROUP, count - start))
        end = time.monotonic() + PATIENCE_SECONDS
        while not self._done(last or self._newest()):
            assert time.monotonic() < end, "the worker does not work"
            time.sleep(POLL_SECONDS if last is None else DEEP_POLL_SECONDS)
        return (time.perf_counter() - began) * 1000 / count

    def fill(self, count: int) -> None:
        """Put studies into the queue, quicker than any intake."""
        with self.database.write() as session:
            moment = now(session) - timedelta(days=1)
            ids = [new_id() for _ in range(count)]
            common = {"batch_id": self.batch.id, "received_at": moment}
            studies = [common | {"id": id_, "study_uid": id_, "lane": Lane.NORMAL.value, "bucket": "not_analysed",
                                 "reason": "In work"} for id_ in ids]  # fmt: skip
            files = [common | {"study_id": id_, "name": "bench.png", "kind": "png", "sha256": _sha256(), "size": 1,
                               "blob_key": f"bench/{id_}", "original": True, "disposition": Disposition.ACCEPTED.value,
                               "flags": []} for id_ in ids]  # fmt: skip
            rows = [{"study_id": id_, "state": State.RECEIVED.value, "lane": Lane.NORMAL.value, "created_at": moment,
                     "changed_at": moment} for id_ in ids]  # fmt: skip
            for table, values in ((Study, studies), (ReceivedFile, files), (Screening, rows)):
                session.execute(insert(table), values)
        if self.database.sqlite:  # what so large a transaction has left to be done is not a queue's cost
            with self.database.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        self.bell.ring(Stage.PREPARE, Lane.NORMAL, [0])

    def _receive(self, count: int) -> None:
        incoming = [intake.Incoming("bench.png", Stored(f"bench/{new_id()}", _sha256(), 1), Header("png"))
                    for _ in range(count)]  # fmt: skip
        with self.database.write() as session:
            receipts = intake.admit(session, self.batch, incoming)
        self.bell.ring(Stage.PREPARE, Lane.NORMAL, [one.ring.screening_id for one in receipts if one.ring])

    def _oldest(self, count: int) -> int | None:
        """Return the id of the last of the oldest studies in work."""
        query = select(Screening.id).where(Screening.state == State.RECEIVED).order_by(Screening.id)
        with self.database.read() as session:
            return session.scalar(query.offset(count - 1).limit(1))

    def _newest(self) -> int:
        with self.database.read() as session:
            return session.scalars(select(Screening.id).order_by(Screening.id.desc()).limit(1)).one()

    def _done(self, last: int) -> bool:
        with self.database.read() as session:
            query = select(Screening.id).where(Screening.state.in_(IN_WORK), Screening.id <= last).limit(1)
            return session.scalar(query) is None


def _sha256() -> str:
    return f"{next(_numbers):064x}"


@contextmanager
def house(settings: Settings, folder: Path) -> Iterator[House]:
    """Make an installation and run its worker until the block ends."""
    made = House(settings)
    with (folder / "worker.log").open("ab") as log:
        workers = [process.spawn([sys.executable, "-m", f"tests.bench.{name}"], settings.environment(), log)
                   for name in ("noop", "plain")]  # fmt: skip
    try:
        made.plain(100)
        made.studies(100)
        yield made
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()
        made.database.dispose()


@contextmanager
def houses(root: Path) -> Iterator[dict[str, House]]:
    """Give an installation on SQLite and one on PostgreSQL, each with a Redis of its own."""
    with ExitStack() as stack:
        postgres = Postgres(root / "postgres", durable=True)
        postgres.start()
        stack.callback(postgres.stop)
        postgres.create()
        found = {}
        for name, url in (("SQLite", ""), ("PostgreSQL", postgres.url)):
            folder = root / name.lower()
            redis = Redis(folder / "redis")
            redis.start()
            stack.callback(redis.stop)
            settings = Settings(var=folder / "var", database_url=url, redis_url=redis.url)
            found[name] = stack.enter_context(house(settings, folder))
        yield found


def cost(own: dict[str, House], count: int, rounds: int) -> bool:
    """Print the time of one study beside that of one plain task; false where a limit is not kept."""
    plain: list[float] = []
    ours: dict[str, list[float]] = {name: [] for name in own}
    for _ in range(rounds):
        for name, one in own.items():
            plain.append(one.plain(count))
            ours[name].append(one.studies(count))
    print(f"\n{count} studies of no pixels, {rounds} rounds by turns, medians; two children")
    print(f"  {'plain Celery, one message each':32} {median(plain):6.2f} ms   {1000 / median(plain):7.0f} a second")
    kept = True
    for name, found in ours.items():
        value = median(found)
        times = value / median(plain)
        kept &= times <= LIMITS[name]
        print(f"  {name:32} {value:6.2f} ms   {1000 / value:7.0f} a second   {times:5.2f} times plain, "
              f"at most {LIMITS[name]:.0f}   (rounds: {', '.join(f'{one:.2f}' for one in found)})")  # fmt: skip
        sys.stdout.flush()
    return kept


def depth(own: dict[str, House], count: int, depths: list[int]) -> bool:
    """Print the time of one study with so many waiting; false where it is not flat."""
    print(f"\n{count} studies with so many others waiting, milliseconds each")
    flat = True
    for name, one in own.items():
        found: dict[int, float] = {}
        waiting = 0
        for target in depths:
            one.fill(target - waiting)
            found[target], waiting = one.studies(count), target
        ratio = max(found.values()) / found[depths[0]]
        flat &= ratio <= FLAT
        row = "   ".join(f"{key:,}: {value:.2f}" for key, value in found.items())
        print(f"  {name:12} {row}   {ratio:.2f} times the first, at most {FLAT}")
        sys.stdout.flush()
    return flat


def main() -> int:
    """Measure in a temporary folder and print; 1 where a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--waiting", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--sample", type=int, default=3000, help="studies measured at each depth")
    chosen = parser.parse_args()
    if why := missing():
        print(why)
        return 3
    with tempfile.TemporaryDirectory(prefix="cspine-bench-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user
        with houses(Path(folder)) as own:
            kept = cost(own, chosen.studies, chosen.rounds)
            flat = depth(own, chosen.sample, chosen.waiting) if chosen.waiting else True
    return 0 if kept and flat else 1


if __name__ == "__main__":
    sys.exit(main())
