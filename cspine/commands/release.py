"""`cspine release`: import a model release, look at it, make it the active one."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

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
def activate(identity: str) -> None:
    """Make the release with this IDENTITY (or the first characters of it) the active one."""
    installation = service()
    row = find(installation, identity)
    make_active(installation, row)
    click.echo(f"active: {row.name} {row.version} ({row.identity[:12]})")
    if not export(installation, row):
        click.echo("Not exported here; a screen worker does so when it first loads the release.", err=True)


def export(installation: Service, row: Release) -> bool:
    """Have a release exported by a process of its own, where the libraries for it are installed."""
    if find_spec("tensorflow") is None or find_spec("openvino") is None:
        return False
    command = [sys.executable, "-m", "cspine", "export", row.identity]
    return subprocess.run(command, env=installation.settings.environment(), check=False).returncode == 0


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
