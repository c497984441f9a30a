"""Measure the peak memory of the web process and of a prepare child for large files, bombs and many small files.

python -m tests.memory [large] [bombs] [folder] [--files 10000]

runs a real installation in a temporary folder, without the network; ends with 1 where a peak is above its limit
(docs/operations.md). Linux only.
"""

import argparse
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select

from cspine import migrate
from cspine.blobs import BlobStore
from cspine.commands.service import Service
from cspine.database import Database
from cspine.embedded import running
from cspine.queue import Bell
from cspine.records import batches, people
from cspine.records.people import Role
from cspine.settings import Settings
from cspine.states import Disposition, State
from cspine.tables import ReceivedFile, Screening
from tests.memory import files
from tests.memory.pages import Pages
from tests.memory.watch import Watch
from web.auth import passwords

MIB = 2**20
SERVICES = frozenset({"broker", "sweep", "prepare", "web"})
PREPARING = {State.RECEIVED.value, State.PREPARING.value, State.WAITING.value}
PARTS = ["large", "bombs", "folder"]
WEB_LIMIT = SCREEN_LIMIT = 300 * MIB
LIBRARIES = 200 * MIB  # what a prepare child holds before it opens a file
PATIENCE_SECONDS = 600.0


class Measuring:
    """A running installation and who looks at it."""

    def __init__(self, installation: Service, pages: Pages, watch: Watch, folder: Path) -> None:
        self.installation, self.pages, self.watch, self.folder = installation, pages, watch, folder
        self.limits = {"web": WEB_LIMIT, "screen": SCREEN_LIMIT,
                       "prepare": LIBRARIES + installation.settings.prepare_memory_bytes}  # fmt: skip
        self.above: list[str] = []

    def upload(self, what: str, write: Callable[[Path], None]) -> None:
        """Send one file through the pages, wait until it is prepared, and print its line."""
        path = self.folder / "film"
        write(path)
        self.watch.restart()
        began = time.monotonic()
        status = self.pages.upload(path, what)
        outcome = self._settled(what)
        self._print(what, f"{outcome} (HTTP {status})", time.monotonic() - began)
        path.unlink()

    def screen(self, count: int) -> None:
        """Send a folder of many small files by the command line."""
        folder = self.folder / "many"
        files.folder(folder, count)
        what = f"a folder of {count:,} files"
        self.watch.restart()
        began = time.monotonic()
        command = [sys.executable, "-m", "cspine", "screen", str(folder), "--batch", what]
        done = subprocess.run(command, env=self.installation.settings.environment(), capture_output=True, check=False)
        self._print(f"{what}, received", f"exit {done.returncode}", time.monotonic() - began)
        self._print(what, self._settled(what), time.monotonic() - began)

    def _settled(self, name: str) -> str:
        """Wait until every file of a batch was decoded or refused, and say what became of them."""
        end = time.monotonic() + PATIENCE_SECONDS
        rows = select(ReceivedFile.disposition, ReceivedFile.reason, ReceivedFile.flags, Screening.state).outerjoin(
            Screening, Screening.study_id == ReceivedFile.study_id
        )
        while time.monotonic() < end:
            with self.installation.database.read() as session:
                batch = batches.by_name(session, name)
                found = session.execute(rows.where(ReceivedFile.batch_id == batch.id)).all() if batch else []
            if found and not any(row.disposition == Disposition.ACCEPTED and row.state in PREPARING for row in found):
                kinds = Counter(_words(*row) for row in found)
                return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
            time.sleep(0.1)
        return "not settled"

    def _print(self, what: str, outcome: str, seconds: float) -> None:
        peaks = {role: self.watch.peaks.get(role, 0) for role in self.limits}
        over = [role for role, size in peaks.items() if size > self.limits[role]]
        self.above += [f"{what}: {role}" for role in over]
        sizes = "".join(f"{peaks[role] / MIB:9.0f}" if peaks[role] else f"{'-':>9}" for role in peaks)
        print(f"{what:44}{sizes}{seconds:9.1f}  {outcome}{'  ABOVE THE LIMIT' if over else ''}", flush=True)


def main() -> int:
    """Measure all, or the named parts."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; default: all")
    parser.add_argument("--files", type=int, default=10_000)
    chosen = parser.parse_args()
    parts = chosen.parts or PARTS
    if not set(parts) <= set(PARTS):
        parser.error(f"the parts are {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory(prefix="cspine-memory-") as name, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        folder = Path(name)
        settings = Settings().model_copy(update={"var": folder / "var", "port": port, "prepare_processes": 1})
        installation = Service(settings, Database.of(settings), BlobStore(settings.blobs), Bell(settings))
        migrate.upgrade(installation.database)
        password = secrets.token_urlsafe()
        with installation.database.write() as session:
            people.add(session, "memory", Role.READER, passwords.hashed(password))
        with running(settings, SERVICES) as address:
            assert address
            watch = Watch(os.getpid())
            measuring = Measuring(installation, Pages(address, "memory", password), watch, folder)
            _measure(measuring, parts, chosen.files)
            watch.stop()
    for where in measuring.above:
        print(f"above the limit: {where}")
    return 1 if measuring.above else 0


def _words(disposition: str, reason: str | None, flags: list[str], state: str | None) -> str:
    if state == State.QUARANTINED:
        return state
    return " ".join(word for word in (disposition, reason, *flags) if word)


def _measure(measuring: Measuring, parts: list[str], count: int) -> None:
    print(f"{'MiB of resident memory at the peak':44}{'web':>9}{'screen':>9}{'prepare':>9}{'s':>9}  outcome")
    print(f"{'limit':44}" + "".join(f"{limit / MIB:9.0f}" for limit in measuring.limits.values()))
    for part, those in (("large", files.large()), ("bombs", files.bombs())):
        for what, write in those.items() if part in parts else ():
            measuring.upload(what, write)
    if "folder" in parts:
        measuring.screen(count)


if __name__ == "__main__":
    sys.exit(main())
