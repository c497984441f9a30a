"""Intake: every received file in one bucket, studies grouped, duplicates told, nothing kept that nobody reads."""

import io
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from cspine.blobs import BlobStore, Stored
from cspine.database import Database
from cspine.errors import Refused, ServiceFault
from cspine.ingest import Intake, Receipt, intake
from cspine.ledger import Ledger
from cspine.queue import Bell
from cspine.reasons import Reason
from cspine.records import batches, screenings
from cspine.records import intake as records
from cspine.settings import Settings
from cspine.states import State
from cspine.tables import Batch, ReceivedFile, Screening, Study
from tests.conftest import GIVEN_REDIS

pytestmark = pytest.mark.services


def png(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (80, 64), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def dicom(study: str, seed: int = 0, **elements: object) -> bytes:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = ComputedRadiographyImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid(entropy_srcs=[study, str(seed)])
    data.StudyInstanceUID, data.SeriesInstanceUID = study, f"{study}.1"
    data.PatientName, data.PatientID, data.Modality, data.StudyDate = "Doe^Jane", "P1", "CR", "20260301"
    data.Rows, data.Columns, data.SamplesPerPixel, data.PhotometricInterpretation = 64, 48, 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelData = np.random.default_rng(seed).integers(0, 4095, (64, 48), dtype=np.uint16).tobytes()
    for keyword, value in elements.items():
        setattr(data, keyword, value)
    file = io.BytesIO()
    pydicom.dcmwrite(file, data, enforce_file_format=True)
    return file.getvalue()


class Door:
    """One batch and an intake into it."""

    def __init__(self, settings: Settings, database: Database, blobs: BlobStore, name: str = "night") -> None:
        self.database, self.blobs = database, blobs
        with database.write() as session:
            self.batch: Batch = batches.get_or_create(session, name, "normal")
        self.intake = Intake(settings, database, blobs, Bell(settings), self.batch)

    def take(self, data: bytes, name: str = "a.png") -> Receipt:
        return self.intake.receive(io.BytesIO(data), name)[0]

    def ledger(self) -> Ledger:
        with self.database.read() as session:
            return batches.ledger(session, self.batch)


@pytest.fixture
def door(settings: Settings, database: Database, blobs: BlobStore) -> Door:
    return Door(settings, database, blobs)


def state(database: Database, study_id: str | None, to: State | None = None, reason: str | None = None) -> str:
    with database.write() as session:
        if to is not None:
            session.execute(update(Screening).where(Screening.study_id == study_id).values(state=to, reason=reason))
        return session.scalars(select(Screening.state).where(Screening.study_id == study_id)).one()


def test_a_picture_makes_a_study_in_work(door: Door) -> None:
    receipt = door.take(png(1))
    assert receipt.disposition == "accepted"
    ledger = door.ledger()
    assert (ledger.received, ledger.waiting, ledger.studies, ledger.balanced) == (1, 1, 1, True)
    assert state(door.database, receipt.study_id) == State.RECEIVED
    assert door.intake.finish() is bool(GIVEN_REDIS)  # without a broker the sweep will ring


def test_files_of_one_study_are_one_study(door: Door) -> None:
    receipts = [door.take(dicom("1.2.3", seed), f"{seed}.dcm") for seed in range(3)]
    assert len({receipt.study_id for receipt in receipts}) == 1
    with door.database.read() as session:
        study = session.get_one(Study, receipts[0].study_id)
    assert (study.patient_name, study.study_date, study.study_uid) == ("Doe^Jane", "2026-03-01", "1.2.3")


def test_the_same_bytes_again_are_a_duplicate_and_no_work(door: Door) -> None:
    first, second = door.take(png(1)), door.take(png(1), "again.png")
    assert (second.disposition, second.study_id, second.ring) == ("duplicate", first.study_id, None)
    assert len(list(door.blobs.keys())) == 1


def test_the_same_bytes_at_the_same_moment(door: Door) -> None:
    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(lambda _: door.take(png(1)), range(8)))
    assert sorted(receipt.disposition for receipt in receipts) == ["accepted"] + ["duplicate"] * 7
    assert (door.ledger().studies, door.ledger().received) == (1, 8)


def test_two_files_of_a_study_at_the_same_moment(door: Door) -> None:
    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(lambda seed: door.take(dicom("1.2.9", seed)), range(8)))
    assert len({receipt.study_id for receipt in receipts}) == 1
    assert door.ledger().waiting == 8


