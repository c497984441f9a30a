"""`cspine users`, and the server as `cspine web` starts it."""

import json
import signal
import subprocess
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cspine.__main__ import cli
from cspine.database import Database
from cspine.errors import Usage
from cspine.records import people
from tests.web.conftest import PASSWORD
from web.auth import passwords

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.services


def run(environment: dict[str, str], *arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(
        cli, arguments, input=stdin, env=environment, catch_exceptions=True, standalone_mode=False
    )


def test_users_are_added_with_a_password_from_stdin(environment: dict[str, str], database: Database) -> None:
    assert run(environment, "users", "add", "rita", "--role", "reader", stdin=f"{PASSWORD}\n").exception is None
    with database.read() as session:
        user = people.by_name(session, "rita")
    assert user and user.role == "reader"
    assert passwords.fits(PASSWORD, user.password_hash)
    assert PASSWORD not in (user.password_hash or "")
    again = run(environment, "users", "add", "rita", "--role", "admin", stdin=f"{PASSWORD}\n")
    assert isinstance(again.exception, Usage)
    listed = run(environment, "users", "list").stdout
    assert listed == "rita  reader  active  never signed in\n"


@pytest.mark.parametrize("name", ["x" * 81, "", " ", "a\nb", "a\u202eb", " a", "a\udcff"])
def test_a_name_that_nobody_can_type_is_refused(environment: dict[str, str], database: Database, name: str) -> None:
    result = run(environment, "users", "add", name, "--role", "reader", stdin=f"{PASSWORD}\n")
    assert isinstance(result.exception, Usage)
    with database.read() as session:
        assert people.listing(session) == []


def test_a_short_password_is_refused(environment: dict[str, str], database: Database) -> None:
    result = run(environment, "users", "add", "rita", "--role", "reader", stdin="short\n")
    assert isinstance(result.exception, Usage)
    with database.read() as session:
        assert people.listing(session) == []


def test_a_new_password_ends_the_sessions(environment: dict[str, str], database: Database) -> None:
    run(environment, "users", "add", "rita", "--role", "reader", stdin=f"{PASSWORD}\n")
    with database.write() as session:
        user = people.by_name(session, "rita")
        assert user
        secret = people.sign_in(session, user, timedelta(hours=1))
    run(environment, "users", "password", "rita", stdin="another long one\n")
    with database.read() as session:
        user = people.by_name(session, "rita")
        assert user and passwords.fits("another long one", user.password_hash)
        assert people.holder(session, secret, people.Purpose.SESSION) is None
    assert isinstance(run(environment, "users", "password", "nobody", stdin="another long one\n").exception, Usage)


def test_the_first_admins_address_is_printed_until_there_is_one(environment: dict[str, str],
                                                                database: Database) -> None:  # fmt: skip
    address = run(environment, "users", "first-admin").stdout.strip()
    assert address.startswith("http://127.0.0.1:8000/signin/")
    token = address.rsplit("/", 1)[1]
    with database.write() as session:
        user = people.spend(session, token, people.Purpose.SIGNIN)
        assert user and (user.name, user.role) == ("admin", "admin")
        people.set_password(session, user.id, passwords.hashed(PASSWORD))
    result = run(environment, "users", "first-admin")
    assert result.return_value == 1
    assert "http" not in result.stdout


def test_the_server_answers_logs_no_secret_and_ends_when_told(
    server: tuple[str, subprocess.Popen[bytes], Path],
) -> None:
    address, process, log = server
    with urllib.request.urlopen(f"{address}/login?next=/secret-query") as answer:
        assert answer.status == 200
    with urllib.request.urlopen(f"{address}/signin/secret-token") as answer:
        assert b"<button" in answer.read()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    text = log.read_text()
    records = [json.loads(line) for line in text.splitlines()]
    assert {"/login", "/signin/..."} <= {record.get("path") for record in records}
    assert "secret" not in text
