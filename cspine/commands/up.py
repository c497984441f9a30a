"""`cspine up`: the broker, the workers, the sweep and the pages in one process group, until Ctrl-C or SIGTERM."""

import contextlib
from functools import partial

import click

from cspine import logs, migrate
from cspine.blobs import BlobStore
from cspine.commands.release import ensure
from cspine.commands.service import Service as Installation
from cspine.database import Database
from cspine.embedded import services as known
from cspine.embedded import valkey
from cspine.embedded.lock import Lock
from cspine.embedded.supervisor import Service, Supervisor
from cspine.errors import CspineError, ServiceMissing, Usage
from cspine.queue import Bell
from cspine.reasons import Reason
from cspine.settings import Settings

BROKER_SECONDS = 20.0


@click.command()
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Where to serve the pages; default: CSPINE_PORT, else 8000."
)
@click.option("--services", hidden=True, default=",".join(known.ALL))
@click.option("--lock", "descriptor", type=int, hidden=True, help="The lock that a caller has taken for us.")
@click.option("--wait", is_flag=True, hidden=True, help="Wait until the lock is free.")
def up(port: int | None, services: str, descriptor: int | None, wait: bool) -> int:
    """Run everything on this machine: broker, workers, sweep and pages; Ctrl-C or SIGTERM ends all of it."""
    settings = Settings()
    _ = settings.key  # in production nothing begins without one
    if port:
        settings = settings.model_copy(update={"port": port})
    wanted = set(services.split(","))
    if descriptor is None and not Lock(settings).acquire(wait=wait):
        raise Usage(f"another `up` (or a command that waits) runs the services of {settings.var}")
    logs.configure(settings)
    for_a_caller = wait or descriptor is not None
    supervisor = Supervisor(settings.environment(), settings.var / "log")
    with contextlib.ExitStack() as stack:
        installation = _open(settings)
        broker = None
        if known.BROKER in wanted and settings.embedded_broker:
            broker = stack.enter_context(valkey.embedded(settings))
        stack.enter_context(supervisor.supervising())
        if broker is not None:
            _start_broker(supervisor, broker, installation)
        for name in sorted(wanted - {known.BROKER}):
            elsewhere = for_a_caller and settings.redis_url and settings.database_url and name != known.WEB
            wish = partial(known.missing, installation.database, name) if elsewhere else _always
            supervisor.start(known.service(name, wish))
        if known.WEB in wanted and not for_a_caller:
            greet(settings)
        supervisor.run()
    return 0


def _open(settings: Settings) -> Installation:
    """Open the installation: the newest schema, and a release to screen with."""
    installation = Installation(settings, Database.of(settings), BlobStore(settings.blobs), Bell(settings))
    migrate.upgrade(installation.database)
    try:
        ensure(installation)
    except CspineError as error:
        click.echo(f"Nothing is screened yet: {error.detail} ({error.reason.value})", err=True)
    return installation


def _start_broker(supervisor: Supervisor, broker: Service, installation: Installation) -> None:
    """Start the embedded broker and wait until it answers; data that it does not start with are set aside."""
    supervisor.start(broker)
    if supervisor.run(lambda: installation.bell.alive() or supervisor.deaths(broker.name) > 1, BROKER_SECONDS):
        if installation.bell.alive():
            return
        if valkey.set_aside(installation.settings) and supervisor.run(installation.bell.alive, BROKER_SECONDS):
            click.echo("The broker's data were damaged and set aside; the sweep rings again for all work.", err=True)
            return
    if not supervisor.stopping.is_set():
        raise ServiceMissing("the embedded broker does not start; see log/broker.log", Reason.BROKER_UNAVAILABLE)


def _always() -> bool:
    return True


def greet(settings: Settings) -> None:
    """Say where the pages are, and how the first person signs in."""
    click.echo(f"The list stands at http://{settings.host}:{settings.port}/ (Ctrl-C ends it)")
    if address := known.sign_in(settings):
        click.echo(f"First sign-in, valid once and for {settings.signin_minutes} minutes: {address}")
    click.echo(f"Logs: {settings.var / 'log'}")
