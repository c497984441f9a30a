"""`cspine cancel`: a batch is taken out of work."""

import click

from cspine.commands.output import print_json
from cspine.commands.service import ACTOR, service
from cspine.records import cancelling


@click.command()
@click.argument("batch")
@click.option("--dry-run", is_flag=True, help="Only say what would be cancelled.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def cancel(batch: str, dry_run: bool, as_json: bool) -> None:
    """Take every study of BATCH out of work that has no answer yet; answers stay."""
    installation = service()
    row = installation.batch(batch)
    with installation.database.write() as session:
        seen = cancelling.preview(session, row)
        if not dry_run:
            cancelling.cancel(session, row, ACTOR)
    if as_json:
        print_json({"batch": row.name, **seen.as_dict(), "dry_run": dry_run})
        return
    would = "would be" if dry_run else "are"
    click.echo(f"{seen.studies} studies of batch {row.name} {would} cancelled, {seen.answered} keep their answer.")
    for state, count in seen.states.items():
        click.echo(f"  {count} {'are' if dry_run else 'were'} {state}")
    if seen.shared:
        click.echo(f"  to {seen.shared} of them another batch has sent files too, which are cancelled with them")
