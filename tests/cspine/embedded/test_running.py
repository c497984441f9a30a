"""Running services for as long as one waits: started, shared, taken over, and gone afterwards."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cspine.database import Database
from cspine.embedded import process, running
from cspine.embedded.lock import Lock
from cspine.errors import ServiceMissing, Usage
from cspine.queue import Bell
from cspine.records import heartbeats
from cspine.settings import Settings
from tests.conftest import ROOT

SOME = frozenset({"broker", "sweep"})


@pytest.fixture
def own(tmp_path: Path) -> Settings:
    return Settings(var=tmp_path / "var", database_url="", redis_url="", blob_url="")


def wait(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.05)


def supervisors() -> list[int]:
    """List our own children that supervise; Python's resource tracker, once another test has started it, is none."""
    return [pid for pid in process.children(os.getpid()) if b"\0cspine\0" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def sweeping(settings: Settings) -> bool:
    with Database.of(settings).read() as session:
        return heartbeats.alive(session, "sweep")


def test_what_is_asked_for_runs_until_the_block_ends(own: Settings) -> None:
    with running(own, SOME):
        assert Bell(own).alive()
        wait(lambda: sweeping(own))
        (supervisor,) = supervisors()
        services = process.children(supervisor)
        assert len(services) == 2
    assert not [pid for pid in (supervisor, *services) if process.alive(pid)]
    assert not Bell(own).alive()
    assert Lock(own).acquire()


def test_services_that_run_are_shared_and_taken_over(own: Settings) -> None:
    first = subprocess.Popen(
        [sys.executable, "-m", "cspine", "up", "--services", "broker,sweep"], cwd=ROOT, env=own.environment()
    )
    try:
        wait(Bell(own).alive)
        with running(own, SOME):
            (waiting,) = [pid for pid in supervisors() if pid != first.pid]
            assert process.children(waiting) == []
            first.send_signal(signal.SIGKILL)
            first.wait()
            wait(lambda: len(process.children(waiting)) == 2)
            wait(Bell(own).alive)
    finally:
        first.kill()
        first.wait()


def test_whoever_needs_the_folder_alone_is_told_that_it_is_not(own: Settings) -> None:
    lock = Lock(own)
    assert lock.acquire()
    called: list[Settings] = []
    with pytest.raises(Usage, match="another process"), running(own, SOME, prepare=called.append):
        pass
    assert called == []
    lock.close()


def test_up_is_refused_where_another_one_runs(own: Settings) -> None:
    lock = Lock(own)
    assert lock.acquire()
    command = [sys.executable, "-m", "cspine", "up"]
    run = subprocess.run(command, cwd=ROOT, env=own.environment(), capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "another `up`" in run.stderr
    lock.close()


def test_services_that_do_not_start_are_missing_in_words(own: Settings) -> None:
    nowhere = own.model_copy(
        update={"redis_url": "redis://127.0.0.1:1/0", "database_url": "sqlite+pysqlite:////no/such/x.db"}
    )
    with pytest.raises(ServiceMissing, match="did not start"), running(nowhere, SOME):
        pass
