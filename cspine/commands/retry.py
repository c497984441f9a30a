"""`cspine retry`, `discard`, `retries`: what a person does with studies that have no answer."""

from typing import Any

import click

from cspine import retrying
from cspine.commands.output import print_json, print_table
from cspine.commands.selecting import choosing, chosen
from cspine.commands.service import ACTOR, Service, service
from cspine.errors import Usage
from cspine.records import bulk, bulk_moves
from cspine.records.bulk import BulkView
from cspine.records.selections import Selection

SILENT = "The broker does not run: the work waits, and starts with `cspine up`."
LISTED = 20


@click.command()
@choosing
@click.option("--canary/--no-canary", default=None, help="Try a few of each group first; usual with --group, --filter.")
@click.option("--dry-run", is_flag=True, help="Only say what would be retried.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def retry(studies: tuple[str, ...], fingerprint: str | None, batch_name: str | None, everything: bool,
          fields: tuple[str, ...], canary: bool | None, dry_run: bool, as_json: bool) -> int:  # fmt: skip
    """Send STUDIES, a group, a batch, what a filter lets pass, or all that failed back to work.

    Of a large group one to three studies run first; the others follow by themselves once these have succeeded.
    """
    installation = service()
    selection = chosen(installation, studies, fingerprint, batch_name, everything, fields, canary)
    seen, skipped, rung = _do(installation, bulk_moves.RETRY, selection, None, dry_run)
    if as_json:
        print_json(_as_dict(seen, skipped, dry_run))
    else:
        would = "would be" if dry_run else "are"
        click.echo(f"{_retried(seen)} of {seen.selected} studies {would} sent back to work.")
        if seen.state == bulk_moves.STOPPED:
            click.echo(f"stopped: {seen.outcome}")
        elif seen.canary and (dry_run or seen.held):
            first = seen.canary if dry_run else seen.first
            click.echo(f"{first} {'would run' if dry_run else 'run'} first; the others follow if they succeed.")
        if seen.first:
            click.echo(f"`cspine retries {seen.id}` says what becomes of it.")
        _tell(skipped, rung)
    return 1 if skipped or seen.state == bulk_moves.STOPPED else 0


@click.command()
@choosing
@click.option("--reason", required=True, help="Why; kept in the audit.")
@click.option("--dry-run", is_flag=True, help="Only say what would be discarded.")
def discard(studies: tuple[str, ...], fingerprint: str | None, batch_name: str | None, everything: bool,
            fields: tuple[str, ...], reason: str, dry_run: bool) -> int:  # fmt: skip
    """Take STUDIES, a group, or others out of work; they end as cancelled and can be retried."""
    installation = service()
    selection = chosen(installation, studies, fingerprint, batch_name, everything, fields)
    seen, skipped, _ = _do(installation, bulk_moves.DISCARD, selection, reason, dry_run)
    would = "would be" if dry_run else "are"
    click.echo(f"{seen.selected - seen.skipped} of {seen.selected} studies {would} cancelled.")
    _tell(skipped, rung=True)
    return 1 if skipped else 0


@click.command()
@click.argument("retry_id", metavar="[ID]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def retries(retry_id: str | None, as_json: bool) -> None:
    """List the latest retries and discards, or say what has become of the one with ID."""
    installation = service()
    with installation.database.read() as session:
        ids = [retry_id] if retry_id else [row.id for row in bulk.recent(session, LISTED)]
        found = [seen for one in ids if (seen := bulk.view(session, one, installation.settings))]
    if retry_id and not found:
        raise Usage(f"there is no retry {retry_id!r}")
    if as_json:
        for seen in found:
            print_json(_standing(seen))
        return
    rows = [(seen.id, f"{seen.confirmed_at or seen.created_at:%Y-%m-%d %H:%M} UTC", seen.created_by,
             f"{seen.action} {seen.words}", seen.state, str(seen.sent), str(seen.held), str(seen.skipped),
             seen.outcome or "") for seen in found]  # fmt: skip
    columns = ("id", "when", "by", "what", "state", "sent", "held", "left out", "outcome")
    print_table("Retries and discards", columns, rows)


def _do(installation: Service, action: str, selection: Selection, reason: str | None,
        dry_run: bool) -> tuple[BulkView, list[tuple[str, str]], bool]:  # fmt: skip
    """Preview, and confirm at once where it is meant; return it with all that is left out, and whether it was rung."""
    own, settings = installation.database, installation.settings
    rung: list[bool] = []
    bulk_id = retrying.preview(own, installation.blobs, settings, action, selection, ACTOR, reason)
    with own.read() as session:
        looked_only = dry_run or not bulk.selected(session, bulk_id)  # of nothing, nothing is kept either
    if not looked_only:
        retrying.confirm(own, lambda rings: rung.append(installation.ring(list(rings))), settings, bulk_id, ACTOR)
        retrying.finish(own, lambda rings: rung.append(installation.ring(list(rings))), settings, bulk_id)
    with own.read() as session:
        seen = bulk.view(session, bulk_id, settings)
        skipped = bulk.skipped(session, bulk_id)
    assert seen is not None
    if looked_only:
        retrying.forget(own, bulk_id)
    return seen, skipped, all(rung)


def _as_dict(seen: BulkView, skipped: list[tuple[str, str]], dry_run: bool) -> dict[str, Any]:
    """Return a retry as it is printed; where some run first it says what has become of them so far."""
    done: dict[str, Any] = {
        "selected": seen.selected,
        "retried": _retried(seen),
        "skipped": [{"study": study, "reason": reason} for study, reason in skipped],
        "dry_run": dry_run,
    }
    if not seen.first:
        return done
    return done | {"canary": seen.first, "held": seen.held, "retry": seen.id, "state": seen.state,
                   "outcome": seen.outcome}  # fmt: skip


def _retried(seen: BulkView) -> int:
    """Count what goes back to work: those that wait for the canary, too, but not those that one has held back."""
    return seen.sent if seen.state == bulk_moves.STOPPED else seen.selected - seen.skipped


def _standing(seen: BulkView) -> dict[str, Any]:
    return {"retry": seen.id, "action": seen.action, "what": seen.words, "state": seen.state, "by": seen.created_by,
            "selected": seen.selected, "sent": seen.sent, "held": seen.held, "skipped": seen.skipped,
            "progress": dict(seen.progress), "outcome": seen.outcome}  # fmt: skip


def _tell(skipped: list[tuple[str, str]], rung: bool) -> None:
    for study, reason in skipped:
        click.echo(f"  not {study}: {reason}")
    if not rung:
        click.echo(SILENT)
