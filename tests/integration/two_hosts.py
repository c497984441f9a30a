"""Two worker hosts that share nothing but the three addresses, one of them cut off for a minute in mid-batch.

python -m tests.integration.two_hosts [--studies 600] [--seconds 60] [--groups]

Each host is a network namespace with its own process ids and name (or, where there can be none, a group of processes
behind a forwarder), and runs `cspine up` with workers and a sweep. PostgreSQL, Redis and an S3 server stand outside.
Ends with 1 where a study was lost, counted twice or blamed.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cspine.embedded.services import PYTHON
from cspine.records import batches
from cspine.states import Lane, Outcome
from cspine.tables import Attempt, Batch, Claim
from tests import servers
from tests.chaos import checks, night
from tests.chaos.checks import Verdict
from tests.chaos.house import House
from tests.chaos.night import File, Shape
from tests.chaos.run import Sender
from tests.cspine import s3
from tests.integration import network
from tests.integration.network import Host

SEED = 5
NAMES = ("host-a", "host-b")
MORE = 60  # studies at a time that are sent after the return, until the host that was cut off takes some
AT = 0.25  # of the batch, when the cable is pulled
MOST_SECONDS = 900.0
BACK_SECONDS = 60.0
POLL_SECONDS = 0.2


def run(studies: int, seconds: float, *, grouped: bool, say: Callable[[str], object] = print) -> Verdict:
    """Screen a batch on two hosts, one of which is cut off for some seconds."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cspine-hosts-")))
        made = network.groups(folder, *NAMES) if grouped else network.hosts(*NAMES)
        ours, (kept, cut) = stack.enter_context(made)
        blobs = stack.enter_context(s3.server(ours)).url
        house = House(folder, ours, f"{ours}/24", blob_url=blobs)
        stack.callback(house.close)
        running = [(host, _worker_host(house, host, folder, stack)) for host in (kept, cut)]
        shape = Shape(studies + 5 * MORE, 0, 0, ())
        files, _ = night.write(folder / "night", shape, SEED, house.settings)
        verdict = _batch(house, cut, files, studies, seconds, say)
        for host, up in running:
            host.end(up, servers.SECONDS)
        verdict.faults += [f"a process is left: {pid}" for pid in house.processes()]
        return verdict


def _worker_host(house: House, host: Host, folder: Path, stack: ExitStack) -> "subprocess.Popen[bytes]":
    """Start workers and sweep on a host that knows the three addresses and has a folder of its own."""
    var = folder / host.name
    var.mkdir()
    own = house.settings.model_copy(update={"var": var})
    # Nothing of the installation's folder: not even its log or its cache of the release.
    command = [*PYTHON, "up", "--services", "prepare,screen,sweep"]
    up = host.run(command, own.environment(), var / "up.log")
    stack.callback(up.kill)
    logs = [var / "log" / f"{stage}.log" for stage in ("prepare", "screen")]
    servers.await_(lambda: all(log.exists() and "ready." in log.read_text() for log in logs), f"{host.name} is silent")
    return up


