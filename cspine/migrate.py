"""Bring a database to the newest schema, by Alembic."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from cspine.database import Database, named_faults
from cspine.errors import CspineError

ROOT = Path(__file__).resolve().parent.parent
ADVISORY_LOCK = 0x6373706E  # "cspn": one migration at a time on PostgreSQL


class LooseEnds(CspineError):
    """A migration would leave rows that refer to rows which are not there; it was taken back."""


def _config() -> Config:
    return Config(str(ROOT / "alembic.ini"))


def upgrade(database: Database, revision: str = "head") -> None:
    """Upgrade to a revision; safe to call from several processes at once."""
    _run(database, revision, up=True)


def downgrade(database: Database, revision: str = "base") -> None:
    """Take the schema back to a revision."""
    _run(database, revision, up=False)


def current(database: Database) -> bool:
    """Say whether the schema is the newest."""
    with named_faults(), database.engine.connect() as connection:
        head = ScriptDirectory.from_config(_config()).get_current_head()
        return _revision(connection) == head


@contextmanager
def unchecked(connection: Connection) -> Iterator[None]:
    """Let SQLite not follow references while a migration runs on a connection that is in no transaction.

    SQLite changes a table by a new one that takes its place, and would refuse to drop one that others refer to. It
    knows this switch only outside of a transaction. Other databases change their tables in place.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    raw = connection.connection.driver_connection
    assert raw is not None
    raw.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        raw.execute("PRAGMA foreign_keys=ON")


def check(connection: Connection) -> None:
    """Raise `LooseEnds` where a row of an SQLite database refers to one that is not there; reads every reference."""
    if connection.dialect.name == "sqlite":
        tables = sorted({row[0] for row in connection.exec_driver_sql("PRAGMA foreign_key_check")})
        if tables:
            raise LooseEnds(f"rows refer to others that are not there, in {', '.join(tables)}")


def _run(database: Database, revision: str, *, up: bool) -> None:
    config = _config()
    with named_faults(), database.engine.connect() as connection:
        connection.execution_options(writes=True)  # SQLite: BEGIN IMMEDIATE is the lock
        with unchecked(connection), connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
            before = _revision(connection)
            config.attributes["connection"] = connection
            (command.upgrade if up else command.downgrade)(config, revision)
            if _revision(connection) != before:
                check(connection)


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
