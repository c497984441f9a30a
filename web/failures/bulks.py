"""Trying again or discarding several studies: a preview that freezes them, the confirmation, and what becomes of it."""

import hashlib

from flask import abort, flash, jsonify, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from cspine import retrying
from cspine.errors import Usage
from cspine.reasons import Reason
from cspine.records import batches, bulk, studies
from cspine.records.bulk import BulkView
from cspine.records.selections import Selection
from web.auth import person
from web.auth.pages import local_target
from web.failures import forms
from web.failures.pages import blueprint
from web.ringing import ring
from web.services import services

ACTIONS = {"retry", "discard"}


@blueprint.post("/failures/previews")
def preview() -> Response:
    """Freeze what the form selects, look what is left of it, and lead to its page; nothing is sent yet."""
    own = services()
    action, reason = request.form.get("action", "retry"), request.form.get("reason", "").strip()
    if action not in ACTIONS:
        abort(400)
    back = local_target(request.form.get("back") or url_for("failures.listing"))
    selected = forms.selection(request.form)
    if selected is None:
        flash("Choose at least one study.")
        return redirect(back, 303)
    if action == "discard" and not reason:
        flash("Say why they are discarded; it is kept.")
        return redirect(back, 303)
    with own.database.read() as session:
        if not _known(session, selected):
            abort(404)
    try:
        bulk_id = retrying.preview(own.database, own.blobs, own.settings, action, selected, person().name,
                                   reason if action == "discard" else None)  # fmt: skip
    except Usage as fault:
        flash(f"Nothing was done: {fault.detail}.")
        return redirect(back, 303)
    with own.database.read() as session:
        found = bulk.selected(session, bulk_id)
    if not found:
        retrying.forget(own.database, bulk_id)
        flash("Nothing was done: nothing that failed or is quarantined matches.")
        return redirect(back, 303)
    return redirect(url_for("failures.one", bulk_id=bulk_id, back=request.form.get("back") or None), 303)


@blueprint.get("/failures/bulks/<bulk_id>")
def one(bulk_id: str) -> str:
    """Show a preview, a canary on its way or stopped, or what became of a retry or a discard."""
    view = _view(bulk_id)
    back = local_target(request.args.get("back") or url_for("failures.listing"))
    return render_template("failures/bulk.html", view=view, again=forms.fields(view.selection), back=back,
                           version=_version(view), moving=_moving(view))  # fmt: skip


@blueprint.get("/failures/bulks/<bulk_id>/state")
def one_state(bulk_id: str) -> Response:
    """Say whether it has moved, for the page that waits for it."""
    view = _view(bulk_id)
    return jsonify(state=view.state, version=_version(view), moving=_moving(view))


@blueprint.post("/failures/bulks/<bulk_id>/confirm")
def confirm(bulk_id: str) -> Response:
    """Do what was previewed, with exactly those studies; a second confirmation changes nothing."""
    own = services()
    silent: list[bool] = []
    try:
        done = retrying.confirm(own.database, lambda rings: silent.append(not ring(rings)), own.settings, bulk_id,
                                person().name)  # fmt: skip
    except Usage:
        abort(404)
    if not done.first:
        flash("This was confirmed before; nothing was sent twice.")
    if any(silent):
        flash(Reason.BROKER_UNAVAILABLE.sentence)
    return redirect(url_for("failures.one", bulk_id=bulk_id), 303)


def _known(session: Session, selected: Selection) -> bool:
    """Say whether what is named by one id is there."""
    batch = selected.batch or (selected.chosen.batch if selected.chosen is not None else None)
    if batch is not None:
        return batches.by_id(session, batch) is not None
    return len(selected.studies) != 1 or studies.by_id(session, selected.studies[0]) is not None


def _view(bulk_id: str) -> BulkView:
    own = services()
    with own.database.read() as session:
        view = bulk.view(session, bulk_id, own.settings)
    if view is None:
        abort(404)
    return view


def _version(view: BulkView) -> str:
    """Return a text that changes with everything that moves on the page."""
    seen = [view.state, view.sent, view.held, view.skipped, sorted(view.progress.items()),
            [(canary.state, canary.reason) for canary in view.canaries]]  # fmt: skip
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


def _moving(view: BulkView) -> bool:
    """Say whether more may come of it without a person."""
    return view.state in {"canary", "released"} or (view.action == "retry" and view.progress.get("waiting", 0) > 0)
