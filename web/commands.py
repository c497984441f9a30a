"""`cspine web` and `cspine users`."""

import sys
from datetime import timedelta

import click

from cspine import logs, migrate
from cspine.database import Database
from cspine.errors import Usage
from cspine.records import people
from cspine.records.audit import audit
from cspine.records.people import Role
from cspine.settings import Settings
from cspine.tables import User
from web.auth import passwords

ACTOR = "command line"
ANY_HOST = {"0.0.0.0", "::", ""}  # noqa: S104  # listening everywhere is no address to go to


@click.command()
@click.option("--host", help="Where to listen; default: CSPINE_HOST, else 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="Where to listen; default: CSPINE_PORT, else 8000.")
def web(host: str | None, port: int | None) -> None:
    """Serve the pages until it is told to stop."""
    from web.server import Server

    settings = Settings()
    given = {name: value for name, value in {"host": host, "port": port}.items() if value is not None}
    settings = settings.model_copy(update=given)
    assert settings.key  # in production a bad key ends it here, in words
    logs.configure(settings)
    Server(settings).run()


@click.group()
def users() -> None:
    """Add and list users; the first admin's sign-in address."""


@users.command()
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), required=True)
def add(name: str, role: str) -> None:
    """Add the user NAME; the password is read from stdin."""
    password = _password()
    with _database().write() as session:
        user = people.add(session, name, role, passwords.hashed(password))
        audit(session, ACTOR, "user_added", str(user.id), {"role": role})
    click.echo(f"{name} may sign in as {role}.")


@users.command()
@click.argument("name")
def password(name: str) -> None:
    """Set the password of the user NAME, read from stdin; every session of the user ends."""
    new = _password()
    with _database().write() as session:
        user = _named(people.by_name(session, name), name)
        people.set_password(session, user.id, passwords.hashed(new))
        people.end_sessions(session, user.id)
        audit(session, ACTOR, "password", str(user.id))
    click.echo(f"{name} has a new password.")


@users.command("list")
def list_() -> None:
    """List the users."""
    with _database().read() as session:
        rows = people.listing(session)
    for user in rows:
        seen = f"last signed in {user.last_login_at:%Y-%m-%d %H:%M} UTC" if user.last_login_at else "never signed in"
        click.echo(f"{user.name}  {user.role}  {'active' if user.active else 'not active'}  {seen}")


@users.command("first-admin")
def first_admin() -> int:
    """Print a one-time sign-in address, while no admin has a password or has signed in."""
    settings = Settings()
    with _database().write() as session:
        token = people.first_admin(session, timedelta(minutes=settings.signin_minutes))
    if token is None:
        click.echo("There is an admin already; `cspine users password NAME` sets a password.", err=True)
        return 1
    click.echo(signin_address(settings, token))
    return 0


def signin_address(settings: Settings, token: str) -> str:
    """Return the address that signs in once."""
    host = "127.0.0.1" if settings.host in ANY_HOST else settings.host
    return f"http://{host}:{settings.port}/signin/{token}"


def _password() -> str:
    if sys.stdin.isatty():
        password = str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if fault := passwords.fault(password):
        raise Usage(fault)
    return password


def _named(user: User | None, name: str) -> User:
    if user is None:
        raise Usage(f"there is no user {name!r}")
    return user


def _database() -> Database:
    database = Database.of(Settings())
    if database.sqlite:
        migrate.upgrade(database)
    return database
