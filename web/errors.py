"""Error pages: plain words and a way back; never a stack trace, and nothing of the request in the log."""

import traceback
from types import TracebackType

import structlog
from flask import Flask, Response, jsonify, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from cspine.errors import CspineError, Permanent, ServiceFault, ServiceMissing, Usage
from cspine.reasons import Reason
from web.logs import safe_path

WORDS = {
    400: ("That could not be understood", "The address or the form is not one of ours. Load the page again."),
    401: ("Please sign in", "Your session has ended."),
    403: ("Not allowed", "You may not do this, or it was asked for from another site."),
    404: ("Nothing here", "There is no such page, or it is not for you."),
    405: ("Not like this", "This address takes no request of this kind."),
    408: ("Too slow", "What was sent did not arrive in time. Try again."),
    413: ("Too much at once", "More bytes or more files were sent than this installation accepts."),
    429: ("Too many attempts", "Wait a while, then try again."),
    500: ("Something went wrong here", "The error is in the log of the web server. Nothing that was stored is lost."),
    503: ("A service does not answer", "Try again in a moment."),
    507: ("No room left", Reason.STORAGE_FULL.sentence),
}

log = structlog.get_logger(__name__)


class Application(Flask):
    """Flask, with a log of unexpected errors that says where and what kind, but never with what data."""

    def log_exception(
        self, exc_info: tuple[type, BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> None:
        """Write one record: the type of the error and the lines it passed, without its message."""
        kind, _, trace = exc_info
        frames = [f"{frame.filename.rsplit('/', 2)[-1]}:{frame.lineno} {frame.name}" for frame in
                  traceback.extract_tb(trace)[-6:]]  # fmt: skip
        log.error("internal error", kind=kind.__name__ if kind else None, frames=frames,
                  method=request.method, path=safe_path(request.path))  # fmt: skip


def init(app: Flask) -> None:
    """Answer every error of HTTP and of ours with a page or, where that was asked for, with JSON."""
    app.register_error_handler(HTTPException, on_http)
    app.register_error_handler(CspineError, on_own)


def wants_json() -> bool:
    """Say whether a script of ours asks, rather than a person."""
    best = request.accept_mimetypes.best_match(["text/html", "application/json"])
    return best == "application/json"


def on_http(error: HTTPException) -> Response:
    """Answer an error of HTTP."""
    code = error.code or 500
    if code < 400 and error.response is not None:  # werkzeug's redirect to the canonical address
        return make_response(error.get_response())
    response = page(code)
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = value
    return response


def on_own(error: CspineError) -> Response:
    """Answer an error of ours by its family; its detail stays in the log."""
    log.warning("request failed", reason=error.reason.value, detail=error.detail, path=safe_path(request.path))
    sentence: str | None = error.reason.sentence
    if isinstance(error, ServiceFault | ServiceMissing):
        code = 507 if error.reason is Reason.STORAGE_FULL else 503
    elif isinstance(error, Usage):
        code, sentence = 400, None
    elif isinstance(error, Permanent) and error.reason is Reason.BLOB_MISSING:
        code = 404
    else:
        code, sentence = 500, None
    return page(code, sentence)


def page(code: int, sentence: str | None = None) -> Response:
    """Return the page of a status code."""
    title, words = WORDS.get(code, WORDS[500 if code >= 500 else 400])
    words = sentence or words
    if wants_json():
        return make_response(jsonify(error=words), code)
    return make_response(render_template("error.html", code=code, title=title, words=words), code)
