"""The time of an attempt: what cannot be done in it is left to another, and no study is left to another for ever."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from cspine.database import Database
from cspine.decoding import Decoded
from cspine.records import screenings
from cspine.settings import Settings
from cspine.states import State
from cspine.tables import Image, ReceivedFile, Result, Study
from tests.cspine.records import work
from tests.worker.conftest import Activate, Receive
from tests.worker.test_prepare import film
from worker import prepare, screen, tasks
from worker.runtime import Runtime

pytestmark = pytest.mark.services


def runs(own: Runtime, database: Database, id_: int, most: int = 12) -> None:
    """Let attempts follow each other, and each wait end, until nothing is due."""
    for _ in range(most):
        if work.row(database, id_).state == State.WAITING:
            work.set_state(database, id_, State.RECEIVED)
        held = prepare.claim(own)
        if held is None:
            return
        tasks.attempt(own, held, prepare.run)
    raise AssertionError("the study is still in work")


def failing(monkeypatch: pytest.MonkeyPatch, fails: Callable[[str], bool]) -> None:
    """Let files meet what nobody has named."""
    true = prepare.decode

    def decode(file: Any, name: str, settings: Settings) -> Decoded:
        if fails(name):
            raise ZeroDivisionError
        return true(file, name, settings)

    monkeypatch.setattr(prepare, "decode", decode)


@pytest.fixture
def slow(settings: Settings) -> Iterator[Runtime]:
    """Give a runtime whose attempts have time for one file each."""
    own = Runtime(settings.model_copy(update={"prepare_seconds": 0}), patience=0.0)
    yield own
    own.database.dispose()


def test_a_large_study_of_faults_only_comes_to_an_end(
    slow: Runtime, receive: Receive, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, lambda _name: True)
    (id_,) = receive(*(film(seed, str(seed)) for seed in (3, 4, 5)))
    runs(slow, database, id_)
    assert (work.row(database, id_).state, work.row(database, id_).reason) == (State.FAILED, "internal_error")
    assert work.outcomes(database, id_)[0] == "failed", "a fault counts although the time was over"


def test_files_at_fault_do_not_keep_the_later_ones_of_a_large_study_from_being_read(
    slow: Runtime, receive: Receive, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, lambda name: name in {"0.bin", "1.bin"})
    (id_,) = receive(*(film(seed, str(seed)) for seed in (3, 4, 5, 6)))
    runs(slow, database, id_)
    assert work.row(database, id_).state == State.READY
    with database.read() as session:
        assert len(session.scalars(select(Image.id)).all()) == 2
        reasons = session.scalars(select(ReceivedFile.reason).order_by(ReceivedFile.id)).all()
    assert reasons == ["internal_error", "internal_error", None, None]


@pytest.fixture
def films(receive: Receive, database: Database, own: Runtime) -> int:
    """Give the screening of a prepared study of five images."""
    (id_,) = receive(*(film(seed, str(seed)) for seed in range(3, 8)))
    runs(own, database, id_)
    return id_


@pytest.fixture
def hurried(own: Runtime, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """Give a runtime whose attempts have time for two images each."""
    monkeypatch.setattr(screen, "CHUNK", 2)
    own.settings = own.settings.model_copy(update={"screen_seconds": 0})
    return own


def screen_once(own: Runtime) -> None:
    held = screen.claim(own)
    assert held is not None
    tasks.attempt(own, held, screen.run)


def answered(database: Database) -> list[bool]:
    """Say of each answer whether it is shown."""
    with database.read() as session:
        return list(session.scalars(select(Result.shown).order_by(Result.id)))


def test_a_study_of_many_images_is_screened_in_several_attempts(
    hurried: Runtime, activate: Activate, database: Database, tiny_release: Path, films: int
) -> None:
    activate(tiny_release)
    for count in (2, 4):
        screen_once(hurried)
        assert work.row(database, films).state == State.READY
        assert answered(database) == [False] * count, "nothing is shown of a study that is not done"
    screen_once(hurried)
    assert work.row(database, films).state == State.DONE
    assert answered(database) == [True] * 5
    assert work.outcomes(database, films)[-3:] == ["handed_back", "handed_back", "done"]
    assert (work.row(database, films).lone_attempts, work.row(database, films).tries) == (0, 0)


def test_an_image_at_fault_counts_although_the_time_was_over(
    hurried: Runtime, activate: Activate, database: Database, tiny_release: Path, films: int
) -> None:
    activate(tiny_release)
    with database.read() as session:
        key = session.scalars(select(Image.canonical_key).order_by(Image.id)).first()
    hurried.blobs.delete(key or "")
    screen_once(hurried)
    assert (work.row(database, films).state, work.row(database, films).reason) == (State.FAILED, "blob_missing")


@pytest.mark.parametrize("ends", ["killed", "cancelled"])
def test_answers_are_stored_on_the_way_while_the_study_is_held(
    own: Runtime, activate: Activate, database: Database, tiny_release: Path, films: int,
    monkeypatch: pytest.MonkeyPatch, ends: str,
) -> None:  # fmt: skip
    activate(tiny_release)
    monkeypatch.setattr(screen, "CHUNK", 2)
    monkeypatch.setattr(screen, "STORE_SECONDS", -1.0)
    true = screen._analyse
    chunks: list[int] = []

    def analyse(*arguments: Any) -> Any:
        chunks.append(len(arguments[3]))
        if len(chunks) == 2 and ends == "killed":
            raise MemoryError
        if len(chunks) == 2:
            with database.write() as session:
                screenings.cancel(session, [films], "cancelled")
        return true(*arguments)

    monkeypatch.setattr(screen, "_analyse", analyse)
    if ends == "cancelled":
        screen_once(own)
        assert work.row(database, films).state == State.CANCELLED
        assert answered(database) == [False] * 2, "late answers are refused"
        return
    with pytest.raises(MemoryError):
        screen_once(own)
    assert answered(database) == [False] * 2
    screen_once(own)
    assert chunks == [2, 2, 2, 1], "what was stored is not asked again"
    assert answered(database) == [True] * 5


def test_a_claim_is_bounded_by_its_images(database: Database, settings: Settings) -> None:
    ids = work.make(database, 4)
    with database.write() as session:
        session.execute(update(Study).values(image_count=3))
    bounded = settings.model_copy(update={"screen_images": 7})
    assert [work.members(work.screen(database, bounded)) for _ in (1, 2)] == [ids[:2], ids[2:]]
    (large,) = work.make(database, 1)
    with database.write() as session:
        session.execute(update(Study).values(image_count=1000))
    assert work.members(work.screen(database, bounded)) == [large]
