"""`cspine pause` and `cspine resume`: a lane or the whole queue stands still, and goes on."""

import click

from cspine.commands.service import ACTOR, service
from cspine.records import pauses, sweep
from cspine.states import Lane

LANES = click.Choice([lane.value for lane in Lane])


@click.command()
@click.option("--lane", type=LANES, help="Only this lane; without it the whole queue.")
@click.option("--reason", required=True, help="Why; shown on the pages, and kept in the audit.")
def pause(lane: str | None, reason: str) -> None:
    """Let nothing more be taken up; what is in work is finished, and what comes in waits."""
    with service().database.write() as session:
        before = pauses.pause(session, lane or pauses.ALL, reason, ACTOR)
    if before is not None:
        since = f"{before.paused_at:%Y-%m-%d %H:%M} UTC"
        click.echo(f"{_named(lane)} was paused already, by {before.paused_by} at {since}: {before.reason}")
        return
    click.echo(f"{_named(lane)} is paused. What is in work is finished; `cspine resume` lets it go on.")


@click.command()
@click.option("--lane", type=LANES, help="Only this lane; without it the whole queue.")
@click.option("--reason", help="Why; kept in the audit.")
def resume(lane: str | None, reason: str | None) -> int:
    """Let a lane, or the whole queue, go on that was paused."""
    installation = service()
    with installation.database.write() as session:
        resumed = pauses.resume(session, lane or pauses.ALL, ACTOR, reason)
        rings = sweep.resumed(session) if resumed else []
        still = pauses.paused(session)
    rung = installation.ring(rings)
    click.echo(f"{_named(lane)} goes on." if resumed else f"{_named(lane)} was not paused.")
    for name, row in still.items():
        click.echo(f"{_named(None if name == pauses.ALL else name)} is still paused, by {row.paused_by}: {row.reason}")
    if not rung:
        click.echo("The broker does not run: the work waits, and starts with `cspine up`.")
    return 0 if resumed else 1


def _named(lane: str | None) -> str:
    return f"Lane {lane}" if lane else "The whole queue"
