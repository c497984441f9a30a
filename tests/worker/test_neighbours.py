"""Neighbours in one claim: what is wrong with one of them is nobody else's try, and keeps nobody waiting."""

from pathlib import Path

import pytest
from sqlalchemy import select

from cspine.blobs import BlobFault, BlobStore
from cspine.database import Database
from cspine.states import State
from cspine.tables import Image, ReceivedFile
from tests.cspine.records import work
from tests.worker.conftest import Activate, Receive, png
from worker import prepare, screen, tasks
from worker.runtime import Runtime

pytestmark = pytest.mark.services


def prepared(own: Runtime) -> None:
    while held := prepare.claim(own):
        tasks.attempt(own, held, prepare.run)


def screened(own: Runtime) -> None:
    while held := screen.claim(own):
        tasks.attempt(own, held, screen.run)


def spoil(blobs: BlobStore, key: str) -> None:
    """Make one blob unreadable: a folder in its place answers EISDIR, as a bad sector does EIO."""
    assert blobs.folder is not None
    (blobs.folder / key).unlink()
    (blobs.folder / key).mkdir()


def file_key(database: Database, id_: int) -> str:
    with database.read() as session:
        query = select(ReceivedFile.blob_key).where(ReceivedFile.study_id == work.row(database, id_).study_id)
        return session.scalars(query).one() or ""


def picture_key(database: Database, id_: int) -> str:
    with database.read() as session:
        query = select(Image.canonical_key).where(Image.study_id == work.row(database, id_).study_id)
        return session.scalars(query).one()


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_a_file_that_cannot_be_read_is_a_try_of_its_own_study(
    own: Runtime, receive: Receive, database: Database, bad: int
) -> None:
    ids = receive(png(1), png(2), png(3))
    spoil(own.blobs, file_key(database, ids[bad]))
    prepared(own)
    one = work.row(database, ids[bad])
    assert (one.state, one.tries, one.reason, one.error_kind) == (State.WAITING, 1, "storage_unavailable", "transient")
    assert work.states(database, [id_ for id_ in ids if id_ != ids[bad]]) == {State.READY}


def test_a_file_that_is_never_readable_comes_to_an_end(own: Runtime, receive: Receive, database: Database) -> None:
    (id_,) = receive(png(1))
    spoil(own.blobs, file_key(database, id_))
    for _ in range(own.settings.max_tries):
        prepared(own)
        if work.row(database, id_).state == State.WAITING:
            work.set_state(database, id_, State.RECEIVED)
    assert (work.row(database, id_).state, work.row(database, id_).reason) == (State.FAILED, "storage_unavailable")


def test_a_picture_that_cannot_be_read_is_a_try_of_its_own_study(
    own: Runtime, receive: Receive, activate: Activate, database: Database, tiny_release: Path
) -> None:
    activate(tiny_release)
    ids = receive(png(1), png(2), png(3))
    prepared(own)
    spoil(own.blobs, picture_key(database, ids[1]))
    screened(own)
    one = work.row(database, ids[1])
    assert (one.state, one.tries, one.reason) == (State.WAITING, 1, "storage_unavailable")
    assert work.states(database, [ids[0], ids[2]]) == {State.DONE}


def test_a_store_that_goes_away_in_the_middle_is_nobodys_try(
    own: Runtime, receive: Receive, activate: Activate, database: Database, tiny_release: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """It answers no other blob either, neither one that was read before nor one written now."""
    activate(tiny_release)
    ids = receive(png(1), png(2), png(3))
    prepared(own)
    folder = own.blobs.folder
    assert folder is not None
    true = screen._read
    read: list[int] = []

    def reading(blobs: BlobStore, image: Image) -> screen.Picture:
        read.append(image.id)
        if len(read) == 2:
            folder.rename(folder.with_name("away"))
            folder.write_bytes(b"")
        return true(blobs, image)

    monkeypatch.setattr(screen, "_read", reading)
    held = screen.claim(own)
    assert held is not None
    tasks.attempt(own, held, screen.run)
    for id_ in ids:
        row = work.row(database, id_)
        assert (row.state, row.tries, row.reason) == (State.WAITING, 0, "storage_unavailable")


def test_a_fault_that_passes_at_once_is_no_try(
    own: Runtime, receive: Receive, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = receive(png(1), png(2))
    true, faults = prepare.decode, [BlobFault("blip")]

    def decode(*arguments: object) -> object:
        if faults:
            raise faults.pop()
        return true(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(prepare, "decode", decode)
    prepared(own)
    assert work.states(database, ids) == {State.READY}
    assert [work.row(database, id_).tries for id_ in ids] == [0, 0]
