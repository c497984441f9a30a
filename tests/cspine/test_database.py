"""The database: what counts as not answering, and how many threads it serves at once."""

from contextlib import ExitStack

import pytest
from psycopg.errors import (
    AdminShutdown,
    CannotConnectNow,
    DeadlockDetected,
    IdleInTransactionSessionTimeout,
    InternalError_,
    LockNotAvailable,
    QueryCanceled,
    ReadOnlySqlTransaction,
    TooManyConnections,
)
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError

from cspine.database import Database
from cspine.errors import Contended, ServiceFault
from cspine.reasons import Reason
from cspine.settings import Settings

pytestmark = pytest.mark.services


def test_as_many_threads_as_are_asked_for_read_at_once(settings: Settings) -> None:
    database = Database.of(settings, 20)
    with ExitStack() as threads:
        for _ in range(20):
            threads.enter_context(database.read()).execute(text("SELECT 1"))
    assert database.engine.pool.checkedin() == 20  # type: ignore[attr-defined]
    database.dispose()


def test_a_pool_without_a_free_connection_is_a_fault_of_the_service(settings: Settings) -> None:
    database = Database.of(settings, 1)
    database.engine.pool._timeout = 0.01  # type: ignore[attr-defined]
    with pytest.raises(ServiceFault) as caught, ExitStack() as threads:
        for _ in range(20):
            threads.enter_context(database.read()).execute(text("SELECT 1"))
    assert caught.value.reason is Reason.DATABASE_UNAVAILABLE
    database.dispose()


def test_a_server_that_has_become_read_only_is_a_fault_of_the_service(database: Database) -> None:
    with pytest.raises(ServiceFault) as caught, database.read():
        raise InternalError("UPDATE", None, ReadOnlySqlTransaction())
    assert (caught.value.detail, caught.value.reason) == ("ReadOnlySqlTransaction", Reason.DATABASE_UNAVAILABLE)


def test_another_internal_error_stays_what_it_is(database: Database) -> None:
    with pytest.raises(InternalError), database.read():
        raise InternalError("UPDATE", None, InternalError_())


def test_a_transaction_that_was_ended_for_us_and_a_connection_that_is_gone_are_faults_of_the_service(
    database: Database,
) -> None:
    for error in (InternalError("UPDATE", None, IdleInTransactionSessionTimeout()),
                  DBAPIError("UPDATE", None, InternalError_(), connection_invalidated=True)):  # fmt: skip
        with pytest.raises(ServiceFault) as caught, database.write():
            raise error
        assert caught.value.reason is Reason.DATABASE_UNAVAILABLE


@pytest.mark.parametrize("kind", [DeadlockDetected, LockNotAvailable, QueryCanceled])
def test_what_a_server_that_answers_does_not_do_now_is_no_outage(database: Database, kind: type[Exception]) -> None:
    with pytest.raises(Contended) as caught, database.read():
        raise OperationalError("UPDATE", None, kind())
    assert (caught.value.detail, caught.value.reason) == (kind.__name__, Reason.DATABASE_BUSY)


@pytest.mark.parametrize("kind", [AdminShutdown, CannotConnectNow, TooManyConnections])
def test_a_server_that_ends_or_takes_nobody_is_an_outage(database: Database, kind: type[Exception]) -> None:
    with pytest.raises(ServiceFault) as caught, database.read():
        raise OperationalError("UPDATE", None, kind())
    assert caught.value.reason is Reason.DATABASE_UNAVAILABLE


def test_a_statement_that_takes_too_long_is_no_outage(database: Database) -> None:
    if database.sqlite:
        pytest.skip("SQLite has no time limit of a statement")
    with pytest.raises(Contended), database.read() as session:
        session.execute(text("SET LOCAL statement_timeout = '20ms'"))
        session.execute(text("SELECT pg_sleep(5)"))
