"""`cspine ledger`: every file of a batch in exactly one bucket."""

import click

from cspine.commands.output import NOTICE, print_json, print_table
from cspine.commands.service import service
from cspine.ledger import BUCKETS, Ledger
from cspine.records import batches


@click.command()
@click.argument("batch")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def ledger(batch: str, as_json: bool) -> int:
    """Show the ledger of BATCH: what was received, and the one bucket of each file."""
    installation = service()
    row = installation.batch(batch)
    with installation.database.read() as session:
        counted = batches.ledger(session, row)
        files = list(batches.files(session, row))
    if as_json:
        print_json(counted.as_dict() | {"files": [{key: one[key] for key in one if key != "id"} for one in files]})
    else:
        show(counted)
        named = [one for one in files if one["bucket"] not in {"analysed", "waiting"} or one["flags"]]
        rows = [(one["file"], one["bucket"], one["reason"] or "", " ".join(one["flags"])) for one in named]
        if rows:
            print_table("Files that are not a plain success", ("file", "bucket", "reason", "flags"), rows)
        click.echo(NOTICE)
    return 1 if counted.troubled or not counted.balanced else 0


def show(counted: Ledger) -> None:
    """Print the counts of a ledger for a person."""
    values = counted.as_dict()
    rows = [(bucket.replace("_", " "), str(values[bucket])) for bucket in BUCKETS]
    print_table(f"Batch {counted.batch}", ("bucket", "files"), [("received", str(counted.received)), *rows])
    verdict = "balanced" if counted.balanced else "NOT BALANCED: files are missing from the ledger"
    click.echo(f"{counted.studies} studies, {counted.images} images; {verdict}")
