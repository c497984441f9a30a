"""The migrations: up, down and up again, step by step, on SQLite and PostgreSQL, and no drift from the tables."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, inspect

from cspine import migrate
from cspine.database import Database
from cspine.tables import Table
from tests.conftest import ROOT
from tests.migrations.conftest import NOTHING, REVISIONS, SCRIPTS, At

pytestmark = pytest.mark.services

BOOKKEEPING = {"alembic_version"}


@pytest.fixture
def empty(database: Database) -> Iterator[Database]:
    """Give the test's database without any table of ours."""
    migrate.downgrade(database)
    return database


def shape(engine: Engine) -> dict[str, tuple[set[str], set[str]]]:
    """Return the columns and the indexes of every table."""
    looked = inspect(engine)
    return {
        name: (
            {column["name"] for column in looked.get_columns(name)},
            {str(index["name"]) for index in looked.get_indexes(name)},
        )
        for name in looked.get_table_names()
        if name not in BOOKKEEPING
    }


def test_the_migrations_are_one_chain() -> None:
    assert len(SCRIPTS.get_heads()) == 1
    assert len(SCRIPTS.get_bases()) == 1


def test_the_newest_schema_has_every_table(database: Database) -> None:
    assert migrate.current(database)
    assert set(shape(database.engine)) == set(Table.metadata.tables)


def test_down_leaves_nothing_behind(empty: Database) -> None:
    assert shape(empty.engine) == {}
    assert not migrate.current(empty)


@pytest.mark.parametrize("revision", REVISIONS)
def test_each_step_goes_up_down_and_up_to_the_same_schema(at: At, revision: str) -> None:
    before_it = str(SCRIPTS.get_revision(revision).down_revision or NOTHING)
    database = at(before_it)
    before = shape(database.engine)
    migrate.upgrade(database, revision)
    after = shape(database.engine)
    assert after != before
    migrate.downgrade(database, before_it)
    assert shape(database.engine) == before
    migrate.upgrade(database, revision)
    assert shape(database.engine) == after


def test_the_tables_in_code_are_those_of_the_migrations(database: Database) -> None:
    """`alembic check` raises where it would write a further migration."""
    config = Config(str(ROOT / "alembic.ini"))
    with database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.check(config)


def test_several_processes_may_migrate_at_once(empty: Database) -> None:
    url = empty.engine.url.render_as_string(hide_password=False)
    databases = [Database(url) for _ in range(3)]
    with ThreadPoolExecutor(len(databases)) as pool:
        list(pool.map(migrate.upgrade, databases))
    for database in databases:
        database.dispose()
    assert migrate.current(empty)
