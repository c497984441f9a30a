"""What a scrape of `/metrics` costs where a million studies are in the tables: python -m tests.bench.scrape

The rows are made by SQL, in SQLite in a temporary folder, or in the empty database of DATABASE_URL. Printed are the
first scrape of a process, which counts all that ever happened, and those after it.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from sqlalchemy import text
from sqlalchemy.orm import Session

from cspine import migrate
from cspine.database import Database
from cspine.records import measures, tallies
from cspine.settings import Settings
from tests.cspine.records import makers
from web.metrics.scrape import Scrape
from web.services import Services

QUEUED, FAILED, SET_ASIDE = 0.1, 0.03, 0.02  # shares of the studies
ROUNDS = 7
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count) "
STATE = "CASE WHEN i > :queued THEN 'received' WHEN i % :one_in = 0 THEN 'failed' ELSE 'done' END"


def main() -> int:
    """Make the rows, scrape, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1_000_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cspine-scrape-") as folder:
        given = Settings()
        settings = given.model_copy(update={"var": Path(folder), "redis_url": given.redis_url, "blob_url": ""})
        own = Services.of(settings)
        migrate.upgrade(own.database)
        began = time.perf_counter()
        fill(own.database, chosen.studies)
        kind = "SQLite" if own.database.sqlite else "PostgreSQL"
        print(f"{kind}: {chosen.studies:,} studies, of which {int(chosen.studies * QUEUED):,} wait, twice as many "
              f"attempts, made in {time.perf_counter() - began:.0f} s")  # fmt: skip
        measure(own)
        own.database.dispose()
    return 0


def measure(own: Services) -> None:
    """Print the times of scrapes and of their parts, the size of one, and how long the sweep counts the first time."""
    scrape, tally = Scrape(own), tallies.Tally()
    print(f"  a scrape before the sweep has counted {timed(scrape.text):8.0f} ms")
    with own.database.read() as session:
        steps, more = [], True
        while more:
            began = time.perf_counter()
            more = tally.advance(session)
            steps.append((time.perf_counter() - began) * 1000)
    print(f"  the sweep's count of all that was     {sum(steps):8.0f} ms, in steps of at most {max(steps):.0f} ms")
    with own.database.write() as session:
        tallies.save(session, tally)
    later = []
    for _ in range(ROUNDS):
        scrape._until = 0.0
        later.append(timed(scrape.text))
    print(f"  a scrape                              {median(later):8.1f} ms, {len(scrape.text()):,} bytes")
    parts = (measures.due, measures.states, measures.unanswered, measures.set_aside, measures.unread, tally.complete)
    for part in parts:
        with own.database.read() as session:
            spent = median(timed(lambda part=part: part(session)) for _ in range(ROUNDS))
        print(f"    {part.__name__:36}{spent:8.1f} ms")


def fill(database: Database, count: int) -> None:
    """Write a history of so many studies: done, failed, and waiting ones, with files, claims and attempts."""
    with database.write() as session:
        batch = makers.batch(session).id
        values = {"count": count, "queued": int(count * (1 - QUEUED)), "one_in": int(1 / FAILED), "batch": batch}
        when = "'2026-03-01 00:00:00.000000'" if database.sqlite else "TIMESTAMPTZ '2026-03-01 00:00:00+00'"
        began, ended = (clock(database, seconds) for seconds in (0.0, 1.25))
        false, true = "false", "true"
        put(session, f"INSERT INTO study (id, study_uid, batch_id, lane, received_at, bucket, reason, urgency, flags, "
            f"image_count, read_at) SELECT 'study' || i, '2.25.' || i, :batch, 'normal', {when}, "
            f"CASE WHEN i % 5 = 0 THEN 'positive' ELSE 'normal' END, 'in words', 0.5, '[]', 1, "
            f"CASE WHEN i % 10 = 0 THEN NULL ELSE {when} END FROM n", values)  # fmt: skip
        put(session, f"INSERT INTO received_file (id, batch_id, study_id, name, kind, sha256, size, blob_key, original,"
            f" disposition, reason, flags, decoded, received_at) SELECT i, :batch, 'study' || i, 'film', 'dicom', "
            f"'hash' || i, 10000000, 'ab/' || i, {true}, CASE WHEN i % 50 = 0 THEN 'rejected' ELSE 'accepted' END, "
            f"CASE WHEN i % 50 = 0 THEN 'corrupt' END, '[]', {true}, {when} FROM n", values)  # fmt: skip
        put(session, f"INSERT INTO screening (id, study_id, shadow, state, lane, created_at, changed_at, cpu_only, "
            f"tries, lone_attempts, stage, reason) SELECT i, 'study' || i, {false}, {STATE}, 'normal', {when}, {when}, "
            f"{false}, 0, 0, 'prepare', CASE WHEN {STATE} = 'failed' THEN 'corrupt' END FROM n", values)  # fmt: skip
        for stage, number in (("prepare", 1), ("screen", 2)):
            first = 0 if number == 1 else count
            put(session, f"INSERT INTO claim (id, stage, worker, device, size, started_at, expires_at, ended_at) "
                f"SELECT '{stage}' || i, '{stage}', 'host:{stage}:1:2', 'cpu', 1, {began}, {ended}, {ended} FROM n",
                values)  # fmt: skip
            put(session, f"INSERT INTO attempt (id, screening_id, claim_id, stage, number, company, worker, device, "
                f"started_at, ended_at, outcome, software) SELECT {first} + i, i, '{stage}' || i, '{stage}', {number}, "
                f"1, 'host:{stage}:1:2', 'cpu', {began}, {ended}, 'done', '0' FROM n", values)  # fmt: skip
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE" if database.sqlite else "VACUUM ANALYZE"))


def put(session: Session, statement: str, values: dict[str, object]) -> None:
    """Insert a row for each number; PostgreSQL has the numbers before the INSERT as SQLite has."""
    session.execute(text(NUMBERS + statement), {name: value for name, value in values.items() if f":{name}" in
                                                NUMBERS + statement})  # fmt: skip


def clock(database: Database, seconds: float) -> str:
    """Return the SQL of a time that goes on by a tenth of a second with each number."""
    if database.sqlite:
        return f"strftime('%Y-%m-%d %H:%M:%f000', '2026-03-01', '+' || (i / 10.0 + {seconds}) || ' seconds')"
    return f"TIMESTAMPTZ '2026-03-01 00:00:00+00' + (i / 10.0 + {seconds}) * INTERVAL '1 second'"


def timed(work: Callable[[], object]) -> float:
    """Return the milliseconds that something takes."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    raise SystemExit(main())
