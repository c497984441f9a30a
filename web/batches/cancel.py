"""Cancelling a batch: a preview that changes nothing, then the act itself."""

from flask import abort, flash, redirect, render_template, url_for
from werkzeug.wrappers import Response

from cspine.records import cancelling
from cspine.states import State
from cspine.tables import Batch
from web.auth import person
from web.batches.pages import blueprint, find, may_cancel
from web.services import services


@blueprint.get("/<batch_id>/cancel")
def cancel_preview(batch_id: str) -> str:
    """Show what cancelling would change."""
    row = _mine(batch_id)
    with services().database.read() as session:
        found = cancelling.preview(session, row)
    return render_template("batches/cancel.html", batch=row, found=found,
                           states=[(State(name), count) for name, count in found.states.items() if count])  # fmt: skip


@blueprint.post("/<batch_id>/cancel")
def cancel(batch_id: str) -> Response:
    """Take every study of the batch out of work that has no answer; a second time changes nothing more."""
    row = _mine(batch_id)
    with services().database.write() as session:
        changed = cancelling.cancel(session, row, person().name)
    count = len(changed)
    flash(f"{count} {'study is' if count == 1 else 'studies are'} cancelled." if count
          else "Nothing of it was left to cancel.")  # fmt: skip
    return redirect(url_for("batches.batch", batch_id=row.id), 303)


def _mine(batch_id: str) -> Batch:
    row = find(batch_id)
    if not may_cancel(row):
        abort(403)
    return row
