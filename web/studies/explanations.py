"""Saliency maps on demand: asked for by POST, looked after by GET, made by a worker of the queue `explain`."""

from flask import abort, jsonify, make_response, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from cspine.errors import ServiceFault
from cspine.queue import EXPLAIN
from cspine.reasons import sentence
from cspine.records import explanations, heartbeats, studies
from cspine.records.audit import audit
from cspine.records.explanations import Progress
from cspine.saliency import METHODS
from cspine.tables import Result
from web.auth import person
from web.services import services
from web.studies.pages import blueprint

WORDS = {
    Progress.REQUESTED: "The map is asked for and waits for a worker",
    Progress.RUNNING: "The map is being made",
    Progress.DONE: "The map is there",
    Progress.FAILED: "There is no map",
}
NO_WORKER = "The map is asked for, and no worker for maps runs"


@blueprint.get("/images/<row:image_id>/explanations/<method>")
def explanation(study_id: str, image_id: int, method: str) -> Response:
    """Say where a map stands, and its address when it is there."""
    with services().database.read() as session:
        row = explanations.of_result(session, _result(session, study_id, image_id, method).id, method)
        alive = heartbeats.alive(session, EXPLAIN)
    if row is None:
        return jsonify(state="none", words="", map=None)
    state = Progress(row.state)
    words = NO_WORKER if state is Progress.REQUESTED and not alive else WORDS[state]
    if row.reason and state is Progress.FAILED:
        words = f"{words}: {sentence(row.reason)}"
    address = url_for("studies.map_", study_id=study_id, image_id=image_id, method=method)
    return jsonify(state=state, words=words, map=address if row.blob_key else None)


@blueprint.post("/images/<row:image_id>/explanations/<method>")
def explain(study_id: str, image_id: int, method: str) -> tuple[Response, int]:
    """Ask for a map; one that is there or on its way is not made again. Without a broker the sweep rings later."""
    own = services()
    with own.database.write() as session:
        row = explanations.request(session, _result(session, study_id, image_id, method).id, method, person().name)
        audit(session, person().name, "explain", study_id, {"image": image_id, "method": method})
    if row.state == Progress.REQUESTED:
        try:
            own.bell.ask([row.id])
        except ServiceFault as fault:
            return jsonify(state=row.state, words=fault.reason.sentence), 202
    return jsonify(state=row.state, words=WORDS[Progress(row.state)]), 202


@blueprint.get("/images/<row:image_id>/explanations/<method>/map")
def map_(study_id: str, image_id: int, method: str) -> Response:
    """Give a map that is there: its grid and the place of the picture in the network's square."""
    with services().database.read() as session:
        row = explanations.of_result(session, _result(session, study_id, image_id, method).id, method)
    if row is None or row.blob_key is None:
        abort(404)
    response = make_response(services().blobs.get(row.blob_key))
    response.headers["Content-Type"] = "application/json"
    return response


def _result(session: Session, study_id: str, image_id: int, method: str) -> Result:
    """Return the result that the study page shows of this image."""
    detail = studies.detail(session, study_id) if method in METHODS else None
    found = [one.result for one in detail.images if one.image.id == image_id] if detail else []
    if not found or found[0] is None:
        abort(404)
    return found[0]
