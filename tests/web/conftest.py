"""A browser of the Flask test client: signed in, with a CSRF token, on a database of the test's own."""

import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache
from werkzeug.test import TestResponse

from cspine.database import Database
from cspine.records import people
from cspine.records.people import Role
from cspine.settings import Settings
from web import create_app
from web.auth import passwords

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"
AddUser = Callable[[str, str], int]
Server = tuple[str, subprocess.Popen[bytes], Path]
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


class Browser:
    """A client that keeps its cookies and knows the CSRF token of its session."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()
        self.get = self.client.get

    def token(self, path: str = "/account") -> str:
        found = TOKEN.search(self.client.get(path).text)
        assert found, f"no form on {path}"
        return found[1]

    def post(self, path: str, data: dict[str, Any] | None = None, *, form: str = "/account",
             **options: Any) -> TestResponse:  # fmt: skip
        """POST with the CSRF token of a page."""
        return self.client.post(path, data={"csrf_token": self.token(form)} | (data or {}), **options)

    def login(self, name: str, password: str = PASSWORD, target: str = "/login") -> TestResponse:
        return self.post(target, {"name": name, "password": password}, form="/login")


@pytest.fixture(scope="session", autouse=True)
def _cheap_hashes() -> None:
    """Let argon2 cost little: it is slow on purpose."""
    passwords._hasher = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    passwords._NOBODY = passwords.hashed("nobody has this password")


@pytest.fixture(scope="session", autouse=True)
def _templates_are_compiled_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let the applications of all tests share what their templates compile to: each test has one of its own."""
    Flask.jinja_options = {"bytecode_cache": FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))}


@pytest.fixture(scope="session")
def password_hash() -> str:
    return passwords.hashed(PASSWORD)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    yield app
    app.extensions["cspine"].database.dispose()


@pytest.fixture
def add_user(database: Database, password_hash: str) -> AddUser:
    def add(name: str, role: str) -> int:
        with database.write() as session:
            return people.add(session, name, role, password_hash).id

    return add


def signed_in(app: Flask, database: Database, user_id: int) -> Browser:
    """Give a browser with a session, without the cost of a password."""
    with database.write() as session:
        user = people.by_id(session, user_id)
        assert user
        secret = people.sign_in(session, user, timedelta(hours=1))
    browser = Browser(app)
    with browser.client.session_transaction() as cookie:
        cookie["_user_id"] = secret
    return browser


@pytest.fixture
def stranger(app: Flask) -> Browser:
    return Browser(app)


@pytest.fixture
def reader(app: Flask, database: Database, add_user: AddUser) -> Browser:
    return signed_in(app, database, add_user("rita", Role.READER))


@pytest.fixture
def admin(app: Flask, database: Database, add_user: AddUser) -> Browser:
    return signed_in(app, database, add_user("ada", Role.ADMIN))


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    return settings.environment()


@pytest.fixture
def server(environment: dict[str, str], tmp_path: Path) -> Iterator[Server]:
    """Start `cspine web` as it stands on the command line, on a free port."""
    with serving(environment, tmp_path / "web.log") as server:
        yield server


@contextmanager
def serving(environment: dict[str, str], log: Path) -> Iterator[Server]:
    """Run `cspine web` until the block ends; give its address, its process and its log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "cspine", "web", "--port", str(port)]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment | {"CSPINE_WEB_THREADS": "4"}, stderr=file, stdout=file
        )
    address = f"http://127.0.0.1:{port}"
    for _ in range(200):
        with suppress(urllib.error.URLError), urllib.request.urlopen(f"{address}/healthz"):
            break
        time.sleep(0.1)
    yield address, process, log
    process.kill()
    process.wait()
