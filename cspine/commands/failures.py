"""`cspine failures`: what failed, grouped by cause."""

import click

from cspine.commands.output import print_json, print_table
from cspine.commands.service import service
from cspine.records import failures as records


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def failures(as_json: bool) -> None:
    """List what failed or is quarantined, grouped by fingerprint."""
    with service().database.read() as session:
        groups = records.groups(session)
    if as_json:
        for group in groups:
            print_json(group.as_dict())
        return
    rows = [
        (one.fingerprint, str(one.count), one.kind, one.reason, one.sentence, f"{one.last_seen:%Y-%m-%d %H:%M} UTC")
        for one in groups
    ]
    print_table("Failures", ("fingerprint", "studies", "kind", "reason", "what it means", "last seen"), rows)