def _batch(house: House, cut: Host, files: Sequence[File], studies: int, seconds: float,
           say: Callable[[str], object]) -> Verdict:  # fmt: skip
    began = time.monotonic()

    def told(words: str) -> None:
        say(f"{time.monotonic() - began:5.0f} s  {words}")

    with house.database.write() as session:
        batch = batches.get_or_create(session, "two hosts", Lane.NORMAL)
    sender = Sender(house, batch, files[:studies])
    sender.start()
    _await(lambda: _ended(house, batch) >= AT * studies, "nothing is screened")
    held = _unplug(house, cut)
    told(f"{cut.name} is cut off; {_ended(house, batch)} of {studies} are done, it holds {held} claims")
    time.sleep(seconds)
    meanwhile = house.ask(lambda session: _held(session, cut))
    told(f"{cut.name} is back; {_ended(house, batch)} are done, of what it held {meanwhile} claims are open")
    cut.plug()
    back = house.ask(lambda session: _last(session))
    returned = time.monotonic()
    sent = studies
    sender.join()
    tries = sender.tries
    while not house.ask(lambda session: _since(session, cut, back)):
        if time.monotonic() - returned > BACK_SECONDS + MOST_SECONDS * (sent == studies):
            break
        if sent < len(files) and not _waiting(house, batch):
            more = Sender(house, batch, files[sent : sent + MORE])
            more.run()
            tries, sent = tries + more.tries, sent + MORE
        time.sleep(POLL_SECONDS)
    after = time.monotonic() - returned
    took = house.ask(lambda session: _since(session, cut, back))
    told(f"{cut.name} takes work again {after:.0f} s after its return" if took else f"{cut.name} takes no work")
    _await(lambda: not _waiting(house, batch), "the batch does not end")
    told("nothing waits any more")
    with house.database.read() as session:
        verdict = checks.check(session, batch, files[:sent], tries, {cut.name}, house.settings.max_lone_attempts)
        keys = frozenset(house.blobs.keys()) - house.given
        for words in checks.blobs(session, keys):  # the cut host could not delete what it had written in vain
            told(f"{words}; the sweep removes orphans after a day") if "orphan" in words else verdict.faults.append(
                words
            )
        _table(session, told)
    if not took:
        verdict.faults.append(f"{cut.name} took no work in {after:.0f} s after its return")
    return verdict


def _unplug(house: House, cut: Host) -> int:
    """Cut a host off in the middle of its work; return how many claims it holds."""
    while True:
        cut.unplug()
        if held := house.ask(lambda session: _held(session, cut)):
            return held
        cut.plug()
        time.sleep(POLL_SECONDS)


def _await(condition: Callable[[], object], what: str) -> None:
    servers.await_(condition, what, MOST_SECONDS)


def _waiting(house: House, batch: Batch) -> int:
    return house.ask(lambda session: batches.ledger(session, batch)).waiting


def _ended(house: House, batch: Batch) -> int:
    ledger = house.ask(lambda session: batches.ledger(session, batch))
    return ledger.received - ledger.waiting


def _held(session: Session, host: Host) -> int:
    mine = Claim.worker.startswith(f"{host.name}-") & Claim.ended_at.is_(None)
    return session.scalar(select(func.count()).where(mine)) or 0


def _last(session: Session) -> int:
    return session.scalar(select(func.max(Attempt.id))) or 0


def _since(session: Session, host: Host, attempt_id: int) -> int:
    """Count what a host has done in attempts that began after another."""
    mine = Attempt.worker.startswith(f"{host.name}-") & (Attempt.outcome == Outcome.DONE)
    return session.scalar(select(func.count()).where(mine, Attempt.id > attempt_id)) or 0


def _table(session: Session, say: Callable[[str], object]) -> None:
    """Print who did what."""
    counted: dict[tuple[str, str, str], int] = {}
    query = select(Attempt.worker, Attempt.stage, Attempt.outcome, Attempt.reason)
    for worker, stage, outcome, reason in session.execute(query):
        key = (worker.partition(":")[0], stage, f"{outcome} {reason or ''}".strip())
        counted[key] = counted.get(key, 0) + 1
    for (host, stage, outcome), count in sorted(counted.items()):
        say(f"{host} {stage} {outcome}: {count}")


def main() -> int:
    """Run it and print what came of it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--studies", type=int, default=600)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the host is cut off")
    parser.add_argument("--groups", action="store_true", help="groups of processes in place of network namespaces")
    chosen = parser.parse_args()
    if words := servers.missing():
        print(f"two hosts: {words}", file=sys.stderr)
        return 3
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # hosts, servers and folder go with us
    why = network.missing()
    grouped = chosen.groups or why is not None
    print(f"two hosts: groups of processes, {why or 'as asked for'}" if grouped else "two hosts: network namespaces")
    verdict = run(chosen.studies, chosen.seconds, grouped=grouped, say=lambda words: print(words, flush=True))
    for fault in verdict.faults[:20]:
        print(f"  {fault}")
    print(f"two hosts: received {verdict.received} lost {verdict.lost} double {verdict.double}")
    return 0 if verdict.sound else 1


if __name__ == "__main__":
    sys.exit(main())
