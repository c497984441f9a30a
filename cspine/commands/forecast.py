"""`cspine forecast`: when a batch will be done."""

import click

from cspine.commands.output import print_json
from cspine.commands.service import service
from cspine.records import forecasts


@click.command()
@click.argument("batch")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def forecast(batch: str, as_json: bool) -> None:
    """Say when BATCH will be done at the present pace, and whether its deadline will be met."""
    installation = service()
    row = installation.batch(batch)
    with installation.database.read() as session:
        told = forecasts.of_batch(session, row, installation.settings)
    if as_json:
        print_json({"batch": row.name, **told.as_dict()})
        return
    click.echo(f"Batch {row.name}: {told.sentence(installation.settings.site_timezone)}")
    if told.per_minute is not None:
        click.echo(f"The queue answers {told.per_minute:.1f} studies a minute.")
