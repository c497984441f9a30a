"""Who is asking: signing in and out, sessions, roles. Every page asks for a session unless it is named here."""

from flask import Flask
from flask_limiter import Limiter

from web.auth import pages, people
from web.auth.people import person

__all__ = ["init", "person"]

FAILED_BY_ADDRESS = "10 per minute; 100 per hour"
FAILED_BY_NAME = "30 per hour"


def init(app: Flask, limiter: Limiter) -> None:
    """Wire the sign-in check and the sign-in pages; only failed attempts are counted against the limits."""
    people.init(app)
    by_address = limiter.limit(FAILED_BY_ADDRESS, methods=["POST"], deduct_when=pages.failed)
    by_name = limiter.limit(FAILED_BY_NAME, methods=["POST"], deduct_when=pages.failed, key_func=pages.typed_name)
    app.add_url_rule("/login", "login", by_address(by_name(pages.login)), methods=["GET", "POST"])
    app.add_url_rule("/signin/<token>", "signin", by_address(pages.signin), methods=["GET", "POST"])
    app.add_url_rule("/logout", "logout", pages.logout, methods=["POST"])
    app.add_url_rule("/account", "account", pages.account, methods=["GET", "POST"])
