"""`cspine failures`: what failed, grouped by cause."""

import click

from cspine.commands.output import print_json, print_table
from cspine.commands.selecting import narrowed, narrowing
from cspine.commands.service import service
from cspine.records import failures as records


@click.command()
@narrowing
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def failures(fields: tuple[str, ...], as_json: bool) -> None:
    """List what failed or is quarantined, grouped by fingerprint, with how often it did in the last hour, day, week."""
    installation = service()
    chosen = narrowed(installation, fields)
    with installation.database.read() as session:
        groups = records.groups(session, chosen)
    if as_json:
        for group in groups:
            print_json(group.as_dict())
        return
    rows = [
        (one.fingerprint, str(one.count), one.kind, one.reason, one.sentence,
         f"{one.trend.last_hour} / {one.trend.last_day} / {one.trend.last_week}",
         f"{one.last_seen:%Y-%m-%d %H:%M} UTC", "; ".join(one.changed))
        for one in groups
    ]  # fmt: skip
    columns = ("fingerprint", "studies", "kind", "reason", "what it means", "1 h / 24 h / 7 d", "last seen",
               "changed since")  # fmt: skip
    print_table("Failures", columns, rows)
