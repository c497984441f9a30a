"""`cspine batches`: the batches and how far they are."""

from zoneinfo import ZoneInfo

import click

from cspine.commands.output import print_table
from cspine.commands.service import service
from cspine.records import batches as records


@click.command()
def batches() -> None:
    """List the latest batches with their ledgers."""
    installation = service()
    zone = ZoneInfo(installation.settings.site_timezone)
    with installation.database.read() as session:
        rows = records.listing(session)
    table = [
        (row.batch.name, row.batch.lane, f"{row.batch.created_at:%Y-%m-%d %H:%M} UTC", str(row.ledger.received),
         str(row.ledger.analysed), str(row.ledger.waiting), str(row.ledger.rejected),
         str(row.ledger.failed + row.ledger.quarantined), "yes" if row.ledger.balanced else "NO",
         f"{row.batch.deadline.astimezone(zone):%Y-%m-%d %H:%M}" if row.batch.deadline else "")
        for row in rows
    ]  # fmt: skip
    columns = ("batch", "lane", "made", "received", "analysed", "waiting", "rejected", "failed", "balanced", "deadline")
    print_table("Batches", columns, table)
