"""`cspine replay`: a batch once more by another release, in the shadow; compare, promote, cancel."""

import sys
import time
from typing import Any

import click

from cspine.commands import release as release_command
from cspine.commands.output import print_json, print_table, progress
from cspine.commands.service import ACTOR, Service, service
from cspine.errors import Usage
from cspine.queue import EXPLAIN
from cspine.records import comparisons, heartbeats, replays
from cspine.records.comparisons import NO_ANSWER, Change, Comparison
from cspine.records.replays import Row

POLL_SECONDS = 0.5
SHOWN = 40  # changed studies in the table; --json has all
WHY = {
    "in_work": "still in work", "failed": "failed", "quarantined": "quarantined", "cancelled": "cancelled",
    replays.SAME: "show this release's answer already",
}  # fmt: skip


class Replays(click.Group):
    """A group whose first argument, where it names no subcommand, is the batch to begin with."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `begin` before the name of a batch."""
        if args and args[0] not in self.commands and args[0] not in {"-h", "--help"}:
            args.insert(0, "begin")
        return super().parse_args(ctx, args)


@click.group(cls=Replays)
def replay() -> None:
    """Screen a batch once more by a candidate release; nothing of it is shown until it is promoted.

    `cspine replay BATCH --release R` is short for `cspine replay begin BATCH --release R`.
    """


