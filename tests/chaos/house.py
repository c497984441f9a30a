"""The installation that the monkey lives in: servers, the supervised services, and what can be asked of it any time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from cspine import migrate
from cspine.blobs import BlobStore
from cspine.commands.release import DEMO
from cspine.database import Database
from cspine.embedded import process
from cspine.errors import ServiceFault
from cspine.queue import Bell
from cspine.settings import Settings
from cspine.states import Stage
from cspine.tables import Claim, Screening
from tests.chaos.entry import VARIABLE
from tests.chaos.services import WORKERS
from tests.servers import Postgres, Redis, await_

T = TypeVar("T")
PAUSE_SECONDS = 0.2
DAYS = 2  # longer than CSPINE_ORPHAN_HOURS
STOP_SECONDS = 60.0
LEASE_SECONDS, SWEEP_SECONDS = 10.0, 2.0
QUICK: dict[str, Any] = {  # of minutes, seconds: a night of chaos ends in a few minutes
    "lease_seconds": LEASE_SECONDS, "lease_renew_seconds": 2.0, "sweep_seconds": SWEEP_SECONDS,
    "hand_back_seconds": 4.0, "visibility_seconds": 60, "retry_first_seconds": 1.0, "retry_most_seconds": 5.0,
    "prepare_seconds": 20, "screen_seconds": 40, "screen_threads": 1, "screen_batch": 8,
}  # fmt: skip


@dataclass(frozen=True)
class Load:
    """What a process holds; to spare is a study, alone, that one more crash would have quarantined."""

    stage: str
    studies: int
    spare: bool


class House:
    """One installation in a folder of its own."""

    def __init__(self, folder: Path, host: str = "127.0.0.1", networks: str = "127.0.0.0/8", **settings: Any) -> None:
        """Start the servers at an address, migrate, import the demo release and export it; `var` is new."""
        folder.chmod(0o711)
        self.postgres, self.redis = Postgres(folder / "postgres", host, networks), Redis(folder / "redis", host)
        self.postgres.start()
        self.postgres.create()
        self.redis.start()
        own = {"var": folder / "var", "database_url": self.postgres.url, "redis_url": self.redis.url}
        self.settings = Settings().model_copy(update=own | settings)
        self.poison = folder / "poison.json"
        self.poison.write_text("{}")
        self.database, self.blobs, self.bell = self.open()
        migrate.upgrade(self.database)
        (folder / "var").mkdir()
        identity = self.command("release", "import", DEMO).split()[-1]
        self.command("release", "activate", identity)
        self.given = frozenset(self.blobs.keys())  # the release and its export
        self._up: subprocess.Popen[bytes] | None = None

    def open(self) -> tuple[Database, BlobStore, Bell]:
        """Return connections of the caller's own."""
        return Database.of(self.settings), BlobStore(self.settings.blobs), Bell(self.settings)

    def command(self, *arguments: object) -> str:
        """Run the command line in this installation and return what it prints; raises `CalledProcessError`."""
        command = [sys.executable, "-m", "cspine", *map(str, arguments)]
        done = subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=True)
        return done.stdout

    def start(self) -> None:
        """Start the supervisor with the workers and the sweep, and wait until each of them consumes."""
        command = [sys.executable, "-m", "tests.chaos.services"]
        with (self.settings.var / "services.log").open("ab") as output:
            self._up = process.spawn(command, self._environment(), output, on_death=signal.SIGTERM)
        logs = self.settings.var / "log"

        def ready() -> bool:
            found = [log for stage in Stage for log in logs.glob(f"{stage.value}-*.log")]
            return sum("ready." in log.read_text() for log in found) == len(WORKERS)

        await_(ready, "the workers do not start")

    def stop(self) -> None:
        """Ask the supervisor to end everything."""
        if self._up is not None:
            self._up.terminate()
            self._up.wait(STOP_SECONDS)
            self._up = None

    def close(self) -> None:
        """End whatever is left."""
        if self._up is not None:
            self._up.kill()
            self._up.wait()
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.database.dispose()
        self.redis.stop(signal.SIGKILL)
        self.postgres.stop(signal.SIGQUIT)

    def age(self) -> str:
        """Have every blob be two days old, and let the sweep remove what no row names; return what it says.

        It leaves alone what is younger than an hour, since its row may be on its way.
        """
        assert self.blobs.folder is not None
        long_ago = time.time() - DAYS * 86_400
        for path in self.blobs.folder.rglob("*"):
            if path.is_file():
                os.utime(path, (long_ago, long_ago))
        return self.command("sweep", "--blobs").strip()

    def parts(self) -> list[str]:
        """Return the blobs that were never finished."""
        assert self.blobs.folder is not None
        return [path.name for path in self.blobs.folder.rglob("*.part")]

    def parents(self, stage: str) -> list[int]:
        """Return the workers of a stage (or the sweep) that run now, without their children."""
        assert self._up is not None
        return sorted(pid for pid in process.children(self._up.pid) if stage in _words(pid))

    def children(self, stage: str) -> list[int]:
        """Return the children of all workers of a stage."""
        return [child for parent in self.parents(stage) for child in sorted(process.children(parent))]

    def processes(self) -> list[int]:
        """Return every process of this installation but the servers and us, by its environment."""
        mark = f"CSPINE_VAR={self.settings.var}".encode()
        return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if mark in _read(path)]

    def strays(self) -> list[str]:
        """Return the processes that are neither supervised nor children of a supervised one, in words."""
        assert self._up is not None
        above = set(process.children(self._up.pid))
        known = {self._up.pid} | above | {child for pid in above for child in process.children(pid)}
        return [f"{pid} {' '.join(_words(pid))}" for pid in self.processes() if pid not in known]

    def load(self, pid: int) -> Load | None:
        """Return what a child of a worker holds; null where the database does not answer."""
        mine = Claim.worker.endswith(f":{pid}") & Claim.ended_at.is_(None)
        query = select(Claim.stage, Claim.size, Screening.lone_attempts).join(Screening, Screening.claim_id == Claim.id)
        try:
            with self.database.read() as session:
                rows = session.execute(query.where(mine)).all()
        except ServiceFault:
            return None
        last = self.settings.max_lone_attempts - 1
        spare = any(row.size == 1 and row.lone_attempts >= last for row in rows)
        return Load(rows[0].stage if rows else "", len(rows), spare)

    def writes(self, pid: int) -> bool:
        """Say whether a (stopped) process is in the middle of a transaction that has written something."""
        ports = _ports(pid)
        query = "SELECT client_port FROM pg_stat_activity WHERE state LIKE 'idle in%' AND backend_xid IS NOT NULL"
        return any(port in ports for (port,) in self.postgres.query(query) or [])

    def ask(self, question: Callable[[Session], T]) -> T:
        """Ask the database, for as long as it takes to answer."""
        while True:
            try:
                with self.database.read() as session:
                    return question(session)
            except ServiceFault:
                time.sleep(PAUSE_SECONDS)

    def _environment(self) -> dict[str, str]:
        return self.settings.environment() | {VARIABLE: str(self.poison)}


def _ports(pid: int) -> set[int]:
    """Return the local ports of a process's TCP connections."""
    sockets = {str(path.readlink()) for path in _listed(f"/proc/{pid}/fd")}
    rows = [line.split() for line in _read(Path(f"/proc/{pid}/net/tcp")).decode().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if f"socket:[{row[9]}]" in sockets}


def _listed(folder: str) -> list[Path]:
    try:
        return list(Path(folder).iterdir())
    except OSError:
        return []


def _words(pid: int) -> list[str]:
    return [word.decode(errors="replace") for word in _read(Path(f"/proc/{pid}/cmdline")).split(b"\0")]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
