"""`cspine retry`, `discard`, `cancel`: what a person does with studies that have no answer."""

import click

from cspine.commands.output import print_json
from cspine.commands.service import ACTOR, service
from cspine.errors import Usage
from cspine.records import retry as records


@click.command()
@click.argument("studies", nargs=-1)
@click.option("--group", "fingerprint", help="Everything that failed in this way (a fingerprint of `failures`).")
@click.option("--batch", "batch_name", help="Everything of this batch that failed or is quarantined.")
@click.option("--all", "everything", is_flag=True, help="Everything that failed or is quarantined.")
@click.option("--dry-run", is_flag=True, help="Only say what would be retried.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def retry(studies: tuple[str, ...], fingerprint: str | None, batch_name: str | None, everything: bool, dry_run: bool,
          as_json: bool) -> int:  # fmt: skip
    """Send STUDIES, a group, a batch or all that failed back to work."""
    if sum([bool(studies), fingerprint is not None, batch_name is not None, everything]) != 1:
        raise Usage("name studies, or give one of --group, --batch, --all")
    installation = service()
    batch = installation.batch(batch_name) if batch_name is not None else None
    with installation.database.write() as session:
        chosen = studies or records.select_studies(session, fingerprint=fingerprint, batch=batch, everything=everything)
        done = records.retry(session, chosen, ACTOR, dry_run=dry_run)
    rung = installation.ring(list(done.rings))
    if as_json:
        print_json(done.as_dict())
    else:
        click.echo(f"{done.retried} of {done.selected} studies {'would be' if dry_run else 'are'} sent back to work.")
        for skipped in done.skipped:
            click.echo(f"  not {skipped['study']}: {skipped['reason']}")
        if not rung:
            click.echo("The broker does not run: the work waits, and starts with `cspine up`.")
    return 1 if done.skipped else 0


@click.command()
@click.argument("studies", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why; kept in the audit.")
def discard(studies: tuple[str, ...], reason: str) -> int:
    """Take STUDIES out of work; they end as cancelled and can be retried."""
    installation = service()
    with installation.database.write() as session:
        changed = records.discard(session, studies, reason, ACTOR)
    click.echo(f"{len(changed)} of {len(studies)} studies are cancelled.")
    return 0 if len(changed) == len(set(studies)) else 1


@click.command()
@click.argument("batch")
def cancel(batch: str) -> None:
    """Take every study of BATCH out of work that has no answer yet."""
    installation = service()
    row = installation.batch(batch)
    with installation.database.write() as session:
        changed = records.cancel_batch(session, row, ACTOR)
    click.echo(f"{len(changed)} studies of batch {row.name} are cancelled.")
