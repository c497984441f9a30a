"""Each service's command and health check, run as written, against a broker with the compose file's own options."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cspine import release_store
from cspine.blobs import BlobStore
from cspine.commands.release import DEMO
from cspine.database import Database
from cspine.embedded.valkey import find_server
from cspine.queue import Bell
from cspine.records import heartbeats, releases
from cspine.releases import read_card
from cspine.settings import Settings
from tests.conftest import ROOT
from tests.docker.compose import FILES, load

pytestmark = pytest.mark.services

COMPOSE = load(FILES[0])
LASTING = ("web", "worker-prepare", "worker-screen", "worker-explain", "sweep")
START_SECONDS = 90
STOP_SECONDS = 30


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a broker with the options of the compose file, but for where it listens and keeps its data."""
    folder, port = tmp_path_factory.mktemp("redis"), free_port()
    lines = COMPOSE["configs"]["redis"]["content"].replace("dir /data", f"dir {folder}").splitlines()
    (folder / "redis.conf").write_text("\n".join([*lines, "bind 127.0.0.1", f"port {port}", ""]))
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([find_server(), folder / "redis.conf"], stdout=log, stderr=log)
    url = f"redis://:redispassword@127.0.0.1:{port}/0"
    try:
        await_true(Bell(Settings(redis_url=url)).alive, START_SECONDS)
        yield url
    finally:
        server.terminate()
        server.wait(STOP_SECONDS)


@pytest.fixture
def environment(settings: Settings, redis_url: str) -> dict[str, str]:
    """Give the compose file's environment with this machine's addresses in it."""
    here = {
        "DATABASE_URL": settings.database,
        "REDIS_URL": redis_url,
        "BLOB_URL": settings.blobs,
        "CSPINE_VAR": str(settings.var),
        "CSPINE_PORT": str(free_port()),
    }
    return {"PATH": os.environ["PATH"], "HOME": str(settings.var)} | COMPOSE["services"]["web"]["environment"] | here


@pytest.fixture
def release(database: Database, blobs: BlobStore) -> None:
    """Make the demo release the active one."""
    identity = release_store.store(blobs, DEMO)
    with database.write() as session:
        releases.activate(session, releases.add(session, identity, read_card(DEMO).model_dump(mode="json")))


def run(command: list[str], environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def await_true(condition: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not within its time"
        time.sleep(0.3)


def shows_itself(name: str, database: Database, port: int) -> bool:
    """Say whether a service has begun to work; asking its health check costs a process each time."""
    if name == "web":
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0
    with database.read() as session:
        return heartbeats.alive(session, name.removeprefix("worker-"))


def test_migrate_ends_well(environment: dict[str, str]) -> None:
    ended = run(COMPOSE["services"]["migrate"]["command"], environment)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("name", LASTING)
@pytest.mark.usefixtures("release")
def test_a_service_becomes_healthy_and_ends_when_told(
    name: str, environment: dict[str, str], database: Database, tmp_path: Path
) -> None:
    service = COMPOSE["services"][name]
    how, *check = [word.replace(":8000", f":{environment['CSPINE_PORT']}") for word in service["healthcheck"]["test"]]
    assert how == "CMD"
    assert run(check, environment).returncode != 0  # nothing lives yet
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(service["command"], cwd=ROOT, env=environment, stdout=log, stderr=log)
    port = int(environment["CSPINE_PORT"])
    try:
        await_true(lambda: process.poll() is not None or shows_itself(name, database, port), START_SECONDS)
        await_true(lambda: process.poll() is not None or run(check, environment).returncode == 0, START_SECONDS)
        assert process.poll() is None, (tmp_path / "log").read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_SECONDS) == 0, (tmp_path / "log").read_text()
    finally:
        process.kill()
        process.wait()
