"""Studies that fail by one bug, and others by a second one under the same reason: what the canary spends on them.

The pipelines, the database and the steps of the sweep are the true ones; `python -m tests.integration.canary` does the
same with a thousand studies and the processes of an installation.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from cspine import preprocessing, retrying
from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.records import bulk, failures, sweep
from cspine.records.filters import Filter
from cspine.records.selections import Selection
from cspine.settings import Settings
from cspine.states import Outcome, State
from cspine.tables import Attempt, Result
from tests.cspine.records import work
from tests.integration import broken
from tests.worker.conftest import Activate, Receive, png
from worker import prepare, screen, tasks
from worker.runtime import Runtime

pytestmark = pytest.mark.services
FIRST, SECOND = 12, 5  # studies that fail by the one bug and by the other


class Night:
    """An installation whose pipelines run when they are told to."""

    def __init__(self, own: Runtime) -> None:
        self.own, self.settings = own, own.settings
        self._true = preprocessing.to_input, prepare.decode

    def has(self, *bugs: str) -> None:
        """Give the screen pipeline these bugs, and no others."""
        shared: Any = preprocessing
        shared.to_input = self._true[0]
        broken.infect(list(bugs))

    def work_off(self) -> None:
        """Prepare, screen and sweep until nothing moves any more."""
        while self._one(prepare.claim, prepare.run) or self._one(screen.claim, screen.run) or self._swept():
            pass

    def failed_runs(self) -> int:
        with self.own.database.read() as session:
            query = select(func.count()).select_from(Attempt).where(Attempt.outcome == Outcome.FAILED)
            return session.scalars(query).one()

    def retry(self, selection: Selection) -> bulk.BulkView:
        """Retry as a page does, wait for what becomes of it, and return that."""
        own = self.own
        bulk_id = retrying.preview(own.database, own.blobs, self.settings, "retry", selection, "ana")
        retrying.confirm(own.database, own.ring, self.settings, bulk_id, "ana")
        self.work_off()
        with own.database.read() as session:
            seen = bulk.view(session, bulk_id, self.settings)
        assert seen is not None
        return seen

    def restore(self) -> None:
        """Take every bug out."""
        shared: Any = preprocessing
        pipeline: Any = prepare
        shared.to_input, pipeline.decode = self._true

    def _one(self, claim: Callable[[Runtime], Any], pipeline: Callable[..., None]) -> bool:
        held = claim(self.own)
        if held is not None:
            tasks.attempt(self.own, held, pipeline)
        return held is not None

    def _swept(self) -> bool:
        with self.own.database.write() as session:
            due = sweep.due(session, self.settings)
        return bool(due or retrying.step(self.own.database, self.settings))


@pytest.fixture
def night(settings: Settings) -> Iterator[Night]:
    own = Runtime(settings.model_copy(update={"retry_first_seconds": 0.0}), patience=0.0)
    night = Night(own)
    yield night
    night.restore()
    own.database.dispose()


def test_a_canary_wastes_few_runs_and_a_retry_after_the_repair_clears_its_group(
    night: Night, receive: Receive, activate: Activate, database: Database, tiny_release: Path
) -> None:
    activate(tiny_release)
    ids = receive(*(png(one, rows=60) for one in range(FIRST)), *(png(100 + one, rows=70) for one in range(SECOND)))
    night.has("one", "two")
    night.work_off()
    with database.read() as session:
        first, second = failures.groups(session)
    assert (first.count, second.count, first.reason, second.reason) == (FIRST, SECOND, *["internal_error"] * 2)
    assert (first.place, second.place) == ("tests/integration/broken.py:_one", "tests/integration/broken.py:_two")
    assert first.trend.last_hour == 2 * FIRST, "an unnamed error has two tries"

    before = night.failed_runs()
    stopped = night.retry(Selection(fingerprint=first.fingerprint))
    assert (stopped.state, stopped.canary, stopped.held, stopped.progress) == ("stopped", 2, FIRST - 2, {"failed": 2})
    assert night.failed_runs() - before == 2

    night.has("two")
    before = night.failed_runs()
    partly = night.retry(Selection(chosen=Filter(reason="internal_error")))
    assert night.failed_runs() - before == 1, "the second bug's canary"
    assert partly.outcome is not None
    assert (partly.state, partly.progress) == ("stopped", {"done": FIRST, "failed": 1})
    assert partly.outcome.startswith(f"Group {second.fingerprint}: 1 of 1 tried first failed again")

    night.has()
    assert night.retry(Selection(fingerprint=second.fingerprint)).state == "done"
    assert work.states(database, ids) == {State.DONE}
    with database.read() as session:
        assert failures.groups(session) == []
        assert session.scalars(select(func.count()).select_from(Result)).one() == FIRST + SECOND


def test_a_bug_of_the_decoder_is_found_by_as_few(
    night: Night, receive: Receive, activate: Activate, database: Database, blobs: BlobStore, tiny_release: Path
) -> None:
    activate(tiny_release)
    ids = receive(*(png(one) for one in range(FIRST)))
    pipeline: Any = prepare

    def decode(*_: object) -> None:
        raise ZeroDivisionError

    pipeline.decode = decode
    night.work_off()
    assert work.states(database, ids) == {State.FAILED}
    with database.read() as session:
        (group,) = failures.groups(session)
    before = night.failed_runs()
    assert night.retry(Selection(fingerprint=group.fingerprint)).state == "stopped"
    assert night.failed_runs() - before == 2
    night.restore()
    assert night.retry(Selection(fingerprint=group.fingerprint)).state == "done"
    assert work.states(database, ids) == {State.DONE}
