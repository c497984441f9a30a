"""The study page, what it asks for while it waits, and its pictures."""

from flask import Blueprint, abort, jsonify, make_response, render_template, request
from werkzeug.wrappers import Response

from cspine.database import now
from cspine.records import files, history, screenings, studies
from cspine.records.audit import audit
from cspine.saliency import CAUTION
from cspine.states import State
from web import words
from web.auth import person
from web.services import services
from web.studies import originals
from web.studies.view import View, disqualified, flags_of, version

blueprint = Blueprint("studies", __name__, url_prefix="/studies/<study_id>")


@blueprint.get("")
def study(study_id: str) -> str:
    """Show a study, whatever state it is in."""
    own = services()
    with own.database.read() as session:
        detail = studies.detail(session, study_id)
        names = files.first_names(session, [study_id])
        past = history.history(session, detail.screening.id) if detail and detail.screening else []
        moment = now(session)
    if detail is None:
        abort(404)
    view = View(detail, own.settings, moment, names.get(study_id, ""), request.args.get("image", type=int))
    methods = view.methods(own.blobs) if view.image and view.image.result and view.image.result.saliency else {}
    return render_template("studies/study.html", view=view, detail=detail, study=detail.study, now=moment, past=past,
                           methods=methods, CAUTION=CAUTION, flags_of=flags_of, disqualified=disqualified)  # fmt: skip


@blueprint.get("/state")
def state(study_id: str) -> Response:
    """Say where the study's screening stands, for the page that waits for it."""
    with services().database.read() as session:
        screening = screenings.shown(session, study_id)
    if screening is None:
        abort(404)
    return jsonify(
        state=screening.state,
        words=words.STATES[State(screening.state)],
        version=version(screening),
    )


@blueprint.get("/images/<row:image_id>/preview")
def preview(study_id: str, image_id: int) -> Response:
    """Give the picture, at most 1024 pixels long."""
    with services().database.read() as session:
        image = studies.image(session, study_id, image_id)
    return _jpeg(image.preview_key if image else None)


@blueprint.get("/images/<row:image_id>/thumbnail")
def image_thumbnail(study_id: str, image_id: int) -> Response:
    """Give the small picture of one image."""
    with services().database.read() as session:
        image = studies.image(session, study_id, image_id)
    return _jpeg(image.thumbnail_key if image else None)


@blueprint.get("/thumbnail")
def thumbnail(study_id: str) -> Response:
    """Give the small picture of the study."""
    with services().database.read() as session:
        found = studies.by_id(session, study_id)
    return _jpeg(found.thumbnail_key if found else None)


@blueprint.get("/images/<row:image_id>/saliency")
def saliency(study_id: str, image_id: int) -> Response:
    """Give the raw saliency grid of the image's result, with the place of the picture in the network's square."""
    with services().database.read() as session:
        detail = studies.detail(session, study_id)
    found = [one.result for one in detail.images if one.image.id == image_id] if detail else []
    result = found[0] if found else None
    if detail is None or result is None or result.saliency is None:
        abort(404)
    size = detail.release.card["input"]["size"] if detail.release else None
    return jsonify({"input_size": size, "explained": result.explained} | result.saliency)


@blueprint.get("/files/<row:file_id>/original")
def original(study_id: str, file_id: int) -> Response:
    """Give a file of the study as it was received, but for the preamble of DICOM; who took it is in the audit."""
    own = services()
    with own.database.read() as session:
        file = files.kept(session, study_id, file_id)
    if file is None:
        abort(404)
    response = originals.original(own.blobs, file)
    try:
        with own.database.write() as session:
            audit(session, person().name, "download", study_id, {"file": file_id})
    except BaseException:
        response.close()
        raise
    return response


def _jpeg(key: str | None) -> Response:
    if key is None:
        abort(404)
    response = make_response(services().blobs.get(key))
    response.headers["Content-Type"] = "image/jpeg"
    response.headers["Content-Disposition"] = "inline"
    return response