@pytest.mark.parametrize("was", [State.FAILED, State.QUARANTINED, State.CANCELLED])
def test_a_duplicate_of_what_failed_retries_it(door: Door, was: State) -> None:
    first = door.take(png(1))
    state(door.database, first.study_id, was, "corrupt")
    again = door.take(png(1))
    assert (again.disposition, again.reason) == ("duplicate", "corrupt")
    assert again.ring is not None
    assert state(door.database, first.study_id) == State.RECEIVED


@pytest.mark.parametrize("was", list(State))
def test_a_further_file_sends_the_study_back_to_work(door: Door, was: State) -> None:
    first = door.take(dicom("1.2.3", 1))
    state(door.database, first.study_id, was)
    door.take(dicom("1.2.3", 2))
    with door.database.read() as session:
        row = screenings.shown(session, first.study_id or "")
    assert row
    assert (row.state, row.claim_id) == (State.RECEIVED, None)
    assert (row.group_id is not None) == (was is State.QUARANTINED)


def test_what_cannot_be_read_makes_a_row_of_its_batch(door: Door) -> None:
    assert door.take(b"", "empty.dcm").reason == "empty_file"
    assert door.take(b"<html>not a film</html>", "page.png").reason == "unsupported_type"
    ledger = door.ledger()
    assert (ledger.rejected, ledger.studies, ledger.balanced) == (2, 0, True)
    with door.database.read() as session:
        assert session.get_one(Batch, door.batch.id).unreadable_files == 2
    assert list(door.blobs.keys()) == []


def test_a_damaged_file_whose_header_is_whole_belongs_to_its_study(door: Door) -> None:
    first = door.take(dicom("1.2.3", 1))
    cut = door.take(dicom("1.2.3", 2)[:-900], "cut.dcm")
    assert (cut.disposition, cut.study_id) == ("accepted", first.study_id)  # prepare refuses it, and knows where


def test_litter_is_not_an_image(door: Door) -> None:
    assert door.take(b"\0" * 40, "Thumbs.db").disposition == "not_an_image"
    assert door.ledger().not_an_image == 1


def test_too_large_is_refused_and_nothing_is_kept(settings: Settings, database: Database, blobs: BlobStore) -> None:
    door = Door(settings.model_copy(update={"max_file_bytes": 1000}), database, blobs)
    assert door.take(png(1)).reason == "too_large"
    assert door.ledger().balanced
    assert list(blobs.keys()) == []


