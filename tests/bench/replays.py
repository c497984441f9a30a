"""`python -m tests.bench.replays [STUDIES]`: what a large replay costs in rows: begin, claims, figures, promotion.

On SQLite in a temporary folder, or on the PostgreSQL that DATABASE_URL names, which must be empty. No pixels.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import insert, select

from cspine import migrate
from cspine.database import Database
from cspine.records import claims, comparisons, endings, replays, results, shadows, studies
from cspine.settings import Settings
from cspine.states import Disposition, Outcome, State
from cspine.tables import Attempt, Batch, Image, ReceivedFile, Release, Result, Screening, Study
from tests.cspine.records import makers

CHUNK = 1000
LABELS = ("normal", "fracture", "dislocation")


def main() -> int:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(var=Path(folder), redis_url="", blob_url="")
        database = Database.of(settings)
        migrate.upgrade(database)
        print(f"{count} studies on {database.engine.dialect.name}")
        batch, old, new = fill(database, count)
        with clocked("begin"), database.write() as session:
            replay = replays.begin(session, batch, new, "bench").replay
        with clocked("a shown claim beside the waiting shadows, finding nothing"), database.write() as session:
            assert claims.for_screen(session, "host:screen:1:2", "cpu", old.id, settings, 0) is None
        answer(database, settings, replay.id, new, count)
        with clocked("figures"), database.read() as session:
            compared = comparisons.compare(session, replay.id)
        with clocked("a page of changed studies"), database.read() as session:
            comparisons.changes(session, replay, 0, 10)
        with clocked("progress"), database.read() as session:
            replays.progress(session, replay.id)
        with clocked("promotion, one transaction"), database.write() as session:
            done = replays.promote(session, replay.id, "bench")
        print(f"promoted {done.promoted}, changed {compared.changed}, kappa {compared.agreement.kappa:.3f}")
        database.dispose()
    return 0


def fill(database: Database, count: int) -> tuple[Batch, Release, Release]:
    """Make a batch of studies that a release has answered, and another release."""
    with database.write() as session:
        batch, old = makers.batch(session), makers.release(session)
        new = makers.release(session, version="2", active=False)
    for start in range(0, count, CHUNK):
        with database.write() as session:
            ids = [f"study{number:017d}" for number in range(start, min(count, start + CHUNK))]
            session.execute(insert(Study), [
                {"id": id_, "study_uid": f"2.25.{id_}", "batch_id": batch.id, "lane": "normal",
                 "received_at": makers.NIGHT, "bucket": "normal", "reason": ""} for id_ in ids
            ])  # fmt: skip
            file_ids = session.scalars(insert(ReceivedFile).returning(ReceivedFile.id, sort_by_parameter_order=True), [
                {"batch_id": batch.id, "study_id": id_, "name": "a", "size": 1, "original": True,
                 "sha256": id_.ljust(64, "0"), "disposition": Disposition.ACCEPTED, "received_at": makers.NIGHT}
                for id_ in ids
            ]).all()  # fmt: skip
            own = session.scalars(insert(Screening).returning(Screening.id, sort_by_parameter_order=True), [
                {"study_id": id_, "state": State.DONE, "lane": "normal", "release_id": old.id, "stage": "screen",
                 "created_at": makers.NIGHT, "changed_at": makers.NIGHT} for id_ in ids
            ]).all()  # fmt: skip
            image_ids = session.scalars(insert(Image).returning(Image.id, sort_by_parameter_order=True), [
                {"study_id": id_, "file_id": file_id, "frame": 0, "rows": 9, "columns": 9, "display_rows": 9,
                 "display_columns": 9, "pixel_sha256": "0" * 64, "canonical_key": "c", "preview_key": "p",
                 "thumbnail_key": "t"} for id_, file_id in zip(ids, file_ids, strict=True)
            ]).all()  # fmt: skip
            first = session.get_one(Screening, own[0])
            claim_id = makers.attempt(session, first, release_id=old.id).claim_id
            attempts = session.scalars(insert(Attempt).returning(Attempt.id, sort_by_parameter_order=True), [
                {"screening_id": id_, "claim_id": claim_id, "release_id": old.id, "stage": "screen", "number": 2,
                 "company": 1, "worker": "host:1", "device": "cpu", "started_at": makers.NIGHT,
                 "outcome": Outcome.DONE, "software": "0"} for id_ in own
            ]).all()  # fmt: skip
            session.execute(insert(Result), [
                makers.answer(image, LABELS[image % 3]) | {"release_id": old.id, "attempt_id": attempt, "shown": True,
                "software": "0", "created_at": makers.NIGHT}
                for image, attempt in zip(image_ids, attempts, strict=True)
            ])  # fmt: skip
            studies.refresh(session, *ids)
    return batch, old, new


def answer(database: Database, settings: Settings, replay_id: str, new: Release, count: int) -> None:
    """Answer every shadow in claims of the usual size, every fifth with another label."""
    began, claimed = time.perf_counter(), 0.0
    while True:
        before = time.perf_counter()
        with database.write() as session:
            held = shadows.claim(session, replay_id, "host:explain:1:2", settings)
        claimed += time.perf_counter() - before
        if held is None:
            break
        with database.write() as session:
            query = select(Image.study_id, Image.id).where(Image.study_id.in_([one.study_id for one in held.members]))
            images = dict(session.execute(query).all())
            answers = {
                one.screening_id: [makers.answer(images[one.study_id], label(images[one.study_id]))]
                for one in held.members
            }
            settled = endings.settle(session, held, settings)
            results.add(session, held, settled.kept, answers, shown=False)
            shadows.answered(session, settled.succeeded, new.id)
    spent = time.perf_counter() - began
    print(
        f"{'answers, without network':58} {spent * 1000 / count:9.2f} ms a study, claims {claimed * 1000 / count:.2f}"
    )


def label(image: int) -> str:
    """Return what the candidate says of an image."""
    return LABELS[(image + (image % 5 == 0)) % 3]


@contextmanager
def clocked(words: str) -> Iterator[None]:
    """Print how long the block takes."""
    began = time.perf_counter()
    yield
    print(f"{words:58} {(time.perf_counter() - began) * 1000:9.0f} ms")


if __name__ == "__main__":
    sys.exit(main())
