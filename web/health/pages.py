"""`/healthz`: the process lives. `/readyz`: the installation can work; each part by name, and why not."""

from flask import Blueprint, Response, jsonify, make_response

from web.health.checks import examine
from web.services import services

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """Say that the process lives."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def readyz() -> Response:
    """Say of each part whether it is ready; 503 where one is not."""
    checks = examine(services())
    ready = all(check["ready"] for check in checks.values())
    return make_response(jsonify(ready=ready, checks=checks), 200 if ready else 503)