def archive(**entries: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in entries.items():
            made.writestr(name.replace("__", "/"), data)
    return file.getvalue()


def test_an_archive_gives_its_entries_by_content(door: Door) -> None:
    data = archive(night__a=png(1), night__b=png(2), notes=b"hello")
    receipts = door.intake.receive(io.BytesIO(data), "films.dcm")
    assert {receipt.name for receipt in receipts} == {"films.dcm!night/a", "films.dcm!night/b", "films.dcm!notes"}
    ledger = door.ledger()
    assert (ledger.received, ledger.waiting, ledger.rejected) == (3, 2, 1)
    assert len(list(door.blobs.keys())) == 2


def test_a_large_archive_is_recorded_in_parts(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "TOGETHER", 2)
    film = dicom("1.2.7")
    receipts = door.intake.receive(io.BytesIO(archive(a=film, b=film + b"\0", c=b"", d=b"hello", e=film)), "a.zip")
    assert [receipt.disposition for receipt in receipts] == [
        "accepted", "accepted", "rejected", "rejected", "duplicate",
    ]  # fmt: skip
    with door.database.read() as session:
        rows = session.scalars(select(ReceivedFile).order_by(ReceivedFile.id)).all()
        assert [row.study_id is not None for row in rows] == [True, True, True, False, True]
    assert door.ledger().balanced


def test_an_archive_without_pictures_is_one_rejected_file(door: Door) -> None:
    receipts = door.intake.receive(io.BytesIO(archive(notes=b"hello", more=b"x")), "a.zip")
    assert [receipt.reason for receipt in receipts] == ["archive_no_images"]
    assert door.ledger().received == 1
    assert list(door.blobs.keys()) == []


def test_an_archive_inside_an_archive_is_refused_alone(door: Door) -> None:
    receipts = door.intake.receive(io.BytesIO(archive(a=png(1), b=archive(c=png(2)))), "a.zip")
    assert [receipt.reason for receipt in receipts] == [None, "archive_nested"]
    assert len(list(door.blobs.keys())) == 1


def test_a_damaged_entry_is_refused_alone(door: Door) -> None:
    data = bytearray(archive(a=png(1), b=png(2)))
    data[60] ^= 0xFF
    receipts = door.intake.receive(io.BytesIO(bytes(data)), "a.zip")
    assert [(receipt.disposition, receipt.reason) for receipt in receipts] == [
        ("rejected", "corrupt"),
        ("accepted", None),
    ]
    assert door.ledger().balanced


def test_an_archive_that_climbs_out_is_refused_as_a_whole(door: Door) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("a.png", png(1))
        made.writestr("../b.png", png(2))
    receipts = door.intake.receive(io.BytesIO(file.getvalue()), "a.zip")
    assert [receipt.reason for receipt in receipts] == ["archive_traversal"]
    assert list(door.blobs.keys()) == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\nb.dcm", "", "\u202egpj.exe", "x" * 5000, "a\0b"])
def test_a_strange_name_is_only_shown(door: Door, name: str, tmp_path: Path) -> None:
    receipt = door.take(png(len(name)), name)
    assert receipt.name.isprintable()
    assert 0 < len(receipt.name) <= 1000
    assert receipt.disposition == "accepted"


def test_a_study_sent_again_gets_its_missing_file_back(door: Door) -> None:
    first = door.take(png(1))
    lost = next(iter(door.blobs.keys()))
    door.blobs.delete(lost)
    state(door.database, first.study_id, State.FAILED, "blob_missing")
    assert door.take(png(1)).disposition == "duplicate"
    with door.database.read() as session:
        key = session.scalars(select(ReceivedFile.blob_key).where(ReceivedFile.id == first.file_id)).one()
    assert key != lost
    assert door.blobs.get(key or "") == png(1)
    assert list(door.blobs.keys()) == [key]


def test_a_committed_file_keeps_its_blob_whatever_comes_after(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    real = door.intake._database.write

    @contextmanager
    def interrupted() -> Iterator[Session]:
        with real() as session:
            yield session
        raise KeyboardInterrupt

    monkeypatch.setattr(door.intake._database, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        door.take(png(1))
    with door.database.read() as session:
        key = session.scalars(select(ReceivedFile.blob_key)).one()
    assert list(door.blobs.keys()) == [key]


def test_what_is_not_committed_leaves_no_blob(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ServiceFault("away", Reason.DATABASE_UNAVAILABLE)

    monkeypatch.setattr(records, "admit", broken)
    with pytest.raises(ServiceFault):
        door.intake.receive(io.BytesIO(archive(a=png(1), b=png(2))), "a.zip")
    assert list(door.blobs.keys()) == []
    assert door.ledger().received == 0


def fill_the_disk(door: Door, monkeypatch: pytest.MonkeyPatch, before: int) -> None:
    """Let the store take so many blobs, and the next one no more."""
    real, count = door.blobs.put, iter(range(9))

    def full(source: io.BytesIO, limit: int | None = None) -> Stored:
        if next(count) == before:
            raise ServiceFault("full", Reason.STORAGE_FULL)
        return real(source, limit)

    monkeypatch.setattr(door.blobs, "put", full)


def test_an_archive_on_a_full_disk_leaves_nothing(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_the_disk(door, monkeypatch, 2)
    with pytest.raises(ServiceFault):
        door.intake.receive(io.BytesIO(archive(a=png(1), b=png(2))), "a.zip")
    assert list(door.blobs.keys()) == []


def test_two_receipts_of_a_rejected_file_that_is_readable_now(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(*_: object) -> None:
        raise Refused("not yet", Reason.UNSUPPORTED_TYPE)

    with monkeypatch.context() as patched:
        patched.setattr(intake, "read_header", blind)
        assert door.take(png(1)).reason == "unsupported_type"
    with ThreadPoolExecutor(4) as pool:
        receipts = list(pool.map(lambda _: door.take(png(1)), range(4)))
    assert {receipt.disposition for receipt in receipts} == {"duplicate"}
    with door.database.read() as session:
        assert len(session.scalars(select(Study)).all()) == 1
        assert session.get_one(Batch, door.batch.id).unreadable_files == 0
    assert len(list(door.blobs.keys())) == 1
