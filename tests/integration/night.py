"""A night of phantoms through intake and real workers, some of which are killed, and what is left of it in SQL.

python -m tests.integration.night --studies 300 --kills 3 --redis-restarts 1

prints the ledger, counts taken from SQL, and ends with 1 where a study was lost or counted twice. Its data lie in a
temporary folder. DATABASE_URL and REDIS_URL are used where they are given; a Redis of others is not restarted.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import func, select

from cspine import migrate
from cspine.blobs import BlobStore
from cspine.commands.release import ensure
from cspine.commands.screen import submit
from cspine.commands.service import Service
from cspine.database import Database
from cspine.embedded import process
from cspine.ledger import Ledger
from cspine.phantoms import write
from cspine.queue import Bell
from cspine.records import batches
from cspine.settings import Settings
from cspine.states import Lane, Stage, State
from cspine.tables import Attempt, Batch, Result, Screening, Study
from tests.conftest import ROOT

SEED = 31_000
WORK = "broker,prepare,screen,sweep"
PATIENCE_SECONDS = 900.0
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Counts:
    """What SQL says after the night."""

    studies: int
    results: int
    images_with_a_result: int
    images_with_two: int
    attempts: dict[str, int]  # by stage and outcome
    screenings: dict[str, int]  # by state

    def sound(self, expected: int) -> bool:
        """Say whether each study has exactly one answer."""
        whole = self.studies == self.results == self.images_with_a_result == expected
        return whole and not self.images_with_two and self.screenings == {State.DONE.value: expected}


class Services:
    """`cspine up` without its pages, as a subprocess, and its descendants by what they do."""

    def __init__(self, settings: Settings) -> None:
        """Start it; its log is `var/log/night.log`."""
        (settings.var / "log").mkdir(parents=True, exist_ok=True)
        command, env = [sys.executable, "-m", "cspine", "up", "--services", WORK], os.environ | settings.environment()
        with (settings.var / "log" / "night.log").open("wb") as log:
            self._up = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)

    def kill_broker(self) -> int:
        """Kill the broker with SIGKILL, and return its process id."""
        pid = self._find("broker.sock")
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_worker(self, busy: Callable[[], bool], *, parent: bool) -> int:
        """Kill the screen worker with SIGKILL in the middle of its work: who runs the network, or its parent.

        It is stopped before we look whether it has work, so that it cannot end that before it is killed.
        """
        while True:
            above = self._find("worker", "screen")
            for child in process.children(above):
                os.kill(child, signal.SIGSTOP)
                time.sleep(POLL_SECONDS)
                if busy():
                    victim = above if parent else child
                    os.kill(victim, signal.SIGKILL)
                    return victim
                os.kill(child, signal.SIGCONT)
            time.sleep(POLL_SECONDS)

    def _find(self, *words: str) -> int:
        """Wait for the service whose command holds these words."""
        while True:
            for pid in process.children(self._up.pid):
                if set(words) <= set(_command(pid)):
                    return pid
            assert not self.died(), "the supervisor is gone"
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """End all of it in order."""
        self._up.terminate()
        self._up.wait(60)

    def died(self) -> bool:
        """Say whether the supervisor itself is gone."""
        return self._up.poll() is not None


@contextmanager
def services(settings: Settings) -> Iterator[Services]:
    """Run the services for the length of a block."""
    running = Services(settings)
    try:
        bell = Bell(settings)
        _await(lambda: bell.alive() or running.died())
        yield running
    finally:
        running.stop()


def run(settings: Settings, studies: int, kills: int, redis_restarts: int,
        say: Callable[[str], object] = print) -> tuple[Ledger, Counts]:  # fmt: skip
    """Screen a night, killing the screen worker and the broker at even distances, and count."""
    installation = Service(settings, Database.of(settings), BlobStore(settings.blobs), Bell(settings))
    migrate.upgrade(installation.database)
    ensure(installation)
    write(settings.var / "night", studies, SEED, format="png")
    (settings.var / "night" / "truth.csv").unlink()
    faults = [(studies * (one + 1) // (kills + 1), "worker") for one in range(kills)]
    faults += [(studies * (2 * one + 1) // (2 * redis_restarts), "broker") for one in range(redis_restarts)]
    with services(settings) as running:
        batch, _ = submit(installation, [settings.var / "night"], "night", Lane.OVERNIGHT)

        def busy() -> bool:
            assert _ledger(installation, batch).waiting, "the night was over before its last fault"
            return _screening(installation)

        for number, (after, victim) in enumerate(sorted(faults)):
            _await(lambda after=after: _done(installation) >= after)
            pid = running.kill_broker() if victim == "broker" else running.kill_worker(busy, parent=number % 2 == 1)
            say(f"kill -9 of the {victim}, process {pid}, after {_done(installation)} results")
        _await(lambda: not _ledger(installation, batch).waiting)
    return _ledger(installation, batch), count(installation.database)


def count(database: Database) -> Counts:
    """Count the rows of the night."""
    per_image = select(func.count().label("n")).select_from(Result).group_by(Result.image_id).subquery()
    with database.read() as session:
        attempts = session.execute(
            select(Attempt.stage, Attempt.outcome, func.count()).group_by(Attempt.stage, Attempt.outcome)
        ).all()
        states = session.execute(select(Screening.state, func.count()).group_by(Screening.state)).all()
        return Counts(
            studies=session.scalar(select(func.count()).select_from(Study)) or 0,
            results=session.scalar(select(func.count()).select_from(Result)) or 0,
            images_with_a_result=session.scalar(select(func.count(Result.image_id.distinct()))) or 0,
            images_with_two=session.scalar(select(func.count()).select_from(per_image).where(per_image.c.n > 1)) or 0,
            attempts={f"{stage} {outcome}": n for stage, outcome, n in sorted(attempts)},
            screenings=dict(states),
        )


def _done(installation: Service) -> int:
    with installation.database.read() as session:
        return session.scalar(select(func.count()).select_from(Result)) or 0


def _screening(installation: Service) -> bool:
    held = select(Attempt.id).where(Attempt.stage == Stage.SCREEN.value, Attempt.ended_at.is_(None)).limit(1)
    with installation.database.read() as session:
        return session.scalar(held) is not None


def _ledger(installation: Service, batch: Batch) -> Ledger:
    with installation.database.read() as session:
        return batches.ledger(session, batch)


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("/", "\0").split("\0")
    except OSError:
        return []


def _await(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the night does not end")
        time.sleep(POLL_SECONDS)


def main() -> int:
    """Run a night in a temporary folder and print what came of it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--studies", type=int, default=300)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--redis-restarts", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cspine-night-") as folder:
        settings = Settings().model_copy(update={"var": Path(folder)})
        began = time.monotonic()
        ledger, counts = run(settings, chosen.studies, chosen.kills, chosen.redis_restarts)
    for title, values in (("Ledger", ledger.as_dict()), ("SQL", asdict(counts))):
        print(title)
        for name, value in values.items():
            print(f"  {name:22} {value}")
    lost, double = chosen.studies - counts.images_with_a_result, counts.images_with_two
    print(f"{counts.results} results, {lost} lost, {double} double, {time.monotonic() - began:.0f} s")
    return 0 if ledger.balanced and counts.sound(chosen.studies) else 1


if __name__ == "__main__":
    sys.exit(main())
