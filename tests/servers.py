"""A PostgreSQL and a Redis of our own, from Debian's programs, which can be restarted, emptied and taken away."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from redis import Redis as Client
from redis.exceptions import RedisError

from cspine.embedded import process

SECONDS = 60.0
POLL_SECONDS = 0.05
DEBIAN = Path("/usr/lib/postgresql")
USER = "postgres"  # PostgreSQL refuses to run as root; Debian's package brings this user


def missing() -> str | None:
    """Say which program is not installed, or null where all are."""
    lacking = [name for name, found in (("postgresql", _programs()), ("redis-server", shutil.which("redis-server")))
               if found is None]  # fmt: skip
    return f"not installed: {', '.join(lacking)} (Debian's packages of these names)" if lacking else None


def _programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, the newest where there are several."""
    found = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    elsewhere = shutil.which("initdb")
    return Path(elsewhere).parent if elsewhere else None


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def await_(condition: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
    """Wait until a condition holds; raises `TimeoutError` with the words where it does not."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(POLL_SECONDS)


class Postgres:
    """A PostgreSQL server in a folder of its own."""

    def __init__(self, folder: Path, host: str = "127.0.0.1", networks: str = "127.0.0.0/8", *,
                 durable: bool = False) -> None:  # fmt: skip
        """Make the cluster; it is trusted by who comes from these networks, and waits for its disk where `durable`."""
        programs = _programs()
        assert programs is not None, missing()
        self._programs, self._data, self._log = programs, folder / "data", folder / "log"
        self._host, self._port, self._fsync = host, free_port(host), "on" if durable else "off"
        self._popen: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        if os.getuid() == 0:
            shutil.chown(folder, USER, USER)
        self._run("initdb", f"--pgdata={self._data}", "--username=cspine", "--auth=trust", "--encoding=UTF8",
                  "--no-sync")  # fmt: skip
        with (self._data / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {networks} trust\n")

    @property
    def url(self) -> str:
        """The address for DATABASE_URL."""
        return f"postgresql://cspine@{self._host}:{self._port}/cspine"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = {"listen_addresses": self._host, "port": str(self._port), "unix_socket_directories": "",
                   "fsync": self._fsync, "max_connections": "200"}  # fmt: skip
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with self._log.open("ab") as output:
            command = [*self._as_user("INT"), str(self._programs / "postgres"), "-D", str(self._data), *words]
            self._popen = process.spawn(command, dict(os.environ), output, on_death=signal.SIGINT)
        await_(lambda: self.query("SELECT 1", "postgres") is not None, "PostgreSQL does not start")

    def create(self) -> None:
        """Make the database."""
        self.query("CREATE DATABASE cspine", "postgres")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT cuts every connection in order, SIGQUIT at once, so that it recovers at its start."""
        if self._popen is not None:
            self._popen.send_signal(how)
            self._popen.wait(SECONDS)
            self._popen = None

    def query(self, statement: str, database: str = "cspine") -> list[tuple[object, ...]] | None:
        """Run one statement by itself; null where the server does not answer."""
        try:
            with psycopg.connect(
                f"{self.url.rpartition('/')[0]}/{database}", autocommit=True, connect_timeout=5
            ) as one:
                cursor = one.execute(statement.encode())
                return cursor.fetchall() if cursor.description else []
        except psycopg.OperationalError:
            return None

    def cut_connections(self) -> int:
        """End every session of others, whatever it is in the middle of; return how many."""
        others = "datname = 'cspine' AND pid <> pg_backend_pid()"
        return len(self.query(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}") or [])

    def read_only(self, on: bool) -> None:
        """Refuse every write, or take them again."""
        self.query(f"ALTER SYSTEM SET default_transaction_read_only = {'on' if on else 'off'}")
        self.query("SELECT pg_reload_conf()")

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user(), str(self._programs / program), *arguments]
        subprocess.run(command, check=True, capture_output=True)

    @staticmethod
    def _as_user(on_death: str | None = None) -> list[str]:
        """Return what goes before a command, since root may not; a change of user forgets the signal of our death."""
        if os.getuid() != 0:
            return []
        tied = ["--pdeathsig", on_death] if on_death else []
        return ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", *tied, "--"]


class Redis:
    """A Redis server in a folder of its own, which it finds again after a restart where it `keeps` it."""

    def __init__(self, folder: Path, host: str = "127.0.0.1", *, keeps: bool = True) -> None:
        """Make the folder."""
        folder.mkdir(parents=True)
        self._folder, self._host, self._port = folder, host, free_port(host)
        self._appends = "yes" if keeps else "no"
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address for REDIS_URL."""
        return f"redis://{self._host}:{self._port}/0"

    def client(self) -> Client:
        """Return a client, not yet connected."""
        return Client.from_url(self.url, socket_timeout=5, socket_connect_timeout=5)

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = {"bind": self._host, "port": str(self._port), "dir": str(self._folder), "appendonly": self._appends,
                   "save": "", "maxmemory-policy": "noeviction", "protected-mode": "no"}  # fmt: skip
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        with (self._folder / "log").open("ab") as output:
            self._popen = process.spawn(["redis-server", *words], dict(os.environ), output)
        await_(self.alive, "Redis does not start")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop the server."""
        if self._popen is not None:
            self._popen.send_signal(how)
            self._popen.wait(SECONDS)
            self._popen = None

    def forget(self) -> None:
        """Throw away what a stopped server has kept."""
        for path in self._folder.glob("appendonly*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def alive(self) -> bool:
        """Say whether it answers."""
        try:
            with self.client() as client:
                return bool(client.ping())
        except RedisError:
            return False


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """Run a PostgreSQL with an empty database until the block ends."""
    server = Postgres(folder)
    server.start()
    try:
        server.create()
        yield server
    finally:
        server.stop(signal.SIGQUIT)


@contextmanager
def redis(folder: Path, *, keeps: bool = True) -> Iterator[Redis]:
    """Run a Redis until the block ends."""
    server = Redis(folder, keeps=keeps)
    server.start()
    try:
        yield server
    finally:
        server.stop(signal.SIGKILL)
