"""When a batch will be done, the deadline it has, and its ledger to take away."""

from collections.abc import Iterator
from typing import Any

from flask import Response, flash, jsonify, redirect, request, url_for
from werkzeug.wrappers import Response as Answer

from cspine import deadline, ledger
from cspine.database import Database, now
from cspine.errors import Usage
from cspine.records import batches, forecasts
from cspine.tables import Batch
from web.auth import person
from web.batches.pages import blueprint, find
from web.services import services

CHUNK = 1000  # files read at once: whoever downloads slowly keeps no connection of the database


@blueprint.get("/<batch_id>/forecast")
def batch_forecast(batch_id: str) -> Response:
    """Say when the batch will be done, from the throughput as it is now."""
    own, row = services(), find(batch_id)
    with own.database.read() as session:
        told = forecasts.of_batch(session, row, own.settings)
    return jsonify({"id": row.id} | told.as_dict() | {"words": told.sentence(own.settings.site_timezone)})


@blueprint.post("/<batch_id>/deadline")
def set_deadline(batch_id: str) -> Answer:
    """Give the batch a deadline by the site's clock, another one, or none."""
    own, row = services(), find(batch_id)
    typed = request.form.get("deadline", "").strip()
    try:
        with own.database.write() as session:
            wanted = deadline.parse(typed, own.settings.site_timezone, now(session)) if typed else None
            changed = batches.set_deadline(session, row.id, wanted, person().name)
    except Usage as fault:
        flash(f"Not set: {fault.detail}.")
    else:
        if changed:
            flash("The deadline is set." if wanted else "The batch has no deadline any more.")
    return redirect(url_for("batches.batch", batch_id=row.id), 303)


@blueprint.get("/<batch_id>/ledger.csv")
def download(batch_id: str) -> Response:
    """Give the ledger as CSV, a line for each file."""
    row, database = find(batch_id), services().database
    response = Response(ledger.csv_rows(_files(database, row)), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="cspine-ledger-{row.id}.csv"'
    return response


def _files(database: Database, row: Batch) -> Iterator[dict[str, Any]]:
    after, more = 0, True
    while more:
        with database.read() as session:
            found = list(batches.files(session, row, after, CHUNK))
        yield from found
        more = len(found) == CHUNK
        after = found[-1]["id"] if found else after
