"""The upload form, and its answer: the study of one picture, else the batch."""

import contextlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from threading import BoundedSemaphore
from zoneinfo import ZoneInfo

from flask import (
    Blueprint,
    Flask,
    abort,
    current_app,
    flash,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_limiter import Limiter
from flask_wtf.csrf import CSRFError, validate_csrf
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response
from wtforms import ValidationError

from cspine.errors import CspineError
from cspine.reasons import Reason, sentence
from cspine.records import submissions
from cspine.records.intake import clean
from cspine.settings import Settings
from cspine.states import Lane
from cspine.tables import Batch, Submission
from web.auth import person
from web.bodies import drain
from web.errors import wants_json
from web.services import services
from web.upload.parts import Parts
from web.upload.receive import Received, receive

blueprint = Blueprint("upload", __name__)

EXTENSION = "cspine_uploads"
DRAIN_BYTES, DRAIN_SECONDS = 256 * 2**20, 20.0
FULL_SECONDS = 3.0  # of draining where every slot is taken: it holds a thread of the others, therefore not all of them
NONCE_LENGTHS = range(16, 65)
NAME_LENGTH = 200


@dataclass(frozen=True)
class Room:
    """What uploads may take: threads at once, as many that tell others to wait, and so many an hour for each person."""

    slots: BoundedSemaphore
    refusals: BoundedSemaphore
    limiter: Limiter
    rate: str


def init(app: Flask, settings: Settings, limiter: Limiter) -> None:
    """Allow uploads on a quarter of the threads, so that slow ones do not keep others waiting."""
    quarter = max(1, settings.web_threads // 4)
    slots, refusals = BoundedSemaphore(quarter), BoundedSemaphore(quarter)
    app.extensions[EXTENSION] = Room(slots, refusals, limiter, f"{settings.max_uploads_per_hour} per hour")
    app.extensions["csrf"].exempt(send)  # it checks the token itself, before it reads any file


@blueprint.get("/upload")
def form() -> str:
    """Show the form; each has a nonce of its own."""
    return _form()


@blueprint.post("/upload")
def send() -> Response:
    """Take the files; a form that is sent twice is one job."""
    room: Room = current_app.extensions[EXTENSION]
    if not room.slots.acquire(blocking=False):
        if room.refusals.acquire(blocking=False):
            drain(request.environ["wsgi.input"], DRAIN_BYTES, FULL_SECONDS)
            room.refusals.release()
        abort(503)
    try:
        with room.limiter.limit(room.rate, key_func=lambda: person().name, scope="upload"):
            return _take()
    except (HTTPException, CspineError):
        drain(request.environ["wsgi.input"], DRAIN_BYTES, DRAIN_SECONDS)
        raise
    finally:
        room.slots.release()


def _take() -> Response:
    own = services()
    request.max_content_length = own.settings.max_upload_bytes
    parts = Parts(request.stream, request.mimetype_params.get("boundary", ""), own.settings.max_upload_files)
    fields = parts.fields()
    _insist_on_token(fields.get("csrf_token", ""))
    nonce, lane = fields.get("nonce", ""), fields.get("lane", Lane.NORMAL)
    if len(nonce) not in NONCE_LENGTHS or lane not in list(Lane):
        abort(400)
    files = parts.files()
    first = next(files, None)
    if first is None:
        return _nothing()
    with own.database.write() as session:
        name = _batch_name(fields.get("batch", "").strip()) or _default_name(own.settings)
        batch = submissions.begin(session, nonce, person().id, person().name, name, lane)
    if isinstance(batch, Submission):
        with contextlib.suppress(HTTPException):
            drain(request.stream, DRAIN_BYTES, DRAIN_SECONDS)
        return _lead_to(batch.batch_id, batch.study_id)
    received = receive(own, batch, nonce, person().name, chain([first], files))
    if not received.speaks_for_itself:
        flash(received.sentence)
    if received.is_refused:
        return _refused(batch, received)
    if not received.rung:
        flash(Reason.BROKER_UNAVAILABLE.sentence)
    return _lead_to(batch.id, received.study_id)


def _refused(batch: Batch, received: Received) -> Response:
    """Say why not one of the files could be read; they stand in their batch all the same."""
    reasons = sorted(received.reasons)
    words = " ".join(map(sentence, reasons))
    address = url_for("batches.batch", batch_id=batch.id)
    if wants_json():
        return make_response(jsonify(error=words, reasons=reasons, location=address), 422)
    return make_response(_form(words, address), 422)


def _insist_on_token(token: str) -> None:
    try:
        validate_csrf(token or request.headers.get("X-CSRFToken"))
    except ValidationError as error:
        raise CSRFError from error


def _lead_to(batch_id: str, study_id: str | None) -> Response:
    address = url_for("studies.study", study_id=study_id) if study_id else url_for("batches.batch", batch_id=batch_id)
    return jsonify(location=address) if wants_json() else redirect(address, 303)


def _nothing() -> Response:
    words = "Choose at least one file."
    return make_response(jsonify(error=words) if wants_json() else _form(words), 400)


def _form(fault: str | None = None, batch: str | None = None) -> str:
    nonce = secrets.token_urlsafe(16)
    return render_template("upload/form.html", fault=fault, batch=batch, nonce=nonce, lanes=list(Lane),
                           settings=services().settings)  # fmt: skip


def _batch_name(typed: str) -> str:
    return clean(typed)[:NAME_LENGTH] if typed else ""


def _default_name(settings: Settings) -> str:
    moment = datetime.now(ZoneInfo(settings.site_timezone))
    return f"{moment:%Y-%m-%d %H:%M:%S} {person().name}"[:NAME_LENGTH]
