"""A Redis and a PostgreSQL of a test's own, to be killed, emptied, filled, cut and restarted as often as it likes."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from cspine.embedded import process
from tests.worker.services import wait


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


class RedisServer:
    """A `redis-server` on a port of its own; it keeps nothing over a restart unless it `saves`."""

    def __init__(self, folder: Path, *, saves: bool = False) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder, self._saves = folder, saves
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._folder),
                   "--save", "", "--appendonly", "yes" if self._saves else "no", "--maxmemory-policy",
                   "noeviction"]  # fmt: skip
        self._running = process.spawn(command, os.environ, subprocess.DEVNULL)
        wait(self.answers)

    def stop(self) -> None:
        """Kill it."""
        assert self._running is not None
        self._running.kill()
        self._running.wait()

    def answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except RedisError:
            return False

    def client(self) -> Redis:
        return Redis.from_url(self.url, socket_timeout=5.0, socket_connect_timeout=5.0)


@contextmanager
def redis(folder: Path, *, saves: bool = False) -> Iterator[RedisServer]:
    """Run a Redis until the block ends; skip the test where none is installed."""
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server on the PATH")
    server = RedisServer(folder, saves=saves)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Postgres:
    """A PostgreSQL cluster of its own on a unix socket; as root it runs as the user `postgres`."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self._programs = folder, programs
        self.url = f"postgresql://cspine@/cspine?host={folder}"
        self._as = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []

    def make(self) -> None:
        self._run("initdb", "--pgdata", f"{self.folder}/data", "--username=cspine", "--auth=trust",
                  "--encoding=UTF8", "--no-sync")  # fmt: skip
        self.start()
        self._run("createdb", f"--host={self.folder}", "--username=cspine", "cspine")

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c fsync=off"
        self._run("pg_ctl", "start", "--wait", "--silent", "--pgdata", f"{self.folder}/data",
                  "--log", f"{self.folder}/log", "--options", options)  # fmt: skip

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: `fast` ends sessions in order, `immediate` is a crash."""
        self._run("pg_ctl", "stop", "--wait", "--silent", "--pgdata", f"{self.folder}/data", "--mode", mode)

    def execute(self, *statements: str) -> None:
        """Run statements as the owner, each by itself, in a session that may write whatever the server's default is."""
        for statement in statements:
            self._run("psql", f"--host={self.folder}", "--username=cspine", "--dbname=cspine", "--quiet",
                      "--command", statement, PGOPTIONS="-c default_transaction_read_only=off")  # fmt: skip

    def cut(self) -> None:
        """End every other session, wherever it is in its transaction."""
        self.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                     "AND backend_type = 'client backend'")  # fmt: skip

    def read_only(self, on: bool) -> None:
        """Let no session write any more, as a server that has become a standby."""
        self.execute(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if on else 'off'}",
                     "SELECT pg_reload_conf()")  # fmt: skip

    def _run(self, program: str, *arguments: str, **environment: str) -> None:
        command: Sequence[str] = [*self._as, str(self._programs / program), *arguments]
        with (self.folder / "commands").open("ab") as output:
            options: dict[str, Any] = {"env": dict(os.environ) | environment}
            subprocess.run(command, check=True, stdout=output, stderr=output, stdin=subprocess.DEVNULL, **options)


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """Run a PostgreSQL until the block ends; skip the test where none is installed."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        pytest.skip("no PostgreSQL under /usr/lib/postgresql")
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
    server = Postgres(folder, programs[-1].parent)
    server.make()
    try:
        yield server
    finally:
        server.stop()
