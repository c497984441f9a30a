"""A database at any revision that came there from nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from cspine import migrate
from cspine.database import Database
from tests.conftest import ROOT

SCRIPTS = ScriptDirectory.from_config(Config(str(ROOT / "alembic.ini")))
REVISIONS = [script.revision for script in reversed(list(SCRIPTS.walk_revisions()))]
NOTHING = "base"

At = Callable[[str], Database]


@pytest.fixture(scope="package")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Make an empty SQLite database go up step by step, and give its file at each revision."""
    path = tmp_path_factory.mktemp("ladder") / "cspine.db"
    database = Database(f"sqlite+pysqlite:///{path}")
    migrate.downgrade(database)  # no table but Alembic's own
    found = {}
    for revision in (NOTHING, *REVISIONS):
        if revision != NOTHING:
            migrate.upgrade(database, revision)
        with database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        found[revision] = path.read_bytes()
    database.dispose()
    return found


@pytest.fixture
def at(database: Database, request: pytest.FixtureRequest) -> At:
    """Give a function that brings the test's database, which is empty and was not used yet, to a revision."""

    def brought(revision: str) -> Database:
        if database.sqlite:
            Path(database.engine.url.database or "").write_bytes(request.getfixturevalue("ladder")[revision])
            return database
        migrate.downgrade(database)
        if revision != NOTHING:
            migrate.upgrade(database, revision)
        return database

    return brought
