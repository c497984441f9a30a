"""`cspine release`: import a model release, look at it, make it the active one."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TextIO

import click

from cspine import release_store, releases
from cspine.commands.output import print_json, print_table
from cspine.commands.service import ACTOR, Service, service
from cspine.errors import Usage
from cspine.records import releases as records
from cspine.records.audit import audit
from cspine.tables import Release

DEMO = Path(__file__).resolve().parent.parent.parent / "models" / "releases" / "demo"


@click.group()
def release() -> None:
    """Import, verify and activate model releases."""


@release.command(name="list")
def list_() -> None:
    """List the imported releases."""
    with service().database.read() as session:
        rows = records.listing(session)
    table = [
        (row.identity[:12], row.name, row.version, "active" if row.active else "", f"{row.imported_at:%Y-%m-%d %H:%M}")
        for row in rows
    ]
    print_table("Releases", ("identity", "name", "version", "", "imported (UTC)"), table)


@release.command()
@click.argument("identity")
def show(identity: str) -> None:
    """Print the card of an imported release."""
    print_json(find(service(), identity).card)


@release.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def verify(folder: Path) -> int:
    """Check the sums and the card of a release FOLDER."""
    faults = releases.verify(folder)
    for fault in faults:
        click.echo(fault)
    if not faults:
        click.echo(f"sound: {releases.identity(folder)}")
    return 1 if faults else 0


@release.command(name="import")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def import_(folder: Path) -> None:
    """Copy a release FOLDER into the blob store."""
    click.echo(f"imported: {take(service(), folder).identity}")


@release.command()
@click.argument("identity")
def activate(identity: str) -> int:
    """Make the release with this IDENTITY (or the first characters of it) the active one, once it has been loaded."""
    installation = service()
    row = find(installation, identity)
    if status := load(installation, row):
        click.echo(f"Not activated: {row.name} {row.version} ({row.identity[:12]})", err=True)
        return status
    make_active(installation, row)
    click.echo(f"active: {row.name} {row.version} ({row.identity[:12]})")
    return 0


def load(installation: Service, row: Release, output: TextIO | None = None) -> int:
    """Have a release loaded, its pinned pictures answered, and exported where that can be; return 0 if it loads.

    A process of its own does so, whose memory goes with it. One that was killed, which is how the system takes memory
    back, is followed by another that exports nothing and takes half as much. What it says goes to `output`, by default
    to where ours goes.
    """
    if find_spec("tensorflow") is None:
        click.echo("Not loaded: TensorFlow is not installed here. A screen worker loads and exports it.", err=True)
        return 0
    status = export(installation, row, "enough", output)
    if status < 0:
        click.echo("The export was killed; is there too little memory? TensorFlow alone is tried.", err=True)
        status = export(installation, row, "only", output)
    return 1 if status < 0 else status


def export(installation: Service, row: Release, content: str, output: TextIO | None = None) -> int:
    """Run `cspine export` and return how it ended."""
    command = [sys.executable, "-m", "cspine", "export", "--load", content, row.identity]
    ended = subprocess.run(command, env=installation.settings.environment(), stdout=output, check=False)
    return ended.returncode


def take(installation: Service, folder: Path) -> Release:
    """Import a release folder: blobs first, then the row."""
    identity = release_store.store(installation.blobs, folder)
    card = releases.read_card(folder)
    with installation.database.write() as session:
        row = records.add(session, identity, card.model_dump(mode="json"))
        audit(session, ACTOR, "release_import", identity)
    return row


def make_active(installation: Service, row: Release) -> None:
    """Activate an imported release."""
    with installation.database.write() as session:
        records.activate(session, row)
        audit(session, ACTOR, "release_activate", row.identity)


def ensure(installation: Service) -> Release:
    """Return the active release; where none was ever imported, the demo release is imported and activated."""
    with installation.database.read() as session:
        active, known = records.active(session), records.listing(session)
    if active is not None:
        return active
    if known:
        raise Usage("no release is active; choose one with `cspine release activate`")
    row = take(installation, DEMO)
    make_active(installation, row)
    return row


def find(installation: Service, identity: str) -> Release:
    """Return the imported release of this identity or unambiguous beginning of it."""
    with installation.database.read() as session:
        rows = [row for row in records.listing(session) if row.identity.startswith(identity)]
    if len(rows) != 1:
        raise Usage(f"{len(rows)} releases begin with {identity!r}")
    return rows[0]
