"""`cspine migrate`: bring the database to the newest schema."""

import click

from cspine import migrate as migration
from cspine.database import Database
from cspine.settings import Settings


@click.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    database = Database.of(Settings())
    migration.upgrade(database)
    click.echo("The database has the newest schema.")
