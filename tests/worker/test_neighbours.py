"""Neighbours in one claim: what is wrong with one of them is nobody else's try, and keeps nobody waiting."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from cspine.blobs import BlobFault, BlobStore
from cspine.database import Database
from cspine.records import images, results, studies
from cspine.states import State
from cspine.tables import Claim, Image, ReceivedFile, Screening
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


def refuse(monkeypatch: pytest.MonkeyPatch, module: object, name: str, concerns: Callable[..., bool]) -> None:
    """Let a function of the records fail where a call of it concerns one study, whoever else it concerns."""
    true = getattr(module, name)

    def failing(*arguments: Any, **named: Any) -> Any:
        if concerns(*arguments):
            raise ValueError("what only this study's rows meet")
        return true(*arguments, **named)

    monkeypatch.setattr(module, name, failing)


@pytest.mark.parametrize("on_the_way", [False, True])
def test_pictures_that_cannot_be_written_are_a_try_of_their_own_study(
    own: Runtime, receive: Receive, database: Database, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch,
    on_the_way: bool,
) -> None:  # fmt: skip
    if on_the_way:
        monkeypatch.setattr(prepare, "STORE_SECONDS", -1.0)
    ids = receive(png(1), png(2), png(3))
    key = file_key(database, ids[1])
    with database.read() as session:
        file_id = session.scalars(select(ReceivedFile.id).where(ReceivedFile.blob_key == key)).one()
    refuse(monkeypatch, images, "add", lambda _, decoded: file_id in {one.file_id for one in decoded})
    prepared(own)
    row = work.row(database, ids[1])
    assert (row.state, row.tries, row.reason) == (State.WAITING, 1, "internal_error")
    assert "ValueError" in (work.attempts(database, ids[1])[0].traceback or "")
    assert work.states(database, [ids[0], ids[2]]) == {State.READY}
    assert {work.row(database, id_).tries for id_ in (ids[0], ids[2])} == {0}
    assert len(list(blobs.keys())) == 3 + 2 * 3, "nothing is left of the pictures that came to nothing"
    assert open_claims(database) == 0


def open_claims(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).where(Claim.ended_at.is_(None))) or 0


@pytest.mark.parametrize("what", ["result", "study"])
def test_answers_that_cannot_be_written_are_a_try_of_their_own_study(
    own: Runtime, receive: Receive, activate: Activate, database: Database, tiny_release: Path,
    monkeypatch: pytest.MonkeyPatch, what: str,
) -> None:  # fmt: skip
    activate(tiny_release)
    ids = receive(png(1), png(2), png(3))
    prepared(own)
    study_id = work.row(database, ids[1]).study_id
    if what == "result":
        refuse(monkeypatch, results, "add", lambda _session, _held, kept, _answers: study_id in
               {member.study_id for member in kept})  # fmt: skip
    else:
        done = select(Screening.state).where(Screening.study_id == study_id)
        refuse(monkeypatch, studies, "refresh", lambda session, *study_ids: study_id in study_ids
               and session.scalar(done) == State.DONE)  # fmt: skip
    screened(own)
    row = work.row(database, ids[1])
    assert (row.state, row.tries, row.reason) == (State.WAITING, 1, "internal_error")
    assert work.states(database, [ids[0], ids[2]]) == {State.DONE}
    assert open_claims(database) == 0


def test_one_of_which_not_even_the_failure_can_be_written_stays_in_the_claim_alone(
    own: Runtime, receive: Receive, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = receive(png(1), png(2), png(3))
    study_id = work.row(database, ids[1]).study_id
    refuse(monkeypatch, studies, "refresh", lambda _session, *study_ids: study_id in study_ids)
    held = prepare.claim(own)
    assert held is not None
    tasks.attempt(own, held, prepare.run)
    assert work.states(database, [ids[0], ids[2]]) == {State.READY}
    row = work.row(database, ids[1])
    assert (row.state, row.claim_id, open_claims(database)) == (State.PREPARING, held.claim_id, 1)
