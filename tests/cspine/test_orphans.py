"""Orphan blobs: found and removed, and never one that a row names or that somebody is writing."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from cspine import orphans
from cspine.blobs import BlobStore, Found
from cspine.database import Database
from cspine.errors import ServiceFault, Usage
from cspine.orphans import Names, Walk, Watch
from cspine.reasons import Reason
from cspine.records import blob_names
from cspine.settings import Settings
from cspine.states import State
from cspine.tables import Explanation, Screening, Table
from tests.cspine.records import makers
from tests.cspine.s3 import Server, server

pytestmark = pytest.mark.services

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Age = Callable[[str, float], None]


@pytest.fixture
def age(settings: Settings) -> Age:
    """Give a function that lets a blob have been written so many hours ago."""

    def do(key: str, hours: float) -> None:
        path = settings.var / "blobs" / key
        moment = path.stat().st_mtime - hours * 3600
        os.utime(path, (moment, moment))

    return do


@dataclass
class Clock:
    """A steady clock that the test sets."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


def name_everything(database: Database, blobs: BlobStore) -> set[str]:
    """Write a blob for each column that names one, and for the files of studies in every state; return the keys."""
    put = blobs.put_bytes
    with database.write() as session:
        batch = makers.batch(session)
        keys = []
        for state in State:
            study = makers.study(session, batch, state, thumbnail_key=put(b"t", ".jpg"))
            file = makers.file(session, batch, study, blob_key=put(b"file"))
            image = makers.image(session, study, file, canonical_key=put(b"c", ".png"), preview_key=put(b"p", ".jpg"),
                                 thumbnail_key=put(b"t", ".jpg"))  # fmt: skip
            keys += [study.thumbnail_key, file.blob_key, image.canonical_key, image.preview_key, image.thumbnail_key]
        attempt = makers.attempt(session, session.query(Screening).filter_by(study_id=study.id).one())
        result = makers.result(session, image, attempt, makers.release(session), "normal", 0.9)
        map_ = Explanation(result_id=result.id, method="gradcam", state="done", requested_by="ada",
                           requested_at=makers.NIGHT, blob_key=put(b"map", ".json"))  # fmt: skip
        session.add(map_)
        keys.append(map_.blob_key)
    return {key for key in keys if key}


def test_every_column_that_names_a_blob_is_known() -> None:
    """One that were not would have its blobs taken for orphans."""
    named = {str(column.expression) for _, columns in blob_names.NAMED for column in columns}
    there = {str(column) for table in Table.metadata.tables.values() for column in table.columns
             if column.name.endswith("_key")}  # fmt: skip
    assert named == there


def test_what_a_row_names_stays_however_old_it_is(database: Database, blobs: BlobStore, settings: Settings,
                                                  age: Age) -> None:  # fmt: skip
    named = name_everything(database, blobs)
    orphan, new = blobs.put_bytes(b"nobody's", ".png"), blobs.put_bytes(b"on its way", ".png")
    release = blobs.put_bytes(b"weights", key="releases/ab/model.keras")
    for key in [*named, orphan, release]:
        age(key, 25)
    found, gone = orphans.clean(database, blobs, settings, dry_run=True)
    assert (found.orphans, found.orphan_bytes, gone) == ([orphan], 8, 0)
    assert found.blobs == len(named) + 2
    _, gone = orphans.clean(database, blobs, settings, dry_run=False)
    assert gone == 1
    assert set(blobs.keys()) == named | {new, release}


def test_what_was_never_finished_is_an_orphan_too(database: Database, blobs: BlobStore, settings: Settings,
                                                  age: Age) -> None:  # fmt: skip
    whole = blobs.put_bytes(b"whole")
    for name in ("old", "new"):
        (settings.var / "blobs" / whole).with_name(f"{name * 8}.part").write_bytes(b"half")
    age(f"{whole[:2]}/{'old' * 8}.part", 25)
    found, gone = orphans.clean(database, blobs, settings, dry_run=False)
    assert (found.orphans, gone) == ([f"{whole[:2]}/{'old' * 8}.part"], 1)
    assert (settings.var / "blobs" / whole[:2] / f"{'new' * 8}.part").exists()


def test_a_row_written_after_the_walk_saves_its_blob(database: Database, blobs: BlobStore, age: Age) -> None:
    key = blobs.put_bytes(b"very late")
    age(key, 25)
    walked = Walk()
    list(orphans.walk(database, blobs, timedelta(hours=24), walked))
    assert walked.orphans == [key]
    with database.write() as session:
        makers.file(session, makers.batch(session), blob_key=key)
    assert orphans.remove(database, blobs, walked.orphans) == 0
    assert blobs.get(key) == b"very late"