@replay.command()
@click.argument("batch")
@click.option("--release", "identity", required=True, help="The candidate: the first characters of its identity.")
@click.option("--wait", is_flag=True, help="End when the candidate has answered everything, or cannot be loaded.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def begin(batch: str, identity: str, wait: bool, as_json: bool) -> int:
    """Begin to screen BATCH once more, at the lowest priority; the same again says how far it is.

    Before that the candidate is loaded and exported here, so that no worker has to.
    """
    installation = service()
    candidate = release_command.find(installation, identity)
    row = installation.batch(batch)
    if status := release_command.load(installation, candidate, sys.stderr):
        click.echo(f"Not begun: {candidate.name} {candidate.version} ({candidate.identity[:12]})", err=True)
        return status
    with installation.database.write() as session:
        begun = replays.begin(session, row, candidate, ACTOR)
    rung = installation.ring(list(begun.rings))
    click.echo(f"replay {begun.replay.id}: {begun.studies} studies" + ("" if begun.new else ", under way"), err=True)
    for why, count in begun.left_out.items():
        click.echo(f"  left out: {count} {WHY.get(why, why)}", err=True)
    with installation.database.read() as session:
        alive = rung and heartbeats.alive(session, EXPLAIN)
    if not alive:
        click.echo("No worker for replays runs: it goes on with `cspine up` (or `worker --stage explain`).", err=True)
    if wait:
        _wait(installation, begun.replay.id, begun.studies)
    return _report(installation, begun.replay.id, as_json=as_json)


@replay.command(name="list")
@click.option("--batch", help="Only those of one batch.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def list_(batch: str | None, as_json: bool) -> None:
    """List the latest replays."""
    installation = service()
    batch_id = installation.batch(batch).id if batch is not None else None
    with installation.database.read() as session:
        rows = replays.listing(session, batch_id)
    if as_json:
        for row in rows:
            print_json(_as_dict(row))
        return
    table = [
        (row.replay.id, row.batch.name, f"{row.release.name} {row.release.version}", row.state,
         f"{row.progress.done} of {row.progress.studies}", str(row.progress.failed + row.progress.quarantined),
         f"{row.replay.created_at:%Y-%m-%d %H:%M} UTC", row.replay.created_by)
        for row in rows
    ]  # fmt: skip
    print_table("Replays", ("id", "batch", "release", "state", "answered", "failed", "begun", "by"), table)


@replay.command()
@click.argument("replay_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(replay_id: str, as_json: bool) -> int:
    """Say how far the replay ID is, and what the candidate says otherwise."""
    installation = service()
    return _report(installation, _find(installation, replay_id), as_json=as_json)


@replay.command()
@click.argument("replay_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def promote(replay_id: str, as_json: bool) -> int:
    """Show what the candidate says, for all studies of the replay ID at once.

    A study that was retried, or got a further file, since the replay began keeps what it shows; so does one on which
    the candidate failed. The way back is a replay by the earlier release: its answers are kept.
    """
    installation = service()
    own = _find(installation, replay_id)
    with installation.database.write() as session:
        done = replays.promote(session, own, ACTOR)
    if as_json:
        print_json({"replay": own, "promoted": done.promoted, "unanswered": done.unanswered, "moved": done.moved})
    else:
        click.echo(f"{done.promoted} studies show the candidate's answer now.")
        if done.unanswered:
            click.echo(f"  {done.unanswered} keep what they show: the candidate has no answer for them.")
        if done.moved:
            click.echo(f"  {done.moved} keep what they show: they have changed since the replay began.")
    return 1 if done.unanswered or done.moved else 0


@replay.command()
@click.argument("replay_id", metavar="ID")
def cancel(replay_id: str) -> int:
    """End the replay ID; what the candidate has said is kept and not shown."""
    installation = service()
    own = _find(installation, replay_id)
    with installation.database.write() as session:
        if not replays.cancel(session, own, ACTOR):
            raise Usage("this replay has ended already")
    click.echo(f"replay {own} is cancelled; nothing that is shown has changed.")
    return 0


def _find(installation: Service, beginning: str) -> str:
    with installation.database.read() as session:
        return replays.find(session, beginning).id


def _wait(installation: Service, replay_id: str, total: int) -> None:
    with progress("Replaying studies", total) as step:
        while True:
            with installation.database.read() as session:
                row = replays.row(session, replay_id)
            assert row is not None
            step(row.progress.studies - row.progress.waiting)
            if row.state != "running":
                return
            time.sleep(POLL_SECONDS)


def _report(installation: Service, replay_id: str, *, as_json: bool) -> int:
    """Print a replay and return the exit status: 1 where a study has no answer, or the candidate cannot be loaded."""
    with installation.database.read() as session:
        row = replays.row(session, replay_id)
        assert row is not None
        compared = comparisons.compare(session, replay_id)
        changes = comparisons.changes(session, row.replay, limit=None if as_json else SHOWN)
    if as_json:
        print_json(_as_dict(row) | compared.as_dict() | {"changes": [change.as_dict() for change in changes]})
    else:
        _show(row, compared, changes)
    return 1 if row.progress.failed or row.progress.quarantined or row.state == "stopped" else 0


def _as_dict(row: Row) -> dict[str, Any]:
    own, counts = row.replay, row.progress
    return {
        "replay": own.id, "batch": row.batch.name, "release": row.release.identity, "state": row.state,
        "studies": counts.studies, "answered": counts.done, "waiting": counts.waiting, "failed": counts.failed,
        "quarantined": counts.quarantined, "cancelled": counts.cancelled, "fault": own.fault,
        "begun": own.created_at.isoformat(), "by": own.created_by,
        "promoted": own.promoted_at.isoformat() if own.promoted_at else None,
    }  # fmt: skip


def _show(row: Row, compared: Comparison, changes: list[Change]) -> None:
    counts, own = row.progress, compared.agreement
    click.echo(f"replay {row.replay.id} of batch {row.batch.name} by {row.release.name} {row.release.version} "
               f"({row.release.identity[:12]}): {row.state}")  # fmt: skip
    click.echo(f"answered {counts.done} of {counts.studies}, waiting {counts.waiting}, failed {counts.failed}, "
               f"quarantined {counts.quarantined}, cancelled {counts.cancelled}")  # fmt: skip
    if row.replay.fault:
        click.echo(f"the candidate could not be loaded: {row.replay.fault}")
    if not own.count or own.share is None or own.low is None or own.high is None:
        return
    kappa = f"{own.kappa:.3f}" if own.kappa is not None else "not defined"
    click.echo(f"same label: {own.same} of {own.count}, {own.share:.1%} [{own.low:.1%}, {own.high:.1%}]; "
               f"Cohen's kappa {kappa}")  # fmt: skip
    test = compared.mcnemar
    click.echo(f"flagged only as shown: {test.first_only}; only by the candidate: {test.second_only}; "
               f"McNemar's exact test p = {test.p:.3g}")  # fmt: skip
    print_table("Studies by label, as shown (rows) and by the candidate (columns)", ("", *compared.names),
                [(one, *(str(compared.labels.get((one, other), 0)) for other in compared.names))
                 for one in compared.names])  # fmt: skip
    if changes:
        rows = [
            (one.study.study_id, _said(one.study.before_label, one.study.before_urgency, one.study.before_flagged),
             _said(one.study.after_label, one.study.after_urgency, one.study.after_flagged))
            for one in changes
        ]  # fmt: skip
        print_table(f"Changed studies, {len(rows)} of {compared.changed}, the greatest changes first",
                    ("study", "as shown", "candidate"), rows)  # fmt: skip


def _said(label: str | None, urgency: float | None, flagged: bool | None) -> str:
    return f"{label or NO_ANSWER} {urgency or 0.0:.2f}{' flagged' if flagged else ''}"
