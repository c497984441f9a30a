"""The replays: begun, followed, compared film by film, promoted or cancelled; changing one is an admin's."""

from typing import Any

from flask import Blueprint, abort, flash, jsonify, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from cspine.errors import Usage
from cspine.queue import EXPLAIN
from cspine.reasons import Reason
from cspine.records import batches, comparisons, files, heartbeats, releases, replays, shadows
from cspine.records.comparisons import AFTER, BEFORE
from cspine.records.replays import Row
from cspine.records.shadows import Obstacle
from cspine.saliency import CAUTION
from web.addresses import row_number
from web.auth import person
from web.ringing import ring
from web.services import services

blueprint = Blueprint("replays", __name__, url_prefix="/replays")

PAGE = 10  # changed studies, each with two films
WAITS = {
    Obstacle.CLOSED: "It waits: the lane overnight is paused, or its window is closed.",
    Obstacle.OTHER_WORK: "It waits: other studies are due, and a replay gives way to all of them.",
}
NO_WORKER = "It waits: no worker for replays runs."
LEFT_OUT = {
    "in_work": "still in work", "failed": "failed", "quarantined": "quarantined", "cancelled": "cancelled",
    replays.SAME: "shown by this release already",
}  # fmt: skip


@blueprint.get("")
def listing() -> str:
    """Show the latest replays, the newest first."""
    with services().database.read() as session:
        rows = replays.listing(session)
    return render_template("replays/list.html", rows=rows)


@blueprint.get("/new")
def new() -> str:
    """Show the replays of a batch, and to an admin the form that begins another."""
    with services().database.read() as session:
        batch = batches.by_id(session, request.args.get("batch", ""))
        if batch is None:
            abort(404)
        rows, known = replays.listing(session, batch.id), releases.listing(session)
    return render_template("replays/new.html", batch=batch, rows=rows, releases=known)


@blueprint.post("")
def begin() -> Response:
    """Begin a replay; where it is under way already, go to it."""
    _insist_on_admin()
    try:
        with services().database.write() as session:
            batch = batches.by_id(session, request.form.get("batch", ""))
            release = releases.by_identity(session, request.form.get("release", ""))
            if batch is None or release is None:
                abort(404)
            begun = replays.begin(session, batch, release, person().name)
    except Usage as fault:
        flash(f"Not begun: {fault.detail}.")
        return redirect(url_for("replays.new", batch=request.form["batch"]), 303)
    if begun.new and begun.left_out:
        parts = [f"{count} {LEFT_OUT.get(why, why)}" for why, count in begun.left_out.items()]
        flash(f"Left out: {', '.join(parts)}.")
    if not ring(begun.rings):
        flash(Reason.BROKER_UNAVAILABLE.sentence)
    return redirect(url_for("replays.replay", replay_id=begun.replay.id), 303)


@blueprint.get("/<replay_id>")
def replay(replay_id: str) -> str:
    """Show how far a replay is, the figures, and the changed studies with both maps."""
    offset = request.args.get("from", 0, type=row_number)
    row = _row(replay_id)
    with services().database.read() as session:
        compared = comparisons.compare(session, replay_id)
        changes = comparisons.changes(session, row.replay, offset, PAGE)
        names = files.first_names(session, [one.study.study_id for one in changes])
    return render_template("replays/replay.html", row=row, told=_told(row), compared=compared, changes=changes,
                           names=names, offset=offset, page=PAGE, CAUTION=CAUTION)  # fmt: skip


@blueprint.get("/<replay_id>/progress")
def progress(replay_id: str) -> Response:
    """Say how far a replay is, for the page that waits for it."""
    return jsonify(_told(_row(replay_id)))


@blueprint.get("/<replay_id>/studies/<study_id>/maps/<any(before, after):side>")
def map_(replay_id: str, study_id: str, side: str) -> Response:
    """Give the map of the film that speaks for a study, as it was shown or by the candidate."""
    row = _row(replay_id)
    with services().database.read() as session:
        film = comparisons.film(session, row.replay, study_id, BEFORE if side == BEFORE else AFTER)
    if film is None or film.result.saliency is None:
        abort(404)
    size = film.release.card["input"]["size"]
    return jsonify({"input_size": size, "explained": film.result.explained} | film.result.saliency)


@blueprint.post("/<replay_id>/promote")
def promote(replay_id: str) -> Response:
    """Show what the candidate says, for all of its studies at once."""
    _insist_on_admin()
    _row(replay_id)
    try:
        with services().database.write() as session:
            done = replays.promote(session, replay_id, person().name)
    except Usage as fault:
        flash(f"Not promoted: {fault.detail}.")
    else:
        flash(f"{done.promoted} {'study shows' if done.promoted == 1 else 'studies show'} the candidate's answer now.")
        if kept := done.unanswered + done.moved:
            flash(f"{kept} keep what they show: {done.unanswered} without an answer of the candidate, "
                  f"{done.moved} changed since the replay began.")  # fmt: skip
    return redirect(url_for("replays.replay", replay_id=replay_id), 303)


@blueprint.post("/<replay_id>/cancel")
def cancel(replay_id: str) -> Response:
    """End a replay; nothing that is shown changes."""
    _insist_on_admin()
    _row(replay_id)
    with services().database.write() as session:
        done = replays.cancel(session, replay_id, person().name)
    flash("The replay is cancelled; nothing that is shown has changed." if done else "It has ended already.")
    return redirect(url_for("replays.replay", replay_id=replay_id), 303)


def _insist_on_admin() -> None:
    if not person().is_admin:  # it changes what readers are shown
        abort(403)


def _row(replay_id: str) -> Row:
    with services().database.read() as session:
        found = replays.row(session, replay_id)
    if found is None:
        abort(404)
    return found


def _told(row: Row) -> dict[str, Any]:
    """Return what the page shows of the progress, as JSON has it."""
    own, counts = services(), row.progress
    with own.database.read() as session:
        obstacle = shadows.obstacle(session, own.settings) if row.state == "running" else None
        alive = heartbeats.alive(session, EXPLAIN)
    waits = ""
    if row.state == "running":
        waits = NO_WORKER if not alive else WAITS[obstacle] if obstacle is not None else ""
    return {
        "state": row.state, "studies": counts.studies, "done": counts.done, "waiting": counts.waiting,
        "failed": counts.failed, "quarantined": counts.quarantined, "cancelled": counts.cancelled, "waits": waits,
        "fault": row.replay.fault or "",
    }  # fmt: skip
