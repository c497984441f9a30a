"""The batches with their ledgers, live; one batch with its files."""

from typing import Any

from flask import Blueprint, Response, abort, jsonify, render_template, request

from cspine.database import Database, now
from cspine.lanes import next_opening
from cspine.ledger import BUCKETS, Ledger
from cspine.records import balance, batches, forecasts, pauses, waiting
from cspine.tables import Batch
from web import live
from web.addresses import row_number
from web.auth import person
from web.services import services

blueprint = Blueprint("batches", __name__, url_prefix="/batches")

PAGE = 50
FILES = 100


@blueprint.get("")
def listing() -> str:
    """Show the batches, the newest first."""
    before = find(request.args["before"]) if "before" in request.args else None
    own = services()
    with own.database.read() as session:
        rows = batches.listing(session, before.created_at if before else None, PAGE + 1)
        paused, lanes, moment = pauses.paused(session), waiting.by_lane(session), now(session)
        late, broken = forecasts.late(session, own.settings), balance.unbalanced(session)
    more = rows[PAGE - 1].batch.id if len(rows) > PAGE else None
    openings = {lane: next_opening(lane, moment, own.settings) for lane in lanes}
    return render_template("batches/list.html", rows=rows[:PAGE], more=more, older=before is not None,
                           buckets=BUCKETS, pauses=paused, lanes=lanes, openings=openings, now=moment, late=late,
                           broken=broken)  # fmt: skip


@blueprint.get("/events")
def listing_events() -> Response:
    """Stream the ledgers of the newest batches, and what is paused since when, as they change."""
    own = services()
    database = own.database
    return live.stream(own.settings, lambda: _newest(database))


@blueprint.get("/ledgers")
def listing_ledgers() -> Response:
    """Give the ledgers of the newest batches, for a page without a stream."""
    return jsonify(_newest(services().database))


@blueprint.get("/<batch_id>")
def batch(batch_id: str) -> str:
    """Show one batch: its ledger and its files."""
    own, row = services(), find(batch_id)
    after = request.args.get("after", 0, type=row_number)
    with own.database.read() as session:
        counted, given_up = batches.ledger(session, row), batches.given_up(session, row)
        found = list(batches.files(session, row, after, FILES + 1))
        outlook = forecasts.of_batch(session, row, own.settings)
        paused = {lane: one for lane, one in pauses.paused(session).items() if lane in {pauses.ALL, row.lane}}
    more = found[FILES - 1]["id"] if len(found) > FILES else None
    return render_template("batches/batch.html", batch=row, ledger=counted, buckets=BUCKETS, files=found[:FILES],
                           more=more, after=after, pauses=paused, outlook=outlook,
                           given_up=given_up, cancellable=may_cancel(row))  # fmt: skip


@blueprint.get("/<batch_id>/events")
def batch_events(batch_id: str) -> Response:
    """Stream the batch's ledger as it changes."""
    own, row = services(), find(batch_id)
    database = own.database
    return live.stream(own.settings, lambda: _ledger(database, row))


@blueprint.get("/<batch_id>/ledger")
def batch_ledger(batch_id: str) -> Response:
    """Give the batch's ledger, for a page without a stream."""
    return jsonify(_ledger(services().database, find(batch_id)))


def find(batch_id: str) -> Batch:
    """Return the batch of an address; 404 where there is none."""
    with services().database.read() as session:
        found = batches.by_id(session, batch_id)
    if found is None:
        abort(404)
    return found


def may_cancel(row: Batch) -> bool:
    """Say whether whoever asks may cancel this batch: an admin, or the person who made it."""
    return person().is_admin or row.created_by == person().name


def _ledger(database: Database, row: Batch) -> dict[str, Any]:
    with database.read() as session:
        return _counts(row.id, batches.ledger(session, row)) | {"given_up": batches.given_up(session, row)}


def _newest(database: Database) -> dict[str, Any]:
    with database.read() as session:
        rows = batches.listing(session, limit=PAGE)
        paused = {lane: one.paused_at.isoformat() for lane, one in pauses.paused(session).items()}
    return {"batches": [_counts(row.batch.id, row.ledger) for row in rows], "paused": paused}


def _counts(batch_id: str, ledger: Ledger) -> dict[str, Any]:
    """Return a ledger by the batch's id; a name may be a patient's, and stays on the page."""
    return {"id": batch_id} | {name: value for name, value in ledger.as_dict().items() if name != "batch"}
