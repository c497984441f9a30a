"""Studies that fail by one bug, and others by a second one under the same reason: what the canary wastes of them.

python -m tests.integration.canary --studies 1000

runs real workers with bugs in them, retries while the bug is there, repairs one bug after the other as a deployment
would, and retries again. It prints what each step cost, and ends with 1 where a canary wasted more than three runs, or
where a retry after the repair did not clear its group. Its data lie in a temporary folder.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from sqlalchemy import func, select

from cspine import migrate
from cspine.blobs import BlobStore
from cspine.commands.release import ensure
from cspine.commands.service import Service
from cspine.database import Database
from cspine.embedded import process
from cspine.ingest import Intake
from cspine.ledger import Ledger
from cspine.queue import Bell
from cspine.records import batches
from cspine.settings import Settings
from cspine.states import Outcome, Stage, State
from cspine.tables import Attempt, Batch, Bulk, Result, Screening
from tests.integration import broken
from tests.worker import services

COLUMNS = 50
REASON = "internal_error"
MOST_WASTED = 3
PATIENCE_SECONDS = 900.0
QUICK = {"sweep_seconds": 0.5, "retry_first_seconds": 0.2, "prepare_processes": 2}


@dataclass(frozen=True)
class Step:
    """What one step did: runs of the screen stage that failed and that succeeded, and how the retry ended."""

    name: str
    failed_runs: int
    answered: int
    state: str  # of the retry
    sent: int
    held: int
    seconds: float
    outcome: str = ""


@dataclass
class Report:
    """What came of it."""

    studies: int
    first: int  # of the first bug
    whole: bool  # the second bug is repaired, too
    steps: list[Step] = field(default_factory=list)
    ledger: Ledger | None = None
    results: int = 0

    def faults(self) -> list[str]:
        """Say what is not as it must be; empty where all is well."""
        stopped, partly = self.steps[1:3]
        analysed = self.studies if self.whole else self.first
        found = []
        if stopped.failed_runs > MOST_WASTED or stopped.state != "stopped" or stopped.answered:
            found.append("the canary wasted more than three runs, or was not stopped")
        if partly.failed_runs > MOST_WASTED or partly.answered != self.first:
            found.append("the second bug kept the group of the first from being cleared")
        last = self.steps[-1]
        if self.whole and (last.state != "done" or last.failed_runs or last.answered != self.studies - self.first):
            found.append("the retry after the repair did not clear its group")
        if self.ledger is None or not self.ledger.balanced or self.ledger.analysed != analysed:
            found.append("the ledger does not balance, or not all are analysed")
        if self.results != analysed:
            found.append("a study has no result, or more than one")
        return found


class House:
    """The installation, its broker and sweep, and workers that come and go with their bugs."""

    def __init__(self, settings: Settings, bell: Bell) -> None:
        """Bring it up to date, with the demo release active."""
        self.settings = settings
        self.service = Service(settings, Database.of(settings), BlobStore(settings.blobs), bell)
        self.processes: list[subprocess.Popen[bytes]] = []
        migrate.upgrade(self.service.database)
        ensure(self.service)
        with self.service.database.write() as session:
            self.batch = batches.get_or_create(session, "night", "normal")

    def receive(self, rows: int, count: int) -> None:
        """Receive so many pictures of this height, each a study of its own."""
        intake = Intake(self.settings, self.service.database, self.service.blobs, self.service.bell, self.batch)
        random = np.random.default_rng(rows)
        for number in range(count):
            pixels = random.integers(0, 255, (rows, COLUMNS), np.uint8)
            intake.receive(BytesIO(cv2.imencode(".png", pixels)[1].tobytes()), f"{rows}-{number}.png")
        intake.finish()

    @contextmanager
    def workers(self, bugs: str) -> Iterator[None]:
        """Run a prepare and a screen worker with these bugs."""
        entry = [sys.executable, "-m", "tests.integration.broken", "worker", "--stage"]
        environment = self.settings.environment() | {broken.VARIABLE: bugs}
        with (self.settings.var / "workers.log").open("ab") as log:
            for stage, children in (("prepare", "2"), ("screen", "1")):
                self.processes.append(process.spawn([*entry, stage, "--concurrency", children], environment, log))
        try:
            yield
        finally:
            for one in self.processes:
                one.terminate()
            while self.processes:
                self.processes.pop().wait(services.SECONDS)

    def run(self, *arguments: str) -> Any:
        """Run the command line, and return the JSON that it prints."""
        command = [sys.executable, "-m", "cspine", *arguments, "--json"]
        done = subprocess.run(command, env=self.settings.environment(), capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1):
            raise RuntimeError(done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def runs(self, outcome: Outcome) -> int:
        """Count the runs of the screen stage that ended so."""
        own = (Attempt.stage == Stage.SCREEN, Attempt.outcome == outcome)
        with self.service.database.read() as session:
            return session.scalars(select(func.count()).select_from(Attempt).where(*own)).one()

    def idle(self) -> bool:
        """Say whether nothing is in work and no retry is under way."""
        assert all(one.poll() is None for one in self.processes), "a worker has ended; see workers.log"
        ended = (State.DONE, State.FAILED, State.QUARANTINED, State.CANCELLED)
        with self.service.database.read() as session:
            working = session.scalar(select(Screening.id).where(Screening.state.not_in(ended)).limit(1))
            moving = session.scalar(select(Bulk.id).where(Bulk.state.in_(("canary", "released"))).limit(1))
        return working is None and moving is None

    def step(self, name: str, act: Callable[[], object]) -> Step:
        """Do something, wait until nothing moves any more, and say what it cost."""
        before = self.runs(Outcome.FAILED), self.runs(Outcome.DONE)
        began = time.monotonic()
        act()
        services.wait(self.idle, PATIENCE_SECONDS)
        took = time.monotonic() - began
        failed, answered = self.runs(Outcome.FAILED) - before[0], self.runs(Outcome.DONE) - before[1]
        latest = self.run("retries")[:1]
        values = latest[0] if latest else {"state": "", "sent": 0, "held": 0, "outcome": None}
        return Step(name, failed, answered, values["state"], values["sent"], values["held"], took,
                    values["outcome"] or "")  # fmt: skip


def run(settings: Settings, studies: int, others: int, say: Callable[[str], object] = print, *,
        whole: bool = True) -> Report:  # fmt: skip
    """Do all steps; `others` of the studies fail by the second bug, which stays where it is not the whole."""
    settings = settings.model_copy(update=QUICK)
    report = Report(studies, studies - others, whole)
    with services.broker(settings) as bell, sweeping(settings):
        house = House(settings, bell)
        try:
            _steps(house, report, others, say)
            with house.service.database.read() as session:
                report.ledger = batches.ledger(session, session.get_one(Batch, house.batch.id))
                report.results = session.scalars(select(func.count()).select_from(Result)).one()
        finally:
            house.service.database.dispose()
    return report


def _steps(house: House, report: Report, others: int, say: Callable[[str], object]) -> None:
    def do(name: str, *arguments: str) -> None:
        report.steps.append(house.step(name, lambda: house.run("retry", *arguments)))
        say(row(report.steps[-1]))

    def fail() -> None:
        house.receive(broken.ROWS["one"], report.first)
        house.receive(broken.ROWS["two"], others)

    with house.workers("one two"):
        report.steps.append(house.step("a night with two bugs", fail))
        say(row(report.steps[-1]))
        groups = {group["count"]: group for group in house.run("failures")}
        assert set(groups) == {report.first, others}, "each bug is a group of its own"
        assert {group["reason"] for group in groups.values()} == {REASON}
        do("retry of the first bug's group, not repaired", "--group", groups[report.first]["fingerprint"])
    with house.workers("two"):
        do("first bug repaired: retry of all under the reason", "--filter", f"reason={REASON}")
    if not report.whole:
        return
    with house.workers(""):
        do("both repaired: retry of the second bug's group", "--group", groups[others]["fingerprint"])


@contextmanager
def sweeping(settings: Settings) -> Iterator[None]:
    """Run the sweep until the block ends."""
    migrate.upgrade(database := Database.of(settings))
    database.dispose()
    with (settings.var / "sweep.log").open("ab") as log:
        running = process.spawn([sys.executable, "-m", "cspine", "sweep"], settings.environment(), log)
    try:
        yield
    finally:
        running.terminate()
        running.wait(services.SECONDS)


def row(step: Step) -> str:
    """Return a step as a line of the table."""
    line = f"{step.name:50} {step.failed_runs:7} {step.answered:9} {step.sent:6} {step.held:6} {step.seconds:7.1f}"
    return line + (f"  {step.state}: {step.outcome}" if step.outcome else f"  {step.state}")


def main() -> int:
    """Run it in a temporary folder and print what came of it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--others", type=int, default=20, help="of them, that fail by the second bug")
    chosen = parser.parse_args()
    print(f"{'step':50} {'failed':>7} {'answered':>9} {'sent':>6} {'held':>6} {'s':>7}  retry")
    with tempfile.TemporaryDirectory(prefix="cspine-canary-") as folder:
        settings = Settings().model_copy(update={"var": Path(folder)})
        report = run(settings, chosen.studies + chosen.others, chosen.others)
    faults = report.faults()
    print(f"ledger: {report.ledger}")
    print(f"canary: {report.steps[1].failed_runs} runs wasted of {report.first} that failed by one bug; "
          f"after the repair {report.steps[2].answered} answered; {report.results} results")  # fmt: skip
    for fault in faults:
        print(f"FAULT: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
