"""`cspine deadline`: by when a batch is to be done."""

from zoneinfo import ZoneInfo

import click

from cspine import deadline as deadlines
from cspine.commands.service import ACTOR, service
from cspine.database import now
from cspine.records import batches, forecasts
from cspine.tables import Batch

NONE = "none"


@click.command()
@click.argument("batch")
@click.argument("when")
def deadline(batch: str, when: str) -> None:
    """Set when BATCH is to be done: 07:00, a day and a time such as 2026-12-01T07:00, or `none`."""
    installation = service()
    zone = installation.settings.site_timezone
    row = installation.batch(batch)
    with installation.database.write() as session:
        chosen = None if when == NONE else deadlines.parse(when, zone, now(session))
        batches.set_deadline(session, row.id, chosen, ACTOR)
        row = session.get_one(Batch, row.id, populate_existing=True)
        told = forecasts.of_batch(session, row, installation.settings)
    if chosen is None:
        click.echo(f"Batch {row.name} has no deadline.")
        return
    click.echo(f"Batch {row.name} is to be done by {chosen.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} ({zone}).")
    click.echo(told.sentence(zone))
