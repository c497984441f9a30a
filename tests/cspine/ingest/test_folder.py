"""Folders: what is walked over, and files that are recorded some at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.errors import ServiceFault
from cspine.ingest import folder, intake
from cspine.reasons import Reason
from cspine.records import intake as records
from cspine.settings import Settings
from cspine.tables import ReceivedFile
from tests.conftest import GIVEN_REDIS
from tests.cspine.ingest.test_intake import Door, archive, dicom, fill_the_disk, png

pytestmark = pytest.mark.services


@pytest.fixture
def door(settings: Settings, database: Database, blobs: BlobStore) -> Door:
    return Door(settings, database, blobs)


def test_a_folder_is_walked_in_order(tmp_path: Path) -> None:
    for name in ("b/2", "a/9", "a/1", "c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [name for _, name in folder.files([tmp_path, tmp_path / "c"])] == ["c", "a/1", "a/9", "b/2", "c"]


def test_a_file_that_is_gone_is_named(door: Door, tmp_path: Path) -> None:
    assert door.intake.receive_path(tmp_path / "gone.png", "gone.png")[0].reason == "unreadable"
    assert door.ledger().balanced


def test_a_source_that_fails_is_recorded_and_its_neighbour_goes_on(door: Door, tmp_path: Path) -> None:
    (tmp_path / "memory.dcm").symlink_to("/proc/self/mem")
    os.mkfifo(tmp_path / "pipe.dcm")
    for path in sorted(tmp_path.glob("*.dcm")):
        assert door.intake.receive_path(path, path.name)[0].reason == "unreadable"
    assert door.take(png(1)).disposition == "accepted"
    assert (door.ledger().rejected, door.ledger().balanced) == (2, True)


def night(folder: Path, **files: bytes) -> list[tuple[Path, str]]:
    """Write files and return them as a folder's walk does."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return [(folder / name, name) for name in files]


def test_a_folders_files_are_recorded_some_at_a_time(
    door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies, strangers and an archive among them, each with its receipts, in the order of the files."""
    monkeypatch.setattr(intake, "COMPANY", 3)
    monkeypatch.setattr(intake, "COMPANY_SECONDS", 60.0)
    real, transactions = door.intake._database.write, []

    @contextmanager
    def counted() -> Iterator[Session]:
        transactions.append(1)
        with real() as session:
            yield session

    monkeypatch.setattr(door.intake._database, "write", counted)
    paths = night(tmp_path, a=png(1), b=png(1), c=b"hello", d=archive(x=png(2), y=png(1)), e=dicom("1.2"),
                  f=dicom("1.2", 1))  # fmt: skip
    paths.insert(1, (tmp_path / "gone", "gone"))
    receipts = list(door.intake.receive_paths(paths))
    names = [[receipt.name for receipt in some] for some in receipts]
    assert names == [["a"], ["gone"], ["b"], ["c"], ["d!x", "d!y"], ["e"], ["f"]]
    dispositions = [receipt.disposition for some in receipts for receipt in some]
    assert dispositions == ["accepted", "rejected", "duplicate", "rejected", "accepted", "duplicate", "accepted",
                            "accepted"]  # fmt: skip
    assert receipts[5][0].study_id == receipts[6][0].study_id
    assert len(transactions) == 4, "a with gone and b; c; the archive; e with f"
    assert door.ledger().balanced
    assert len(list(door.blobs.keys())) == 4


def test_loose_files_of_one_transaction_miss_nothing_of_each_other(door: Door, tmp_path: Path) -> None:
    """A broken file beside a study's is none of its own; only an archive is taken to belong together."""
    accepted, rejected = (some[0] for some in door.intake.receive_paths(night(tmp_path, a=dicom("1.2"), b=png(1)[:40])))
    assert (accepted.disposition, rejected.disposition, rejected.study_id) == ("accepted", "rejected", None)
    with door.database.read() as session:
        assert session.get_one(ReceivedFile, rejected.file_id).study_id is None


def test_what_came_before_a_fault_is_recorded(door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_the_disk(door, monkeypatch, 2)
    with pytest.raises(ServiceFault):
        list(door.intake.receive_paths(night(tmp_path, a=png(1), b=png(2), c=png(3))))
    assert (door.ledger().received, door.ledger().waiting) == (2, 2)
    assert len(list(door.blobs.keys())) == 2
    assert door.intake.finish() == (GIVEN_REDIS != "")


def test_an_archive_after_files_that_cannot_be_recorded_leaves_nothing(
    door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise ServiceFault("away", Reason.DATABASE_UNAVAILABLE)

    monkeypatch.setattr(records, "admit", away)
    with pytest.raises(ServiceFault):
        list(door.intake.receive_paths(night(tmp_path, a=png(1), b=archive(x=png(2), y=png(3)))))
    assert list(door.blobs.keys()) == []
    assert door.ledger().received == 0
