"""Bring a database to the newest schema, by Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from cspine.database import Database, named_faults

ROOT = Path(__file__).resolve().parent.parent
ADVISORY_LOCK = 0x6373706E  # "cspn": one migration at a time on PostgreSQL


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
        return MigrationContext.configure(connection).get_current_revision() == head


def _run(database: Database, revision: str, *, up: bool) -> None:
    config = _config()
    with named_faults(), database.engine.connect() as connection:
        connection.execution_options(writes=True)  # SQLite: BEGIN IMMEDIATE is the lock
        with connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
            config.attributes["connection"] = connection
            (command.upgrade if up else command.downgrade)(config, revision)
