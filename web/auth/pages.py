"""Signing in by password or by a one-time address, signing out, and setting one's password."""

from flask import abort, flash, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from cspine.records import people as records
from cspine.records.audit import audit
from cspine.records.people import Purpose
from web.addresses import split
from web.auth import passwords, people
from web.services import services


def login() -> Response:
    """Show the sign-in form; sign in by name and password."""
    target = local_target(request.args.get("next", ""))
    if request.method == "GET":
        return make_response(render_template("auth/login.html", fault=None))
    with services().database.read() as session:
        user = records.by_name(session, typed_name())
    known = user is not None and user.active
    good = passwords.fits(request.form.get("password", "")[: passwords.MAX_LENGTH + 1],
                          user.password_hash if user is not None and known else None)  # fmt: skip
    if user is None or not good:
        _note(user.name if user else "unknown", "login_failed")
        fault = "The name or the password is not right."
        return make_response(render_template("auth/login.html", fault=fault), 401)
    people.begin(user)
    _note(user.name, "login")
    return redirect(target, 303)


def signin(token: str) -> Response:
    """Show a button to whoever opens a one-time address; the POST behind it signs in and spends the token."""
    if request.method == "GET":
        return make_response(render_template("auth/signin.html", fault=None))
    with services().database.write() as session:
        user = records.spend(session, token, Purpose.SIGNIN)
    if user is None:
        _note("unknown", "login_failed", {"by": "one-time address"})
        fault = "This address was used already, or its time is over. A new one: bin/cspine users first-admin"
        return make_response(render_template("auth/signin.html", fault=fault), 401)
    people.begin(user)
    _note(user.name, "login", {"by": "one-time address"})
    return redirect(url_for("triage.listing"), 303)


def logout() -> Response:
    """End the session."""
    _note(people.person().name, "logout")
    people.end()
    return redirect(url_for("login"), 303)


def account() -> Response:
    """Show the account; set its password, which ends its other sessions."""
    if request.method == "GET":
        return make_response(render_template("auth/account.html", fault=None))
    own = people.person()
    new, again = request.form.get("password", ""), request.form.get("again", "")
    fault = passwords.fault(new) or (None if new == again else "The two are not the same.")
    with services().database.read() as session:
        user = records.by_name(session, own.name)
    if user is None:
        abort(401)
    if user.password_hash and not passwords.fits(request.form.get("current", ""), user.password_hash):
        fault = "The present password is not right."
    if fault:
        return make_response(render_template("auth/account.html", fault=fault), 400)
    with services().database.write() as session:
        records.set_password(session, own.id, passwords.hashed(new))
        records.end_sessions(session, own.id, keep=own.secret)
        audit(session, own.name, "password", str(own.id))
    flash("The password is set.")
    return redirect(url_for("triage.listing"), 303)


def failed(response: Response) -> bool:
    """Say whether an attempt to sign in failed, so that it counts against the limit."""
    return response.status_code == 401


def typed_name() -> str:
    """Return the user name that was typed."""
    return request.form.get("name", "").strip()[: records.NAME_LENGTH]


def local_target(target: str) -> str:
    """Return an address of ours to go to after signing in; anything that leads elsewhere leads to the list."""
    parts = split(target) if target.isprintable() and "\\" not in target else None
    if parts is None or parts.scheme or parts.netloc or not target.startswith("/") or target.startswith("//"):
        return url_for("triage.listing")
    return target


def _note(actor: str, action: str, detail: dict[str, str] | None = None) -> None:
    with services().database.write() as session:
        audit(session, actor, action, None, detail)
