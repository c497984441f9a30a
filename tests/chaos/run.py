"""One night of chaos: send the files, let the monkey loose, wait until nothing waits, check everything."""

import json
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from cspine.errors import ServiceFault
from cspine.ingest import Intake
from cspine.ledger import Ledger
from cspine.records import batches
from cspine.states import Lane
from cspine.tables import Batch
from tests.chaos import checks, monkey, night
from tests.chaos.checks import Verdict
from tests.chaos.house import QUICK, House
from tests.chaos.monkey import Monkey
from tests.chaos.night import File

MOST_SECONDS = 460.0
PORTION = 25
POLL_SECONDS = 0.2
STALLED_SECONDS = 20.0
ROOT = Path(__file__).resolve().parent.parent.parent


class Sender(threading.Thread):
    """Sends the files, a portion at a time; one whose receipt is in doubt is sent again."""

    def __init__(self, house: House, batch: Batch, files: Sequence[File]) -> None:
        """Keep what to send."""
        super().__init__(name="sender", daemon=True)
        self._house, self._batch, self._files = house, batch, files
        self.tries: Counter[str] = Counter()
        self.error: BaseException | None = None

    def run(self) -> None:
        """Send all of it."""
        try:
            database, store, bell = self._house.open()
            for start in range(0, len(self._files), PORTION):
                intake = Intake(self._house.settings, database, store, bell, self._batch)
                for file in self._files[start : start + PORTION]:
                    self._send(intake, file)
                intake.finish()
            database.dispose()
        except BaseException as error:
            self.error = error
            raise

    def _send(self, intake: Intake, file: File) -> None:
        while True:
            self.tries[file.name] += 1
            try:
                intake.receive_path(file.path, file.name)
                return
            except ServiceFault:
                time.sleep(POLL_SECONDS)


def run(seed: int, *, short: bool, faults: Sequence[str] = (), most_seconds: float = MOST_SECONDS,
        say: Callable[[str], object] = print) -> Verdict:  # fmt: skip
    """Run the night of a seed in a temporary folder, with these faults in place of the usual ones if there are any."""
    shape = night.SHORT if short else night.LONG
    faults = faults or (monkey.SHORT if short else monkey.LONG)
    with tempfile.TemporaryDirectory(prefix="cspine-chaos-") as folder:
        began = time.monotonic()
        house = House(Path(folder), **QUICK)
        try:
            files, poisons = night.write(Path(folder) / "night", shape, seed, house.settings)
            house.poison.write_text(json.dumps(poisons))
            house.start()
            say(f"ready after {time.monotonic() - began:.0f} s")
            verdict = _night(house, files, seed, faults, say=say, ends=began + most_seconds)
        except BaseException:
            say(f"logs: {_keep(house, seed)}")
            raise
        finally:
            house.close()
        if not verdict.sound:
            say(f"logs: {_keep(house, seed)}")
        return verdict


def _keep(house: House, seed: int) -> Path:
    """Copy the services' logs to where they outlast the night."""
    kept = ROOT / "var" / "chaos" / f"seed-{seed}"
    shutil.rmtree(kept, ignore_errors=True)
    return Path(shutil.copytree(house.settings.var / "log", kept))


def _night(house: House, files: Sequence[File], seed: int, chosen: Sequence[str], *, say: Callable[[str], object],
           ends: float) -> Verdict:  # fmt: skip
    random = Random(seed)
    began = time.monotonic()
    plan = monkey.plan(random, chosen)
    own = Monkey(house, random, lambda words: say(f"{time.monotonic() - began:5.0f} s  {words}"))
    with house.database.write() as session:
        batch = batches.get_or_create(session, f"chaos {seed}", Lane.NORMAL)
    sender = Sender(house, batch, files)
    sender.start()
    for planned in plan:
        _await_share(house, batch, len(files), planned.after, ends)
        own.do(planned.name)
    own.rest()
    faults: list[str] = []
    while time.monotonic() < ends and (sender.is_alive() or _ledger(house, batch).waiting):
        time.sleep(POLL_SECONDS)
    if sender.is_alive() or sender.error is not None:
        faults.append(f"the sender did not end: {sender.error!r}")
    if waiting := _ledger(house, batch).waiting:
        faults.append(f"{waiting} files still wait after {ends - began:.0f} s")
    say(f"{time.monotonic() - began:5.0f} s  {waiting} files wait")
    own.thaw()
    faults += [f"a stray process: {stray}" for stray in house.strays()] + own.left
    house.stop()
    faults += [f"a process is left: {pid}" for pid in house.processes()]
    say(house.age())
    faults += [f"a blob was begun and never ended: {part}" for part in house.parts()]
    hit = {str(pid) for pid in own.hit}
    with house.database.read() as session:
        verdict = checks.check(session, batch, files, sender.tries, hit, house.settings.max_lone_attempts)
        verdict.faults += checks.blobs(session, frozenset(house.blobs.keys()) - house.given)
    verdict.faults += faults
    return verdict


def _await_share(house: House, batch: Batch, total: int, share: float, ends: float) -> None:
    """Wait until this share of all files has ended; where nothing moves for a while, go on."""
    moved, before = time.monotonic(), -1
    while True:
        ledger = _ledger(house, batch)
        ended = ledger.received - ledger.waiting
        if ended != before:
            moved, before = time.monotonic(), ended
        late = time.monotonic() - moved > STALLED_SECONDS or time.monotonic() > ends
        if ended >= share * total or late:
            return
        time.sleep(POLL_SECONDS)


def _ledger(house: House, batch: Batch) -> Ledger:
    return house.ask(lambda session: batches.ledger(session, batch))
