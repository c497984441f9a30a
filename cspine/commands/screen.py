"""`cspine screen`: take files, folders and archives into a batch, and wait for the answers if asked to."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from cspine.commands import ledger as ledger_command
from cspine.commands.output import progress
from cspine.commands.release import ensure
from cspine.commands.service import ACTOR, Service, service
from cspine.database import now
from cspine.deadline import parse
from cspine.errors import ServiceMissing, Usage
from cspine.ingest import Intake, folder
from cspine.ledger import Ledger
from cspine.records import batches, heartbeats
from cspine.records.audit import audit
from cspine.states import Lane
from cspine.tables import Batch
from cspine.tables.intake import BATCH_NAME as NAME_LENGTH

POLL_SECONDS = 0.5


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--batch", "name", help="The batch's name; an existing one is continued. Default: date and time.")
@click.option("--lane", type=click.Choice([lane.value for lane in Lane]), default="normal", show_default=True)
@click.option("--deadline", "by", help="When it is to be done: 07:00, or a day and a time such as 2026-12-01T07:00.")
@click.option("--wait", is_flag=True, help="Start what is not running, and end when everything has its answer.")
@click.option("--json", "as_json", is_flag=True, help="Print the ledger as one JSON object.")
def screen(paths: tuple[Path, ...], name: str | None, lane: str, by: str | None, wait: bool, as_json: bool) -> int:
    """Screen the radiographs in PATHS: files, folders, ZIP archives."""
    installation = service()
    if name is not None and (len(name) > NAME_LENGTH or not name.isprintable() or not name.strip()):
        raise Usage(f"a batch's name has 1 to {NAME_LENGTH} printable characters")
    with installation.database.read() as session:
        deadline = parse(by, installation.settings.site_timezone, now(session)) if by is not None else None
    name = name or f"{datetime.now(ZoneInfo(installation.settings.site_timezone)):%Y-%m-%d %H:%M:%S}"
    with ExitStack() as stack:
        if wait:
            from cspine.embedded import WORK, running

            ensure(installation)
            stack.enter_context(running(installation.settings, WORK))
        batch, rung = submit(installation, paths, name, lane, deadline)
        if wait:
            wait_for(installation, batch)
    counted = ledger_command.report(installation, batch, as_json=as_json)
    if not wait and counted.waiting:
        with installation.database.read() as session:
            alive = rung and heartbeats.alive(session, "prepare") and heartbeats.alive(session, "screen")
        if not alive:
            click.echo("No worker runs: the studies wait, and are screened when `cspine up` is started.", err=True)
    return 1 if counted.troubled or not counted.balanced else 0


def submit(installation: Service, paths: Sequence[Path], name: str, lane: str,
           deadline: datetime | None = None) -> tuple[Batch, bool]:  # fmt: skip
    """Store every file below the paths in a batch; the second value is false where the broker does not run.

    A batch that is continued keeps its deadline where none is given.
    """
    with installation.database.write() as session:
        batch = batches.get_or_create(session, name, lane)
        audit(session, ACTOR, "submit", batch.id)
        if deadline is not None:
            batches.set_deadline(session, batch.id, deadline, ACTOR)
    intake = Intake(installation.settings, installation.database, installation.blobs, installation.bell, batch)
    found = list(folder.files(paths))
    with progress("Receiving files", len(found)) as step:
        for done, _ in enumerate(intake.receive_paths(found), 1):
            step(done)
    return batch, intake.finish()


def wait_for(installation: Service, batch: Batch) -> Ledger:
    """Wait until nothing of the batch is in work; raises `ServiceMissing` where a worker says that it cannot work."""
    with installation.database.read() as session:
        total = batches.ledger(session, batch).received
    with progress("Screening files", total) as step:
        while True:
            with installation.database.read() as session:
                counted = batches.ledger(session, batch)
                fault = heartbeats.fault(session)
            step(counted.received - counted.waiting)
            if not counted.waiting:
                return counted
            if fault is not None:
                raise ServiceMissing(fault.detail, fault.reason)
            time.sleep(POLL_SECONDS)
