"""`cspine demo`: a demonstration night, from drawn phantoms to the triage list, in a folder of its own."""

import shutil
import time

import click

from cspine import migrate
from cspine.blobs import BlobStore
from cspine.commands import ledger as ledger_command
from cspine.commands import triage as triage_command
from cspine.commands.release import ensure
from cspine.commands.screen import submit, wait_for
from cspine.commands.service import Service
from cspine.commands.up import greet
from cspine.database import Database
from cspine.embedded import ALL, WORK, running
from cspine.phantoms import write_night
from cspine.queue import Bell
from cspine.settings import Settings
from cspine.states import Lane

STUDIES = 44
SEED = 2026
TRUTH = "truth.csv"
BATCH = "demonstration night"


@click.command()
@click.option("--once", is_flag=True, help="End after the list is printed instead of serving it.")
@click.option("--studies", type=click.IntRange(min=1), default=STUDIES, show_default=True)
@click.option("--port", type=int, help="Where to serve; default: the settings' port.")
def demo(once: bool, studies: int, port: int | None) -> int:
    """Screen a night of drawn phantoms, print the triage list, and serve it until Ctrl-C."""
    began = time.monotonic()
    given = Settings()
    own = {"var": given.var / "demo", "database_url": "", "redis_url": "", "blob_url": "", "env": "development"}
    settings = given.model_copy(update=own | ({"port": port} if port else {}))
    with running(settings, WORK if once else ALL, prepare=_empty) as address:
        installation = Service(settings, Database.of(settings), BlobStore(settings.blobs), Bell(settings))
        ensure(installation)
        night = settings.var / "night"
        click.echo(f"Drawing {studies} studies into {night} ...", err=True)
        write_night(night, seed=SEED, studies=studies)
        (night / TRUTH).rename(settings.var / TRUTH)  # the answers do not come with the night
        batch, _ = submit(installation, [night], BATCH, Lane.OVERNIGHT)
        wait_for(installation, batch)
        triage_command.show(triage_command.read(installation, None))
        counted = ledger_command.report(installation, batch, as_json=False)
        click.echo(f"From the end of set-up to the list: {time.monotonic() - began:.0f} s.")
        if not once and address is not None:
            greet(settings)
            _serve()
    return 0 if counted.balanced else 1


def _empty(settings: Settings) -> None:
    """Empty the demonstration's folder, and make its database; called once the folder is ours alone."""
    for path in settings.var.iterdir():
        if path.name.endswith(".lock"):
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    migrate.upgrade(Database.of(settings))


def _serve() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        click.echo("Stopped.")
