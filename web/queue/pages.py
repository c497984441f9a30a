"""Pausing and resuming a lane or the whole queue; the panel itself stands on the page of batches."""

from flask import Blueprint, abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response

from cspine.errors import Usage
from cspine.records import pauses, sweep
from cspine.records.screenings import Ring
from web.auth import person
from web.ringing import ring
from web.services import services

blueprint = Blueprint("queue", __name__, url_prefix="/queue")


@blueprint.post("/pause")
def pause() -> Response:
    """Pause a lane or the whole queue, with a reason; an admin's."""
    return _change("pause")


@blueprint.post("/resume")
def resume() -> Response:
    """Resume a lane or the whole queue; an admin's."""
    return _change("resume")


def _change(action: str) -> Response:
    if not person().is_admin:  # it stops the work of others
        abort(403)
    lane, reason = request.form.get("lane", ""), request.form.get("reason", "")
    if lane not in pauses.KEYS:
        abort(400)
    what = "The whole queue" if lane == pauses.ALL else f"Lane {lane}"
    rings: list[Ring] = []
    try:
        with services().database.write() as session:
            if action == "pause":
                before = pauses.pause(session, lane, reason, person().name)
                words = f"{what} is paused. What is in work now is finished; nothing new is taken up."
                if before is not None:
                    words = f"{what} was paused already by {before.paused_by}: {before.reason}"
            elif pauses.resume(session, lane, person().name):
                rings = sweep.resumed(session)
                words = f"{what} is resumed; workers take it up within seconds."
            else:
                words = f"{what} was not paused."
    except Usage as fault:
        words = f"Not paused: {fault.detail}."
    if not ring(rings):
        words = f"{what} is resumed. The message broker does not answer; the work is taken up when it is back."
    flash(words)
    return redirect(f"{url_for('batches.listing')}#queue", 303)
