"""`cspine triage`: the reading order, the worst study first."""

from datetime import UTC, datetime

import click

from cspine.commands.output import NOTICE, print_json, print_table
from cspine.commands.service import Service, service
from cspine.records import triage as records
from cspine.records.triage import Row

PAGE = 500


@click.command()
@click.option("--limit", type=click.IntRange(min=1), help="Print at most so many rows.")
@click.option("--all", "everything", is_flag=True, help="Also those that somebody has read.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def triage(limit: int | None, everything: bool, as_json: bool) -> None:
    """Print the triage list in its order."""
    rows = read(service(), limit, unread=not everything)
    if as_json:
        for row in rows:
            print_json(row.as_dict())
        return
    show(rows)


def read(installation: Service, limit: int | None, *, unread: bool = True) -> list[Row]:
    """Return the rows of the list in order."""
    rows: list[Row] = []
    cursor, moment = None, datetime.now(UTC)
    while True:
        wanted = PAGE if limit is None else min(PAGE, limit - len(rows))
        with installation.database.read() as session:
            page = records.page(session, installation.settings, moment, unread=unread, after=cursor, limit=wanted)
        rows += page.rows
        cursor = page.next
        if cursor is None or (limit is not None and len(rows) >= limit):
            return rows


def show(rows: list[Row]) -> None:
    """Print rows for a person; no patient's name stands here."""
    lines = []
    for place, row in enumerate(rows, 1):
        study = row.study
        name = study.id if study else f"batch {row.batch_name}"
        label = (study.label or "") if study else ""
        urgency = f"{study.urgency:.2f}" if study and study.label else ""
        flags = " ".join(study.flags) if study else ""
        lines.append((str(place), name, row.bucket.value, label, urgency, row.reason, flags))
    print_table("Triage list", ("", "study", "bucket", "label", "urgency", "reason", "flags"), lines)
    if any(row.release and row.release.card.get("demo") for row in rows):
        click.echo("DEMO RELEASE: trained on drawings; its answers mean nothing on real films.")
    click.echo(NOTICE)
