"""`cspine doctor`: what is wrong with this installation, in words."""

from collections.abc import Iterator

import click

from cspine import migrate, release_store
from cspine.blobs import BlobStore
from cspine.commands.service import Service
from cspine.database import Database
from cspine.errors import CspineError
from cspine.queue import EXPLAIN, Bell
from cspine.records import balance, forecasts, heartbeats, pauses, releases
from cspine.settings import Settings

Finding = tuple[bool, str, str]


DATABASE = "database"
KINDS = ("sweep", "prepare", "screen")  # without these no study is answered


@click.command()
@click.option("--part", type=click.Choice((*KINDS, EXPLAIN)), help="Ask only whether a process of this kind is alive.")
def doctor(part: str | None) -> int:
    """Check database, broker, blob store, release and workers; exit 3 where something is missing.

    A deadline that will be missed and a ledger that does not balance are told as well, and change no exit status.
    """
    settings = Settings()
    installation = Service(settings, Database.of(settings), BlobStore(settings.blobs), Bell(settings))
    findings = list(_processes(installation, part) if part else examine(installation))
    for good, name, words in findings:
        click.echo(f"{'ok  ' if good else 'BAD '} {name}: {words}")
    sound = all(good for good, _, _ in findings)
    if part is None and any(good and name == DATABASE for good, name, _ in findings):
        for name, words in warnings(installation):
            click.echo(f"WARN {name}: {words}")
    return 0 if sound else 3


def examine(installation: Service) -> Iterator[Finding]:
    """Give a finding for each part: whether it is good, its name, and words for a person."""
    settings = installation.settings
    try:
        newest = migrate.current(installation.database)
        yield newest, DATABASE, "answers, newest schema" if newest else "old schema: run `cspine migrate`"
        if not newest:
            return
    except Exception as error:  # noqa: BLE001  # whatever a driver raises here is the finding
        yield False, DATABASE, type(error).__name__
        return
    alive = installation.bell.alive()
    yield alive, "broker", "answers" if alive else "does not answer: is `cspine up` running?"
    yield _blobs(installation)
    yield _release(installation)
    yield from _processes(installation, *KINDS)
    with installation.database.read() as session:
        fault = heartbeats.fault(session)
    if fault is not None:
        yield False, fault.worker, f"{fault.reason.value}: {fault.detail}"
    yield settings.env == "production" or not settings.secure_cookies, "environment", settings.env


def warnings(installation: Service) -> Iterator[tuple[str, str]]:
    """Give what a person should look at although every part is there."""
    with installation.database.read() as session:
        late = forecasts.late(session, installation.settings)
        unbalanced = balance.unbalanced(session)
        paused = pauses.paused(session)
    for batch, told in late:
        yield "deadline", f"batch {batch.name}: {told.sentence(installation.settings.site_timezone)}"
    for batch in unbalanced:
        yield "ledger", f"batch {batch.name} does not balance: `cspine ledger` shows it"
    for lane, row in paused.items():
        what = "the whole queue" if lane == pauses.ALL else f"lane {lane}"
        yield "pause", f"{what} is paused by {row.paused_by}: {row.reason}"


def _processes(installation: Service, *kinds: str) -> Iterator[Finding]:
    with installation.database.read() as session:
        for kind in kinds:
            living = heartbeats.alive(session, kind)
            yield living, kind, "alive" if living else "no process is alive: is `cspine up` running?"


def _blobs(installation: Service) -> Finding:
    try:
        key = installation.blobs.put_bytes(b"doctor")
        installation.blobs.delete(key)
    except CspineError as error:
        return False, "blob store", f"{error.reason.value}: {error.reason.sentence}"
    return True, "blob store", "takes and gives back"


def _release(installation: Service) -> Finding:
    with installation.database.read() as session:
        row = releases.active(session)
    if row is None:
        return False, "release", "none is active: `cspine release import` and `activate`"
    try:
        release_store.fetch(installation.blobs, row.identity, installation.settings.var / "cache")
    except CspineError as error:
        return False, "release", f"{row.name} {row.version}: {error.detail} ({error.reason.value})"
    return True, "release", f"{row.name} {row.version} ({row.identity[:12]}), sound"
