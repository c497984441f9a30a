"""Real workers under a real broker: children killed, hung and frozen; bells lost; the worker asked to stop."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from sqlalchemy import select

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.embedded import process
from cspine.queue import Bell, connect
from cspine.records import heartbeats
from cspine.settings import Settings
from cspine.states import Stage, State
from cspine.tables import Claim, ReceivedFile, Screening
from tests.cspine.records import work
from tests.worker import services
from tests.worker.conftest import Receive, png
from tests.worker.services import Trap, wait, worker
from worker.sweep import Sweep

pytestmark = pytest.mark.services


@pytest.fixture
def bell(settings: Settings) -> Iterator[Bell]:
    with services.broker(settings) as bell:
        yield bell


def trap(settings: Settings, database: Database, id_: int) -> Trap:
    """Make the reader of a study's only file wait."""
    with database.read() as session:
        key = session.scalar(
            select(ReceivedFile.blob_key)
            .join(Screening, Screening.study_id == ReceivedFile.study_id)
            .where(Screening.id == id_)
        )
    assert key is not None
    return Trap(settings.var / "blobs" / key)


def holder(database: Database, id_: int) -> int:
    """Return the process that holds a screening, or 0."""
    with database.read() as session:
        name = session.scalar(
            select(Claim.worker).join(Screening, Screening.claim_id == Claim.id).where(Screening.id == id_)
        )
    return int(name.split(":")[-1]) if name else 0


def state(database: Database, id_: int) -> str:
    return work.row(database, id_).state


def test_a_file_that_kills_its_decoder_is_set_aside_and_its_neighbours_go_on(
    settings: Settings, database: Database, bell: Bell, receive: Receive
) -> None:
    """Freed at once in the parent: three kills take far less than one lease."""
    settings = settings.model_copy(update={"lease_seconds": 3600.0})
    ids = receive(png(1))
    trap(settings, database, ids[0])
    with worker(settings, concurrency=2) as running:
        ids = receive(*(png(seed) for seed in range(1, 6)))
        killed = {0}

        def strike() -> bool:
            """Kill whoever holds it, once; true when it is set aside."""
            if (victim := holder(database, ids[0])) not in killed:
                killed.add(victim)
                os.kill(victim, signal.SIGKILL)
            return state(database, ids[0]) == State.QUARANTINED

        wait(strike)
        wait(lambda: work.states(database, ids[1:]) == {State.READY})
        assert running.end() == 0
    attempts = work.attempts(database, ids[0])
    assert {attempt.outcome for attempt in attempts} == {"crashed"}
    assert sum(attempt.company == 1 for attempt in attempts) == settings.max_lone_attempts
    assert work.row(database, ids[0]).reason == "decoder_crash"
    assert {work.row(database, id_).lone_attempts for id_ in ids[1:]} == {0}
    assert {work.outcomes(database, id_)[-1] for id_ in ids[1:]} == {"done"}
    with database.read() as session:
        assert not heartbeats.alive(session, "prepare"), "a worker that ends in order says so"


def test_a_frozen_worker_loses_its_lease_and_writes_nothing_when_it_thaws(
    settings: Settings, database: Database, bell: Bell, receive: Receive, blobs: BlobStore
) -> None:
    settings = settings.model_copy(update={"lease_seconds": 1.0, "lease_renew_seconds": 0.2, "sweep_seconds": 0.0})
    sweep = Sweep(settings, database, bell)
    ids = receive(png(1))
    held = trap(settings, database, ids[0])
    with worker(settings, concurrency=2):
        bell.ring(Stage.PREPARE, "normal", ids)
        wait(lambda: holder(database, ids[0]))
        frozen = holder(database, ids[0])
        os.kill(frozen, signal.SIGSTOP)
        pipe = held.open_end()
        held.restore()
        wait(lambda: sweep.once() and state(database, ids[0]) == State.READY)
        os.kill(frozen, signal.SIGCONT)
        os.write(pipe, png(1))
        os.close(pipe)
        ids = receive(png(1), png(2), png(3))  # it takes up work again
        wait(lambda: work.states(database, ids) == {State.READY})
        wait(lambda: len(list(blobs.keys())) == 3 * 4)
    assert work.outcomes(database, ids[0]) == ["expired", "done"]
    assert len(list(blobs.keys())) == 3 * 4, "each picture's file and what was made of it, and nothing of the late one"


def test_a_task_that_hangs_is_killed_and_counted(
    settings: Settings, database: Database, bell: Bell, receive: Receive
) -> None:
    settings = settings.model_copy(update={"prepare_seconds": 1, "max_lone_attempts": 1})
    ids = receive(png(1))
    trap(settings, database, ids[0])
    with worker(settings):
        bell.ring(Stage.PREPARE, "normal", ids)
        wait(lambda: state(database, ids[0]) == State.QUARANTINED)
        ids = receive(png(2))
        wait(lambda: state(database, ids[1]) == State.READY)
    assert [attempt.reason for attempt in work.attempts(database, ids[0])] == ["timed_out"]


