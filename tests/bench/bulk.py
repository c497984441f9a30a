"""What a retry of very many studies costs, on the database that DATABASE_URL names, else on SQLite.

python -m tests.bench.bulk --studies 100000

writes so many failed studies of several groups into an empty database, with one stored file each, and prints the
seconds of the failures page, of a preview, of its confirmation, and of sending all of them.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import func, insert, select

from cspine import migrate, retrying
from cspine.blobs import BlobStore
from cspine.database import Database, now
from cspine.records import bulk, failures, filters
from cspine.records.selections import Selection
from cspine.settings import Settings
from cspine.states import Disposition, Outcome, State
from cspine.tables import Attempt, Batch, Claim, ReceivedFile, Screening, Study, new_id

GROUPS = 5
CHUNK = 5000
T = TypeVar("T")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--studies", type=int, default=100_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cspine-bulk-") as folder:
        settings = Settings().model_copy(update={"var": Path(folder), "blob_url": ""})
        database, blobs = Database.of(settings), BlobStore(settings.blobs)
        migrate.upgrade(database)
        with database.read() as session:
            if session.scalar(select(func.count()).select_from(Study)):
                print("DATABASE_URL names a database that is not empty", file=sys.stderr)
                return 2
        print(f"{database.engine.dialect.name}, {chosen.studies} failed studies, {os.cpu_count()} cores")
        fill(database, blobs, chosen.studies)
        measure(database, blobs, settings)
        database.dispose()
    return 0


def measure(database: Database, blobs: BlobStore, settings: Settings) -> None:
    """Print what each step takes."""
    with database.read() as session:
        timed("failures page: groups with trends", lambda: failures.groups(session, limit=100))
        timed("failures page: what the filter offers", lambda: filters.choices(session))
        timed("one page of a filter's studies", lambda: failures.members(session))
    rings: list[Any] = []
    one = timed("preview of everything", lambda: retrying.preview(
        database, blobs, settings, "retry", Selection(everything=True), "bench"))  # fmt: skip
    with database.read() as session:
        seen = timed("page of the preview", lambda: bulk.view(session, one, settings))
    assert seen is not None
    print(f"  {seen.held} held, {seen.looked} of {seen.files} files looked up")
    timed("confirm, with the first chunk", lambda: retrying.confirm(database, rings.extend, settings, one, "bench"))
    steps: list[float] = []

    def step() -> None:
        while True:
            began = time.perf_counter()
            with database.read() as session:
                if bulk.recent(session)[0].state != "released":
                    return
            rings.extend(retrying.step(database, settings))
            steps.append(time.perf_counter() - began)

    took = timed("sending all the others, by the sweep's step", step, studies=seen.held)
    print(f"  {len(steps)} passes, the longest {max(steps, default=0):.1f} s, {len(rings)} bells")
    assert took is None
    with database.read() as session:
        after = timed("page of the retry, all sent", lambda: bulk.view(session, one, settings))
    assert after is not None
    assert after.progress == {"waiting": seen.held}, after.progress


def timed(name: str, work: Callable[[], T], studies: int = 0) -> T:
    """Do something, and print how long it takes, and of how many studies in a second."""
    began = time.perf_counter()
    done = work()
    seconds = time.perf_counter() - began
    print(f"{name:45} {seconds:8.2f} s" + (f"  {studies / seconds:8.0f} studies/s" if studies else ""), flush=True)
    return done


def fill(database: Database, blobs: BlobStore, count: int) -> None:
    """Write failed studies, each with a file, an attempt and a blob that all share."""
    key = blobs.put_bytes(b"film")
    with database.write() as session:
        moment = now(session)
        batch = Batch(id=new_id(), name="bench", lane="normal", created_at=moment)
        claim = Claim(id=new_id(), stage="prepare", worker="host", device="cpu", size=1, started_at=moment,
                      expires_at=moment, ended_at=moment)  # fmt: skip
        session.add_all([batch, claim])
    for start in range(0, count, CHUNK):
        numbers = range(start, min(count, start + CHUNK))
        ids = {number: new_id() for number in numbers}
        with database.write() as session:
            session.execute(insert(Study), [
                {"id": ids[one], "study_uid": f"2.25.{one + 1}", "batch_id": batch.id, "lane": "normal",
                 "received_at": moment, "bucket": "not_analysed", "reason": "failed", "flags": [], "station": "XR1"}
                for one in numbers])  # fmt: skip
            session.execute(insert(ReceivedFile), [
                {"batch_id": batch.id, "study_id": ids[one], "name": f"{one}.dcm", "kind": "dicom",
                 "sha256": f"{one:064x}", "size": 4, "blob_key": key, "original": True, "flags": [],
                 "disposition": Disposition.ACCEPTED.value, "received_at": moment} for one in numbers])  # fmt: skip
            session.execute(insert(Screening), [
                {"id": one + 1, "study_id": ids[one], "state": State.FAILED.value, "lane": "normal",
                 "created_at": moment, "changed_at": moment, "reason": "internal_error", "error_kind": "unknown",
                 "fingerprint": f"group{one % GROUPS}"} for one in numbers])  # fmt: skip
            session.execute(insert(Attempt), [
                {"screening_id": one + 1, "claim_id": claim.id, "stage": "prepare", "number": 1, "company": 1,
                 "worker": "host", "device": "cpu", "started_at": moment, "ended_at": moment,
                 "outcome": Outcome.FAILED.value, "reason": "internal_error", "error_kind": "unknown",
                 "fingerprint": f"group{one % GROUPS}", "software": "0"} for one in numbers])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
