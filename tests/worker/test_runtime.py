"""A child's writes: what the database does not do now is done again, and what it never does is an error that counts."""

import pytest
from sqlalchemy.orm import Session

from cspine.database import Database
from cspine.errors import Contended
from cspine.records.claims import Held
from cspine.settings import Settings
from cspine.states import State
from tests.cspine.records import work
from worker import tasks
from worker.lease import Lease
from worker.runtime import Runtime

pytestmark = pytest.mark.services


def test_a_deadlock_is_tried_again(settings: Settings) -> None:
    own, seen = Runtime(settings, patience=30.0), ["DeadlockDetected"]

    def once_in_a_deadlock(_session: Session) -> str:
        if seen:
            raise Contended(seen.pop())
        return "written"

    assert own.write(once_in_a_deadlock) == "written"
    own.database.dispose()


def test_a_statement_that_always_takes_too_long_counts_as_a_try(
    settings: Settings, database: Database, own: Runtime
) -> None:
    (id_,) = work.make(database, 1, State.RECEIVED)

    def slow(_own: Runtime, _held: Held, _lease: Lease) -> None:
        raise Contended("QueryCanceled")

    held = work.prepare(database, settings)
    assert held is not None
    tasks.attempt(own, held, slow)
    row = work.row(database, id_)
    assert (row.state, row.tries, row.reason) == (State.WAITING, 1, "database_busy")
