"""The triage list: what to read next, and why."""

from urllib.parse import urlencode

from flask import Blueprint, abort, flash, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from cspine.database import now
from cspine.records import batches, files, heartbeats, pauses, people, releases, studies, triage
from cspine.records.audit import audit
from cspine.triage import Bucket
from web.auth import person
from web.auth.pages import local_target
from web.errors import wants_json
from web.services import services

blueprint = Blueprint("triage", __name__)

PAGE = 50


@blueprint.get("/")
def listing() -> str:
    """Show one page of the list, unread or all, of all buckets or one."""
    own = services()
    bucket = _bucket(request.args.get("bucket"))
    unread = request.args.get("show") != "all"
    with own.database.read() as session:
        moment = now(session)
        after = request.args.get("after")
        page = triage.page(session, own.settings, moment, bucket=bucket, unread=unread, after=after, limit=PAGE)
        names = files.first_names(session, [row.study.id for row in page.rows if row.study])
        active, fault = releases.active(session), heartbeats.fault(session)
        paused = pauses.paused(session)
    return render_template("triage/list.html", page=page, names=names, now=moment, bucket=bucket, unread=unread,
                           after=after, active=active, fault=fault, pauses=paused, address=_address,
                           total=sum(page.counts.values()), wait=own.settings.max_wait_hours)  # fmt: skip


@blueprint.get("/counts")
def counts() -> Response:
    """Count the rows of every bucket, for a list that was opened a while ago."""
    own = services()
    with own.database.read() as session:
        found = triage.counts(session, own.settings, now(session), unread=request.args.get("show") != "all")
    return jsonify(found)


@blueprint.post("/studies/<study_id>/read")
def mark_read(study_id: str) -> Response:
    """Mark a study as read, which takes it off the unread list and never out of the archive."""
    return _mark(study_id, "read")


@blueprint.post("/studies/<study_id>/unread")
def mark_unread(study_id: str) -> Response:
    """Put a study back on the unread list."""
    return _mark(study_id, "unread")


@blueprint.post("/batches/<batch_id>/unreadable/read")
def mark_unreadable(batch_id: str) -> Response:
    """Take the row of a batch's unreadable files off the unread list."""
    with services().database.write() as session:
        if batches.by_id(session, batch_id) is None:
            abort(404)
        if batches.mark_unreadable_read(session, batch_id):
            audit(session, person().name, "read", batch_id)
    return _answer("Marked as read.")


def _mark(study_id: str, action: str) -> Response:
    with services().database.write() as session:
        user = people.by_id(session, person().id)
        if user is None or studies.by_id(session, study_id) is None:
            abort(404)
        if studies.mark(session, study_id, user, action):
            audit(session, user.name, action, study_id)
    return _answer(f"Marked as {action}.")


def _answer(words: str) -> Response:
    """Lead back to where the button was pressed; a script needs no page."""
    if wants_json():
        return Response(status=204)
    flash(words)
    return redirect(local_target(request.form.get("back", "")), 303)


def _bucket(text: str | None) -> Bucket | None:
    if not text:
        return None
    try:
        return Bucket(text)
    except ValueError:
        abort(400)


def _address(bucket: str | None = None, *, unread: bool = True, after: str | None = None) -> str:
    """Return the address of a view of the list."""
    query = {"bucket": bucket, "show": None if unread else "all", "after": after}
    text = urlencode({name: value for name, value in query.items() if value})
    return url_for("triage.listing") + (f"?{text}" if text else "")
