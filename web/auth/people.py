"""The person behind a request: loaded from the session's secret with every request, and asked for by default."""

from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from flask import Flask, abort, g, redirect, request, session, url_for
from flask_login import LoginManager, current_user, login_user, logout_user
from werkzeug.wrappers import Response

from cspine.records import people
from cspine.records.people import Purpose, Role
from cspine.tables import User
from web.errors import wants_json
from web.services import services

OPEN = {"login", "signin", "static", "health.healthz", "health.readyz"}
OPEN |= {"metrics.metrics"}  # asks for a token of its own


@dataclass(frozen=True)
class Person:
    """A signed-in user, as flask-login wants one; the id of the session is its secret."""

    id: int
    name: str
    role: str
    has_password: bool
    secret: str
    is_active: bool = True
    is_authenticated: bool = True
    is_anonymous: bool = False

    @property
    def is_admin(self) -> bool:
        """Say whether this person may do everything."""
        return self.role == Role.ADMIN

    def get_id(self) -> str:
        """Return what the cookie holds."""
        return self.secret


def init(app: Flask) -> None:
    """Load the person of every request, and refuse strangers everywhere but at the door."""
    manager = LoginManager(app)
    manager.session_protection = None  # the secret is random and ends with the session
    manager.user_loader(load)
    app.before_request(require_person)
    app.context_processor(lambda: {"person": current_user})


def load(secret: str) -> Person | None:
    """Return the person whose session this is, or null.

    The database is asked once in a request: where it failed, the page that says so is rendered as for a stranger.
    """
    if "asked_who" in g:
        return None
    g.asked_who = True
    with services().database.read() as session_:
        user = people.holder(session_, secret, Purpose.SESSION)
    return Person(user.id, user.name, user.role, bool(user.password_hash), secret) if user else None


def person() -> Person:
    """Return who asks; only for pages that are not open to strangers."""
    return cast(Person, current_user._get_current_object())


def require_person() -> Response | None:
    """Send strangers to the sign-in page; their changes are refused before the body is read."""
    if request.endpoint in OPEN or current_user.is_authenticated:
        return None
    if request.method != "GET" or wants_json():
        abort(401)
    return redirect(url_for("login", next=request.full_path.rstrip("?")))


def begin(user: User) -> None:
    """Begin a new session for a user; whatever the browser had before is gone."""
    own = services()
    lifetime = timedelta(hours=own.settings.session_hours)
    with own.database.write() as session_:
        secret = people.sign_in(session_, user, lifetime)
    session.clear()
    session.permanent = True
    login_user(Person(user.id, user.name, user.role, bool(user.password_hash), secret))


def end() -> None:
    """End the present session, also for whoever has a copy of its cookie."""
    with services().database.write() as session_:
        people.spend(session_, person().secret, Purpose.SESSION)
    logout_user()
    session.clear()
