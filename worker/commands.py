"""`cspine worker` and `cspine sweep`: the processes that do the work, on this machine or on any other."""

import signal
import threading
from types import FrameType

import click

from cspine import logs, orphans, queue
from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.embedded.pulse import Pulse
from cspine.errors import ServiceFault
from cspine.queue import Bell
from cspine.settings import Settings
from cspine.states import Stage

TASKS_PER_CHILD = 1000  # a prepare child is replaced after so many: what decoders leak does not add up


@click.command()
@click.option("--stage", type=click.Choice([*(stage.value for stage in Stage), queue.EXPLAIN]), required=True)
@click.option("--concurrency", type=click.IntRange(min=1), help="Children; default: one per core to prepare, else one.")
def worker(stage: str, concurrency: int | None) -> int:
    """Run the workers of one stage, or of maps on demand and replays (explain), until told to stop.

    Work in hand is ended or handed back.
    """
    from worker.app import app

    settings = Settings()
    _ = settings.key  # in production nothing begins without one
    Pulse(settings).end()  # that of a process before with our id, as in a container that was started anew
    queue.broker_url(settings)  # raises in words where there is no broker
    preparing = stage == Stage.PREPARE
    count = concurrency or (settings.prepare_children if preparing else 1)
    queues = [queue.EXPLAIN, queue.REPLAY] if stage == queue.EXPLAIN else queue.queues_of(Stage(stage))
    arguments = ["worker", "--queues", ",".join(queues), "--concurrency", str(count),
                 "--pool", "prefork", "--hostname", f"{stage}@%h", "--loglevel", settings.log_level,
                 "--without-gossip", "--without-mingle", "--without-heartbeat"]  # fmt: skip
    if preparing:
        arguments += ["--max-tasks-per-child", str(TASKS_PER_CHILD)]
    app.worker_main(arguments)
    return 0


@click.command()
@click.option("--once", is_flag=True, help="Do one pass and say what it did.")
@click.option("--blobs", is_flag=True, help="Remove old blobs that no row names, and nothing else.")
@click.option("--dry-run", is_flag=True, help="With --blobs: only say what would be removed.")
def sweep(once: bool, blobs: bool, dry_run: bool) -> int:
    """Bring back expired leases, due retries and work whose bell was lost, every few seconds until told to stop."""
    from worker.sweep import Sweep

    settings = Settings()
    _ = settings.key
    logs.configure(settings)
    if blobs:
        return _sweep_blobs(settings, dry_run=dry_run)
    own = Sweep(settings, Database.of(settings), Bell(settings))
    if once:
        swept = own.once()
        click.echo(f"expired leases {swept.expired}, due retries {swept.due}, rung again {swept.rung}")
        return 0
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    for wish in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wish, stop)
    while True:
        try:
            own.once()
        except ServiceFault as fault:
            click.echo(f"the sweep cannot work: {fault.reason.sentence}", err=True)
        if stopping.wait(settings.sweep_seconds):
            break
    try:
        own.end()
    except ServiceFault:
        return 3
    return 0


def _sweep_blobs(settings: Settings, *, dry_run: bool) -> int:
    """Walk once over the blob store and say what was found."""
    database = Database.of(settings)
    found, gone = orphans.clean(database, BlobStore(settings.blobs), settings, dry_run=dry_run)
    database.dispose()
    click.echo(f"blobs {found.blobs} ({found.size} bytes), named by no row for more than {settings.orphan_hours:g} "
               f"hours {len(found.orphans)} ({found.orphan_bytes} bytes), removed {gone}")  # fmt: skip
    return 0
