"""Run the migrations on the database of the settings, or on the connection that a caller hands over."""

from alembic import context
from sqlalchemy import Connection

from cspine import migrate
from cspine.database import Database
from cspine.settings import Settings
from cspine.tables import Table


def run(connection: Connection) -> None:
    """Migrate over one connection."""
    sqlite = connection.dialect.name == "sqlite"
    context.configure(connection=connection, target_metadata=Table.metadata, render_as_batch=sqlite, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with Database.of(Settings()).engine.connect() as made, migrate.unchecked(made), made.begin():
        run(made)
        migrate.check(made)
