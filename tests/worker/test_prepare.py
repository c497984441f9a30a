"""Prepare: files become pictures one by one, each fault stays with its file, and nothing is written without a claim."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from sqlalchemy import select

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.decoding import Decoded
from cspine.records import screenings
from cspine.settings import Settings
from cspine.states import Disposition, State
from cspine.tables import Image, ReceivedFile, Study
from tests.cspine.decoding.objects import JPEGLS, ROOT, dicom
from tests.cspine.records import work
from tests.worker.conftest import Receive, png
from worker import prepare, tasks
from worker.runtime import Runtime

pytestmark = pytest.mark.services


def run(own: Runtime) -> None:
    """Do what one task does."""
    held = prepare.claim(own)
    assert held is not None
    tasks.attempt(own, held, prepare.run)


def run_all(own: Runtime) -> None:
    """Do what the tasks do until nothing is due."""
    while held := prepare.claim(own):
        tasks.attempt(own, held, prepare.run)


def film(seed: int, number: str = "3", study: str = "1", **attributes: Any) -> bytes:
    cells = np.random.default_rng(seed).integers(0, 4095, (50, 40), np.uint16)
    return dicom(cells, SOPInstanceUID=ROOT + number, StudyInstanceUID=ROOT + study, **attributes)


def broken(number: str) -> bytes:
    """Return a film with a sound header and a stream that is none."""
    return film(0, number, syntax=JPEGLS, streams=[b"\xff\xd8 no picture \xff\xd9"])


def images(database: Database) -> list[Image]:
    with database.read() as session:
        return list(session.scalars(select(Image).order_by(Image.id)))


def files(database: Database) -> list[ReceivedFile]:
    with database.read() as session:
        return list(session.scalars(select(ReceivedFile).order_by(ReceivedFile.id)))


def test_a_picture_becomes_canonical_preview_and_thumbnail(
    own: Runtime, receive: Receive, database: Database, blobs: BlobStore
) -> None:
    (id_,) = receive(png(rows=1400, columns=700))
    run(own)
    assert work.row(database, id_).state == State.READY
    (image,) = images(database)
    assert (image.rows, image.columns, image.frame) == (1400, 700, 0)
    sizes = [
        cv2.imdecode(np.frombuffer(blobs.get(key), np.uint8), cv2.IMREAD_UNCHANGED).shape
        for key in (image.canonical_key, image.preview_key, image.thumbnail_key)
    ]
    assert sizes == [(512, 256), (1024, 512), (160, 80)]
    with database.read() as session:
        study = session.get_one(Study, image.study_id)
        assert (study.thumbnail_key, study.image_count) == (image.thumbnail_key, 1)
    assert work.outcomes(database, id_) == ["done"]


def test_a_broken_file_does_not_stop_its_study(own: Runtime, receive: Receive, database: Database) -> None:
    (id_,) = receive(broken("4"), film(1, "3"))
    run(own)
    assert work.row(database, id_).state == State.READY
    assert len(images(database)) == 1
    first, second = files(database)
    assert (first.disposition, first.reason) == (Disposition.REJECTED, "corrupt")
    assert (second.disposition, second.decoded) == (Disposition.ACCEPTED, True)


def test_a_study_without_any_usable_file_fails_by_that_name(own: Runtime, receive: Receive, database: Database) -> None:
    (id_,) = receive(broken("3"))
    run(own)
    failed = work.row(database, id_)
    assert (failed.state, failed.reason, failed.error_kind) == (State.FAILED, "no_usable_image", "permanent")
    assert files(database)[0].disposition == Disposition.REJECTED


def test_files_that_come_later_are_added(own: Runtime, receive: Receive, database: Database) -> None:
    (id_,) = receive(film(1, "3"))
    run(own)
    (first,) = images(database)
    receive(film(2, "4"))
    assert work.row(database, id_).state == State.RECEIVED
    run(own)
    assert images(database)[0].id == first.id
    assert len(images(database)) == 2


def test_a_part_that_comes_while_the_first_is_decoded_has_both_read_once(
    own: Runtime, receive: Receive, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    (id_,) = receive(film(1, "3"))
    true = prepare.decode

    def decode(file: Any, name: str, settings: Settings) -> Decoded:
        monkeypatch.setattr(prepare, "decode", true)
        receive(film(2, "4"))
        return true(file, name, settings)

    monkeypatch.setattr(prepare, "decode", decode)
    run(own)
    assert (work.row(database, id_).state, images(database)) == (State.RECEIVED, [])
    run(own)
    assert work.row(database, id_).state == State.READY
    assert [image.sop_uid for image in images(database)] == [ROOT + "3", ROOT + "4"]
    assert work.outcomes(database, id_) == ["superseded", "done"]


def test_the_flag_of_a_missing_part_comes_and_goes_and_nobody_waits_for_it(
    own: Runtime, receive: Receive, database: Database
) -> None:
    (id_,) = receive(film(1, "3", NumberOfStudyRelatedInstances=2))
    for flags, more in ((["partial"], film(2, "4")), ([], None)):
        run(own)
        assert work.row(database, id_).state == State.READY
        with database.read() as session:
            assert session.scalars(select(Study.flags)).one() == flags
        if more:
            receive(more)


def test_the_same_uid_with_other_pixels_is_an_image_of_its_own(
    own: Runtime, receive: Receive, database: Database
) -> None:
    receive(film(1, "3", "1"), film(2, "3", "9"))
    run_all(own)
    first, second = images(database)
    assert (first.flags, second.flags) == ([], ["uid_conflict"])
    assert [file.flags for file in files(database)] == [[], ["uid_conflict"]]
    with database.read() as session:
        assert session.get_one(Study, second.study_id).flags == ["uid_conflict"]


def test_the_same_picture_under_another_header_is_a_duplicate(
    own: Runtime, receive: Receive, database: Database, blobs: BlobStore
) -> None:
    (id_,) = receive(film(1))
    run(own)
    kept = set(blobs.keys())
    receive(film(1, PatientName="Changed^Name"))
    run(own)
    first, second = files(database)
    assert (second.disposition, second.flags, second.duplicate_of) == ("duplicate", ["header_changed"], first.id)
    assert len(images(database)) == 1
    assert set(blobs.keys()) == kept | {second.blob_key}, "nothing is left of the pictures made in vain"
    assert work.row(database, id_).state == State.READY


def test_the_same_picture_in_another_study_is_an_image_of_that_study(
    own: Runtime, receive: Receive, database: Database
) -> None:
    """As after a merge of studies: what came before may be gone where it came from."""
    ids = receive(film(1, "3", "1"), film(1, "3", "9"))
    run_all(own)
    assert [image.flags for image in images(database)] == [[], ["header_changed"]]
    assert {file.disposition for file in files(database)} == {"accepted"}
    assert {work.row(database, id_).state for id_ in ids} == {State.READY}


def test_a_file_whose_blob_is_gone_fails_by_that_name(own: Runtime, receive: Receive, database: Database) -> None:
    (id_,) = receive(png())
    own.blobs.delete(files(database)[0].blob_key or "")
    run(own)
    assert (work.row(database, id_).state, work.row(database, id_).reason) == (State.FAILED, "blob_missing")


def fail_on(monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException) -> None:
    """Bring about what a sound decoder does not do."""
    true = prepare.decode

    def decode(file: Any, its_name: str, settings: Settings) -> Decoded:
        if its_name == name:
            raise error
        return true(file, its_name, settings)

    monkeypatch.setattr(prepare, "decode", decode)


def test_an_unnamed_fault_is_tried_once_more_then_left_out(
    own: Runtime, receive: Receive, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_on(monkeypatch, "0.bin", ZeroDivisionError())
    (id_,) = receive(film(1, "3"), film(2, "4"))
    run(own)
    waiting = work.row(database, id_)
    assert (waiting.state, waiting.reason, len(images(database))) == (State.WAITING, "internal_error", 1)
    work.set_state(database, id_, State.RECEIVED)
    run(own)
    assert work.row(database, id_).state == State.READY
    assert (files(database)[0].disposition, files(database)[0].reason) == (Disposition.REJECTED, "internal_error")


def test_an_unnamed_fault_of_the_only_file_is_kept_with_its_traceback(
    own: Runtime, receive: Receive, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_on(monkeypatch, "0.bin", ZeroDivisionError())
    (id_,) = receive(png())
    for _ in range(2):
        run(own)
        if work.row(database, id_).state == State.WAITING:
            work.set_state(database, id_, State.RECEIVED)
    assert (work.row(database, id_).state, work.row(database, id_).reason) == (State.FAILED, "internal_error")
    assert "ZeroDivisionError" in (work.attempts(database, id_)[-1].traceback or "")


def test_out_of_memory_is_counted_as_a_crash(
    own: Runtime, receive: Receive, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_on(monkeypatch, "0.bin", MemoryError())
    (id_,) = receive(png())
    for _ in range(own.settings.max_lone_attempts):
        with pytest.raises(MemoryError):
            run(own)
    assert (work.row(database, id_).state, work.row(database, id_).reason) == (State.QUARANTINED, "decoder_crash")
    assert {attempt.reason for attempt in work.attempts(database, id_)} == {"out_of_memory"}


def test_cancelled_in_the_middle_nothing_is_written(
    own: Runtime, receive: Receive, database: Database, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (id_,) = receive(png())
    before = set(blobs.keys())
    true = prepare.decode

    def decode(file: Any, name: str, settings: Settings) -> Decoded:
        with database.write() as session:
            screenings.cancel(session, [id_], "cancelled")
        return true(file, name, settings)

    monkeypatch.setattr(prepare, "decode", decode)
    run(own)
    assert work.row(database, id_).state == State.CANCELLED
    assert images(database) == []
    assert set(blobs.keys()) == before
    assert work.outcomes(database, id_) == ["superseded"]


def test_a_large_study_is_done_in_several_attempts(settings: Settings, receive: Receive, database: Database) -> None:
    own = Runtime(settings.model_copy(update={"prepare_seconds": 0}), patience=0.0)
    (id_,) = receive(*(film(seed, str(seed)) for seed in (3, 4, 5)))
    for done in (1, 2, 3):
        run(own)
        assert len(images(database)) == done
    assert work.row(database, id_).state == State.READY
    assert work.outcomes(database, id_) == ["handed_back", "handed_back", "done"]
    assert work.row(database, id_).lone_attempts == 0
    own.database.dispose()


def test_a_store_that_is_away_is_nobodys_fault(
    own: Runtime, receive: Receive, database: Database, tmp_path: Path
) -> None:
    (id_,) = receive(png())
    (tmp_path / "no folder").write_bytes(b"")
    own.blobs = BlobStore(f"file://{tmp_path}/no folder")
    run(own)
    waiting = work.row(database, id_)
    assert (waiting.state, waiting.tries, waiting.reason) == (State.WAITING, 0, "storage_unavailable")
