"""What failed or was quarantined, in groups that failed alike, and sending it back to work."""

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from cspine.reasons import Reason
from cspine.records import batches, failures, files, retry, studies
from cspine.records.retry import Retried
from web.auth import person
from web.auth.pages import local_target
from web.ringing import ring
from web.services import services

blueprint = Blueprint("failures", __name__)


@blueprint.get("/failures")
def listing() -> str:
    """Show the groups, the largest first."""
    with services().database.read() as session:
        groups = failures.groups(session)
        names = files.first_names(session, [study_id for group in groups for study_id in group.studies])
    return render_template("failures/list.html", groups=groups, names=names, shown=failures.SHOWN_STUDIES)


@blueprint.post("/failures/<fingerprint>/retry")
def retry_group(fingerprint: str) -> Response:
    """Send every study of a group back to work."""
    with services().database.write() as session:
        chosen = retry.select_studies(session, fingerprint=fingerprint)
        done = retry.retry(session, chosen, person().name)
    return _answer(done)


@blueprint.post("/batches/<batch_id>/retry")
def retry_batch(batch_id: str) -> Response:
    """Send everything of a batch that failed or is quarantined back to work."""
    with services().database.write() as session:
        batch = batches.by_id(session, batch_id)
        if batch is None:
            abort(404)
        done = retry.retry(session, retry.select_studies(session, batch=batch), person().name)
    return _answer(done)


@blueprint.post("/studies/<study_id>/retry")
def retry_study(study_id: str) -> Response:
    """Send one study back to work."""
    with services().database.write() as session:
        if studies.by_id(session, study_id) is None:
            abort(404)
        done = retry.retry(session, [study_id], person().name)
    return _answer(done)


def _answer(done: Retried) -> Response:
    """Say what was done where the button was pressed."""
    if done.retried:
        flash(f"{done.retried} {'study is' if done.retried == 1 else 'studies are'} sent back to work.")
        if not ring(done.rings):
            flash(Reason.BROKER_UNAVAILABLE.sentence)
    else:
        flash("Nothing to send back: it is in work already, or its files are gone.")
    return redirect(local_target(request.form.get("back") or url_for("failures.listing")), 303)