def test_clocks_that_disagree_remove_nothing(database: Database, blobs: BlobStore, settings: Settings, age: Age,
                                             monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    key = blobs.put_bytes(b"an hour old, or a day")
    age(key, 1)
    monkeypatch.setattr(BlobStore, "clock", lambda self: datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(Usage, match="disagree about the time"):
        orphans.clean(database, blobs, settings, dry_run=False)
    watch = Watch(settings, database, blobs, Clock())
    assert watch.go_on(3600) == 0
    assert blobs.exists(key)


def test_it_can_be_turned_off(database: Database, blobs: BlobStore, settings: Settings) -> None:
    never = settings.model_copy(update={"orphan_hours": 0.0})
    with pytest.raises(Usage, match="never removed"):
        orphans.clean(database, blobs, never, dry_run=False)
    assert Watch(never, database, blobs).go_on(3600) == 0


@pytest.mark.parametrize("hours", [0.0, 1.0, 24.0])
def test_it_counts_each_hour_whatever_is_removed(database: Database, blobs: BlobStore, settings: Settings, age: Age,
                                                 hours: float) -> None:  # fmt: skip
    def seen() -> dict[str, int]:
        with database.read() as session:
            return blob_names.seen(session)

    clock = Clock()
    watch = Watch(settings.model_copy(update={"orphan_hours": hours}), database, blobs, clock)
    old, new = blobs.put_bytes(b"orphan"), blobs.put_bytes(b"on its way")
    age(old, 25)
    assert watch.go_on(3600) == 0
    assert seen() == {"blobs": 2, "blob_bytes": 16, "blobs_orphaned": 1}
    blobs.put_bytes(b"another")
    clock.seconds += 1800
    assert watch.go_on(3600) == 0
    assert hours == 1.0 or seen()["blobs"] == 2, "not so soon"
    clock.seconds += 1800
    gone = watch.go_on(3600)
    assert seen() == {"blobs": 3, "blob_bytes": 23, "blobs_orphaned": 1}
    assert (gone, blobs.exists(old)) == ((1, False) if hours == 1.0 else (0, True))
    clock.seconds += 40 * 3600
    assert watch.go_on(3600) == (1 if hours == 24.0 else 0)
    assert blobs.exists(old) is (hours == 0.0)
    assert blobs.exists(new)


def test_a_sweep_removes_only_what_it_has_seen_for_long(database: Database, blobs: BlobStore, settings: Settings,
                                                        age: Age) -> None:  # fmt: skip
    """A clock that was set a day ahead makes everything look old: by the steady clock it is not."""
    key = blobs.put_bytes(b"orphan")
    age(key, 25)
    clock = Clock()
    watch = Watch(settings, database, blobs, clock)
    for hours, gone in ((0, 0), (6, 0), (6, 0), (11, 0), (1.5, 1), (13, 0)):
        clock.seconds += hours * 3600
        assert watch.go_on(3600) == gone
    assert not blobs.exists(key)
    with database.read() as session:
        assert blob_names.seen(session) == {"blobs": 0, "blob_bytes": 0, "blobs_orphaned": 0}


def test_a_walk_is_done_a_little_at_a_time(database: Database, blobs: BlobStore, settings: Settings) -> None:
    for _ in range(40):
        blobs.put_bytes(b"some")
    watch = Watch(settings, database, blobs)
    calls = 0
    while True:
        watch.go_on(0.0)
        calls += 1
        with database.read() as session:
            if seen := blob_names.seen(session):
                break
    assert seen == {"blobs": 40, "blob_bytes": 160, "blobs_orphaned": 0}
    assert calls > 200


def test_a_walk_that_breaks_off_begins_anew(database: Database, blobs: BlobStore, settings: Settings,
                                            monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    def away(_self: BlobStore, _place: str) -> list[Found]:
        raise ServiceFault("away", Reason.STORAGE_UNAVAILABLE)

    blobs.put_bytes(b"some")
    watch = Watch(settings, database, blobs)
    with monkeypatch.context() as patch:
        patch.setattr(BlobStore, "walk", away)
        with pytest.raises(ServiceFault):
            watch.go_on(3600)
    watch.go_on(3600)
    with database.read() as session:
        assert blob_names.seen(session)["blobs"] == 1


def test_names_are_told_apart() -> None:
    names = Names()
    names.add([f"{number:02x}/{number:030x}.png" for number in range(200)])
    names.add(["releases/x", "aa/bb"])
    names.close()
    assert all(f"{number:02x}/{number:030x}.png" in names for number in range(200))
    assert "aa/bb" in names
    assert f"ff/{'f' * 30}.png" not in names


@pytest.mark.parametrize(("hours", "said"), [(23.9, False), (24.1, True), (-5, False)])
def test_how_old_is_old(hours: float, said: bool) -> None:
    found = Found("ab/c", 1, NOW - timedelta(hours=hours))
    assert orphans.old(found, NOW, timedelta(hours=24)) is said


@pytest.fixture(scope="module")
def bucket() -> Iterator[Server]:
    with server() as made:
        yield made


def test_in_s3(database: Database, bucket: Server, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload in parts that never ended is given up, too; moto says of each that it was begun in 2010."""
    blobs = BlobStore(bucket.url)
    assert abs(blobs.clock() - datetime.now(UTC)) < timedelta(minutes=1)
    key = blobs.put_bytes(b"orphan", ".png")
    monkeypatch.setattr("cspine.blobs.PLACES", [key[:2], "no"])
    bucket.client.create_multipart_upload(Bucket=bucket.bucket, Key="cspine/ab/never-ended")
    assert blobs.abandon(datetime(2009, 1, 1, tzinfo=UTC)) == 0
    assert orphans.clean(database, blobs, settings, dry_run=False)[1] == 0, "it is new"
    assert "Uploads" not in bucket.client.list_multipart_uploads(Bucket=bucket.bucket)
    monkeypatch.setattr(orphans, "old", lambda found, moment, grace: True)
    assert orphans.clean(database, blobs, settings, dry_run=False)[1] == 1
    assert list(blobs.keys()) == []
