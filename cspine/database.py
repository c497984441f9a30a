"""The connection to the SQL database: sessions that read, sessions that write, and the database's clock."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, create_engine, event, func, select
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, TimeoutError
from sqlalchemy.orm import Session

from cspine.errors import ServiceFault
from cspine.reasons import Reason
from cspine.settings import Settings

BUSY_SECONDS = 30
CONNECTIONS = 5  # that are kept open; more come and go
READ_ONLY = "25006"  # SQLSTATE of a server that has become a standby
# PostgreSQL's disk_full; SQLite's, its name where the WAL's index has no room, and that of a quota or a file size limit
FULL = {"53100", "SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE"}


class Database:
    """One database of one process; a forked child makes its own."""

    def __init__(self, url: str, connections: int = CONNECTIONS) -> None:
        """Prepare the engine for so many threads at once; the first session connects."""
        self.sqlite = url.startswith("sqlite")
        options: dict[str, Any] = (
            {"connect_args": {"timeout": BUSY_SECONDS}} if self.sqlite else {"pool_pre_ping": True}
        )
        self.engine = create_engine(url, pool_size=connections, **options)
        if self.sqlite:
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @classmethod
    def of(cls, settings: Settings, connections: int = CONNECTIONS) -> "Database":
        """Make the database that the settings name; `var` is made for an embedded one."""
        if not settings.database_url:
            settings.var.mkdir(parents=True, exist_ok=True, mode=0o700)
        return cls(settings.database, connections)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that only reads."""
        with named_faults(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session in one transaction, committed at the end; on SQLite it holds the write lock from the start.

        A read that is followed by a write in a deferred SQLite transaction fails at once despite the busy timeout,
        therefore BEGIN IMMEDIATE.
        """
        with named_faults(), self.engine.connect() as connection:
            connection.execution_options(writes=True)
            with Session(connection, expire_on_commit=False) as session, session.begin():
                yield session

    def dispose(self) -> None:
        """Close all connections."""
        self.engine.dispose()


@contextmanager
def named_faults() -> Iterator[None]:
    """Turn "the database does not answer" into a fault of the service, which counts as nobody's try."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        full = {getattr(error.orig, "sqlstate", None), getattr(error.orig, "sqlite_errorname", None)} & FULL
        reason = Reason.STORAGE_FULL if full else Reason.DATABASE_UNAVAILABLE
        raise ServiceFault(type(error.orig).__name__, reason) from error
    except TimeoutError as error:  # every connection of the pool is in use
        raise ServiceFault(type(error).__name__, Reason.DATABASE_UNAVAILABLE) from error
    except InternalError as error:
        if getattr(error.orig, "sqlstate", None) != READ_ONLY:
            raise
        raise ServiceFault(type(error.orig).__name__, Reason.DATABASE_UNAVAILABLE) from error


def now(session: Session) -> datetime:
    """Return the database's time in UTC: leases of several hosts are compared by one clock.

    An SQLite database lies on the machine that asks, so that its clock is ours.
    """
    if session.get_bind().dialect.name == "sqlite":
        return datetime.now(UTC)
    value: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return value.astimezone(UTC)


def lock(session: Session, key: str) -> None:
    """Let nobody else pass this point with the same key until the transaction ends.

    A transaction that writes to SQLite is alone from its start. On PostgreSQL it is an advisory lock.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's BEGIN is ours to write
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
