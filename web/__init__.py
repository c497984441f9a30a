"""The pages: server-rendered Flask over `cspine.records`; no network is ever loaded here."""

from flask import Flask
from jinja2 import StrictUndefined

from cspine.settings import Settings
from web import (
    addresses,
    auth,
    batches,
    bodies,
    errors,
    failures,
    health,
    live,
    metrics,
    queue,
    replays,
    security,
    studies,
    triage,
    upload,
    words,
)
from web.services import EXTENSION, Services


def create_app(settings: Settings | None = None) -> Flask:
    """Wire the application; opens no connection."""
    settings = settings or Settings()
    app = errors.Application(__name__)
    app.jinja_env.undefined = StrictUndefined
    app.extensions[EXTENSION] = Services.of(settings)
    limiter = security.init(app, settings)
    addresses.init(app)
    auth.init(app, limiter)
    bodies.init(app)  # after the sign-in check: a stranger's body is read at the door only
    security.protect(app)
    errors.init(app)
    words.init(app, settings)
    live.init(app, settings)
    studies.init(app, settings)
    upload.init(app, settings, limiter)
    for part in (triage, studies, upload, batches, failures, queue, replays, health, metrics):
        app.register_blueprint(part.blueprint)
    return app