def test_a_worker_that_is_asked_to_stop_hands_back_what_it_cannot_end(
    settings: Settings, database: Database, bell: Bell, receive: Receive
) -> None:
    settings = settings.model_copy(update={"hand_back_seconds": 0.5})
    ids = receive(png(1))
    trap(settings, database, ids[0])
    with worker(settings) as running:
        bell.ring(Stage.PREPARE, "normal", ids)
        wait(lambda: holder(database, ids[0]))
        child = holder(database, ids[0])
        assert running.end() == 0
        wait(lambda: not Path(f"/proc/{child}").exists())
    assert state(database, ids[0]) == State.RECEIVED
    assert work.outcomes(database, ids[0]) == ["handed_back"]
    assert work.row(database, ids[0]).lone_attempts == 0


def test_a_worker_killed_whole_leaves_no_child_and_the_next_one_takes_over_at_once(
    settings: Settings, database: Database, bell: Bell, receive: Receive
) -> None:
    settings = settings.model_copy(update={"lease_seconds": 3600.0})
    ids = receive(png(1))
    held = trap(settings, database, ids[0])
    with worker(settings) as running:
        bell.ring(Stage.PREPARE, "normal", ids)
        wait(lambda: holder(database, ids[0]))
        child = holder(database, ids[0])
        running.popen.kill()
        wait(lambda: not Path(f"/proc/{child}").exists())
    held.restore()
    with worker(settings):
        wait(lambda: state(database, ids[0]) == State.READY)
    assert work.outcomes(database, ids[0]) == ["handed_back", "done"], "nothing says that the study did it"


def test_bells_lost_doubled_or_for_nothing_do_no_harm(
    settings: Settings, database: Database, bell: Bell, receive: Receive
) -> None:
    settings = settings.model_copy(update={"sweep_seconds": 0.0})
    ids = receive(*(png(seed) for seed in range(6)))
    with connect(settings) as client:
        client.flushdb()
    with worker(settings, concurrency=2):
        Sweep(settings, database, bell).once()
        bell.ring(Stage.PREPARE, "normal", [*ids, *ids, 987_654_321])
        wait(lambda: work.states(database, ids) == {State.READY})
        bell.ring(Stage.PREPARE, "normal", ids)
        ids = receive(*(png(seed) for seed in range(7)))
        wait(lambda: state(database, ids[-1]) == State.READY)
    assert [work.outcomes(database, id_) for id_ in ids] == [["done"]] * 7


def test_after_a_restart_of_the_broker_the_worker_consumes_again(
    settings: Settings, database: Database, receive: Receive
) -> None:
    """The broker dies with an acknowledgement under way, after which Celery alone would never consume again."""
    if settings.redis_url:
        pytest.skip("the Redis that was given is not ours to restart")
    ids = receive(png(1), png(2))
    held = trap(settings, database, ids[0])
    bell = Bell(settings)
    command = [sys.executable, "-m", "cspine", "up", "--services", "broker,prepare"]
    one_child = settings.model_copy(update={"prepare_processes": 1})
    up = process.spawn(command, one_child.environment(), subprocess.DEVNULL)
    try:
        wait(bell.alive)
        bell.ring(Stage.PREPARE, "normal", ids[:1])
        wait(lambda: holder(database, ids[0]))
        os.kill(process_named(up.pid, "broker.sock"), signal.SIGKILL)
        held.let_go()
        wait(lambda: not holder(database, ids[0]))
        wait(bell.alive)
        bell.ring(Stage.PREPARE, "normal", ids[1:])
        wait(lambda: state(database, ids[1]) == State.READY)
    finally:
        up.terminate()
        up.wait()


def process_named(parent: int, words: str) -> int:
    """Return the child of a process whose command holds some words."""
    found = [pid for pid in process.children(parent) if words in Path(f"/proc/{pid}/cmdline").read_text()]
    return found[0]


def test_a_picture_that_needs_too_much_memory_is_counted_and_does_no_harm_to_the_next(
    settings: Settings, database: Database, bell: Bell, receive: Receive
) -> None:
    settings = settings.model_copy(update={"prepare_memory_bytes": 30 * 2**20})
    large = bytes(cv2.imencode(".png", np.zeros((7000, 7000), np.uint8))[1].tobytes())
    ids = receive(large, png(2))
    with worker(settings):
        bell.ring(Stage.PREPARE, "normal", ids)
        wait(lambda: [state(database, id_) for id_ in ids] == [State.QUARANTINED, State.READY])
    assert {attempt.reason for attempt in work.attempts(database, ids[0])} == {"out_of_memory"}
    assert work.outcomes(database, ids[1]) == ["crashed", "done"], "once in its company, then without it"
    assert work.row(database, ids[1]).lone_attempts == 0
