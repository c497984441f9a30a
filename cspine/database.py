"""The connection to the SQL database: sessions that read, sessions that write, and the database's clock."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Dialect,
    Interval,
    String,
    cast,
    create_engine,
    event,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError, InterfaceError, InvalidatePoolError, OperationalError, TimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from cspine.errors import Contended, ServiceFault
from cspine.reasons import Reason
from cspine.settings import Settings

BUSY_SECONDS = 30
# A server that vanished without a word is noticed within half a minute, not after the two hours of TCP's own default.
REACHING = {"connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
            "tcp_user_timeout": 25_000}  # fmt: skip
FROZEN_SECONDS = 30  # a process that stands still in the middle of a transaction loses it, and with it its locks
IDLE_SECONDS = 1.0
CONNECTIONS = 5  # that are kept open; more come and go
# SQLSTATEs that come as an "internal error": a server that has become a standby, a transaction that was ended for us
AWAY = {"25006", "25P03", "25P04"}
# What a server that answers says of one statement or transaction: serialization, deadlock, lock timeout, cancelled
CONTENDED = {"40001", "40P01", "55P03", "57014"}
# PostgreSQL's disk_full; SQLite's, its name where the WAL's index has no room, and that of a quota or a file size limit
FULL = {"53100", "SQLITE_FULL", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_WRITE"}


class Database:
    """One database of one process; a forked child makes its own."""

    def __init__(self, url: str, connections: int = CONNECTIONS) -> None:
        """Prepare the engine for so many threads at once; the first session connects."""
        self.sqlite = url.startswith("sqlite")
        options: dict[str, Any] = (
            {"connect_args": {"timeout": BUSY_SECONDS}} if self.sqlite
            else {"connect_args": REACHING}
        )  # fmt: skip
        self.engine = create_engine(url, pool_size=connections, **options)
        if self.sqlite:
            event.listen(self.engine, "connect", _configure_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            event.listen(self.engine, "connect", _configure_postgresql)
            event.listen(self.engine, "checkin", _note_use)
            event.listen(self.engine, "checkout", partial(_ping_idle, self.engine.dialect))

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
    """Turn "the database does not answer" into a fault of the service, "not now" of one that does to `Contended`."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        if not error.connection_invalidated and getattr(error.orig, "sqlstate", None) in CONTENDED:
            raise Contended(type(error.orig).__name__) from error
        full = {getattr(error.orig, "sqlstate", None), getattr(error.orig, "sqlite_errorname", None)} & FULL
        reason = Reason.STORAGE_FULL if full else Reason.DATABASE_UNAVAILABLE
        raise ServiceFault(type(error.orig).__name__, reason) from error
    except TimeoutError as error:  # every connection of the pool is in use
        raise ServiceFault(type(error).__name__, Reason.DATABASE_UNAVAILABLE) from error
    except DBAPIError as error:
        if not error.connection_invalidated and getattr(error.orig, "sqlstate", None) not in AWAY:
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


def clock(session: Session, later: timedelta = timedelta()) -> datetime | ColumnElement[datetime]:
    """Return the database's time, or some time later, as a value to be written: on PostgreSQL it is not asked for."""
    if session.get_bind().dialect.name == "sqlite":
        return datetime.now(UTC) + later
    moment: ColumnElement[datetime] = func.clock_timestamp()
    return moment + literal(later, Interval()) if later else moment


def lock(session: Session, *keys: str) -> None:
    """Let nobody else pass this point with one of these keys until the transaction ends.

    A transaction that writes to SQLite is alone from its start. On PostgreSQL they are advisory locks, taken in the
    order of the keys, so that two that want the same do not wait for each other.
    """
    if keys and session.get_bind().dialect.name == "postgresql":
        wanted = select(func.unnest(cast(sorted(set(keys)), ARRAY(String)), type_=String).label("key")).subquery()
        number = func.hashtextextended(wanted.c.key, 0)
        session.execute(select(func.pg_advisory_xact_lock(number)).select_from(wanted)).all()


def _note_use(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["used"] = time.monotonic()


def _ping_idle(dialect: Dialect, connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Ask whether a connection still stands that was not used for a while; one that answered just now does."""
    if time.monotonic() - record.info.get("used", 0.0) < IDLE_SECONDS:
        return
    try:
        dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error as error:
        raise InvalidatePoolError("closed while it was idle") from error  # the others will be, too


def _configure_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's BEGIN is ours to write
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _configure_postgresql(connection: Any, _record: object) -> None:
    connection.autocommit = True
    connection.execute(f"SET idle_in_transaction_session_timeout = '{FROZEN_SECONDS}s'")
    connection.autocommit = False


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
