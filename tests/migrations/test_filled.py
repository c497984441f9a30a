"""The migrations on tables that hold something: every step, up and down, loses no row and leaves no loose end."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import JSON, Boolean, Column, DateTime, MetaData, String, func, insert, select, text

from cspine import migrate
from cspine.database import Database
from tests.migrations.conftest import NOTHING, SCRIPTS, At

pytestmark = pytest.mark.services

STEPS = [(str(script.down_revision), script.revision) for script in SCRIPTS.walk_revisions() if script.down_revision]
NIGHT = datetime(2026, 1, 1, 2, tzinfo=UTC)
BOOKKEEPING = "alembic_version"


def tables(database: Database) -> MetaData:
    found = MetaData()
    found.reflect(database.engine)
    found.remove(found.tables[BOOKKEEPING])
    return found


def value(column: Column[Any]) -> Any:
    kind = column.type
    if isinstance(kind, JSON):
        return {}
    if isinstance(kind, Boolean):
        return False
    if isinstance(kind, DateTime):
        return NIGHT
    return "x" if isinstance(kind, String) else 1


def fill(database: Database) -> None:
    """Put one row into every table, which names that of every table it refers to."""
    rows: dict[str, dict[str, Any]] = {}
    with database.write() as session:
        for table in tables(database).sorted_tables:
            row = rows.setdefault(table.name, {})
            for column in table.columns:
                parents = [key.column for key in column.foreign_keys if key.column.table is not table]
                if parents:
                    row[column.name] = rows[parents[0].table.name][parents[0].name]
                elif not column.nullable:
                    row[column.name] = value(column)
            session.execute(insert(table).values(row))


def counts(database: Database) -> dict[str, int]:
    with database.read() as session:
        return {name: session.scalar(select(func.count()).select_from(table)) or 0
                for name, table in tables(database).tables.items()}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), STEPS)
def test_a_step_up_and_down_loses_no_row(at: At, before: str, after: str) -> None:
    database = at(before)
    fill(database)
    old = counts(database)
    migrate.upgrade(database, after)
    assert {name: count for name, count in counts(database).items() if name in old} == old
    migrate.upgrade(database)
    assert {name: count for name, count in counts(database).items() if name in old} == old
    migrate.downgrade(database, before)
    assert counts(database) == old


def test_a_full_database_goes_all_the_way_down_and_up(database: Database) -> None:
    fill(database)
    assert set(counts(database).values()) == {1}
    migrate.downgrade(database)
    assert counts(database) == {}
    migrate.upgrade(database)
    assert set(counts(database).values()) == {0}


def test_the_newest_result_of_an_image_is_the_one_that_is_shown(at: At) -> None:
    database = at("0004")
    fill(database)
    with database.write() as session:
        result = tables(database).tables["result"]
        (row,) = session.execute(select(result)).mappings()
        session.execute(insert(result).values({**row, "id": 2, "preprocessing": "newer"}))
    migrate.upgrade(database)
    with database.read() as session:
        assert session.execute(text("SELECT id, shown FROM result ORDER BY id")).all() == [(1, False), (2, True)]


def test_sqlite_checks_references_again_after_a_migration(database: Database, at: At) -> None:
    if not database.sqlite:
        pytest.skip("PostgreSQL never stops checking them")
    migrate.upgrade(at(NOTHING))
    with database.read() as session:
        assert session.scalar(text("PRAGMA foreign_keys")) == 1


def test_a_migration_that_leaves_a_loose_end_is_taken_back(database: Database, at: At) -> None:
    if not database.sqlite:
        pytest.skip("PostgreSQL never stops checking them")
    at("0004")
    fill(database)
    with database.engine.connect() as connection, migrate.unchecked(connection), connection.begin():
        connection.execute(text("DELETE FROM study"))
    with pytest.raises(migrate.LooseEnds, match="image"):
        migrate.upgrade(database)
    with database.read() as session:
        assert session.scalar(text("SELECT version_num FROM alembic_version")) == "0004"
        assert session.scalar(text("PRAGMA foreign_keys")) == 1
