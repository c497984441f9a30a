"""`cspine ledger`: every file of a batch in exactly one bucket."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from cspine.commands.output import NOTICE, print_json, print_table
from cspine.commands.service import Service, service
from cspine.errors import Usage
from cspine.ledger import BUCKETS, Ledger, csv_rows
from cspine.records import batches
from cspine.tables import Batch


@click.command()
@click.argument("batch")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a line for each file, for a spreadsheet.")
def ledger(batch: str, as_json: bool, as_csv: bool) -> int:
    """Show the ledger of BATCH: what was received, and the one bucket of each file."""
    if as_json and as_csv:
        raise Usage("give one of --json and --csv")
    installation = service()
    if as_csv:
        return _csv(installation, installation.batch(batch))
    counted = report(installation, installation.batch(batch), as_json=as_json)
    return 1 if counted.troubled or not counted.balanced else 0


def _csv(installation: Service, batch: Batch) -> int:
    with installation.database.read() as session:
        for line in csv_rows(batches.files(session, batch)):
            click.echo(line, nl=False)
        counted = batches.ledger(session, batch)
    return 1 if counted.troubled or not counted.balanced else 0


def report(installation: Service, batch: Batch, *, as_json: bool) -> Ledger:
    """Print the ledger of a batch and return its counts."""
    with installation.database.read() as session:
        counted = batches.ledger(session, batch)
        files = list(batches.files(session, batch))
    if as_json:
        print_json(counted.as_dict() | {"files": [{key: one[key] for key in one if key != "id"} for one in files]})
    else:
        show(counted, files)
        click.echo(NOTICE)
    return counted


def show(counted: Ledger, files: Sequence[Mapping[str, Any]]) -> None:
    """Print the counts of a ledger, and the files that are not a plain success."""
    values = counted.as_dict()
    rows = [(bucket.replace("_", " "), str(values[bucket])) for bucket in BUCKETS]
    print_table(f"Batch {counted.batch}", ("bucket", "files"), [("received", str(counted.received)), *rows])
    verdict = "balanced" if counted.balanced else "NOT BALANCED: files are missing from the ledger"
    click.echo(f"{counted.studies} studies, {counted.images} images; {verdict}")
    named = [one for one in files if one["bucket"] not in {"analysed", "waiting"} or one["flags"]]
    lines = [(one["file"], one["bucket"], one["reason"] or "", " ".join(one["flags"])) for one in named]
    if lines:
        print_table("Files that are not a plain success", ("file", "bucket", "reason", "flags"), lines)
