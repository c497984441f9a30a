"""The time of an attempt: what cannot be done in it is left to another, and no study is left to another for ever."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from cspine.database import Database
from cspine.decoding import Decoded
from cspine.settings import Settings
from cspine.states import State
from cspine.tables import Image, ReceivedFile
from tests.cspine.records import work
from tests.worker.conftest import Receive
from tests.worker.test_prepare import film
from worker import prepare, tasks
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
