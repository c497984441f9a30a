"""`/metrics`: for a monitor that holds the token, and for a signed-in admin."""

import hmac
from threading import Lock
from typing import cast

from flask import Blueprint, Response, abort, current_app, request
from flask_login import current_user

from web.metrics.scrape import CONTENT_TYPE, Scrape
from web.services import services

blueprint = Blueprint("metrics", __name__)
EXTENSION = "cspine_metrics"
SCHEME = "Bearer "

_lock = Lock()


@blueprint.get("/metrics")
def metrics() -> Response:
    """Give the figures as Prometheus reads them, at most some seconds old."""
    if not _holds_token():
        if not current_user.is_authenticated:
            return Response("a token is needed\n", 401, {"WWW-Authenticate": "Bearer"}, mimetype="text/plain")
        if not current_user.is_admin:
            abort(403)
    return Response(_scrape().text(), content_type=CONTENT_TYPE)


def _holds_token() -> bool:
    token, given = services().settings.metrics_token, request.headers.get("Authorization", "")
    if not token or not given.startswith(SCHEME):
        return False
    return hmac.compare_digest(given.removeprefix(SCHEME).encode(), token.encode())


def _scrape() -> Scrape:
    """Return the application's own, made at the first request."""
    with _lock:
        made = current_app.extensions.setdefault(EXTENSION, Scrape(services()))
    return cast(Scrape, made)
