"""The parent process of a worker: says that it is alive, frees what a dead child held, notices when it is stuck.

The thread here and a fork must not meet: a child would inherit a lock that the thread held at that moment. So the
thread works under a lock of its own, which a fork waits for.
"""

import os
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from celery.worker import state

from cspine.database import Database
from cspine.embedded import process
from cspine.errors import ServiceFault
from cspine.queue import EXPLAIN, Bell
from cspine.reasons import Reason
from cspine.records import explanations, freeing, heartbeats
from cspine.records.screenings import Ring
from cspine.settings import Settings
from cspine.states import Stage

BEAT_SECONDS = 10.0
LOOK_SECONDS = 2.0
STUCK_SECONDS = 30.0
STUCK_STATUS = 75
HOST = socket.gethostname()

log = structlog.get_logger(__name__)
_work = threading.Lock()
os.register_at_fork(before=_work.acquire, after_in_parent=_work.release, after_in_child=_work.release)


class Parent:
    """The state of the parent: its own database connection, its stages, its thread."""

    def __init__(
        self, settings: Settings, stages: list[Stage], consumer: Any = None, *, explains: bool = False
    ) -> None:
        """Keep the settings and Celery's consumer; the thread is started by `run`."""
        self._settings, self._stages, self._consumer, self._explains = settings, stages, consumer, explains
        self._database, self._bell = Database.of(settings), Bell(settings)
        self._done = threading.Event()
        self._progress, self._since, self._full = -1, time.monotonic(), -1

    def run(self) -> None:
        """Free what earlier processes of this place held, then beat until the end."""
        self._safely(self._free_orphans)
        self._safely(self._beat)
        threading.Thread(target=self._loop, name="liveness", daemon=True).start()

    def free(self, pid: int, reason: Reason) -> None:
        """Free what a child of ours held."""
        for stage in self._stages:
            self._safely(partial(self._crash, self._name(stage, pid), reason))
        if self._explains:
            self._safely(partial(self._free_maps, self._name(EXPLAIN, pid), reason))

    def hand_back(self) -> None:
        """Give back what the children still hold, and end at once, the children with us."""
        for stage in self._stages:
            self._safely(partial(self._return, self._name(stage)))
        if self._explains:
            self._safely(partial(self._free_maps, self._name(EXPLAIN), Reason.WORKER_CRASH, counts=False))
        log.warning("stopped in the middle of work, which was handed back")
        for pid in process.children(os.getpid()):
            os.kill(pid, 9)
        os._exit(0)

    def leave(self) -> None:
        """Give running tasks some time to end, then hand back."""
        timer = threading.Timer(self._settings.hand_back_seconds, self.hand_back)
        timer.daemon = True
        timer.start()

    def end(self) -> None:
        """Say that we have ended in order."""
        self._done.set()
        self._safely(self._gone)
        self._database.dispose()

    def _loop(self) -> None:
        beaten = time.monotonic()
        while not self._done.wait(LOOK_SECONDS):
            self._look_for_lost_places()
            if time.monotonic() - beaten >= BEAT_SECONDS:
                beaten = time.monotonic()
                with _work:
                    self._safely(self._beat)
                    self._safely(self._look_for_progress)

    def _beat(self) -> None:
        with self._database.write() as session:
            for kind in self._kinds:
                heartbeats.beat(session, self._name(kind), kind)

    def _gone(self) -> None:
        with self._database.write() as session:
            for kind in self._kinds:
                heartbeats.gone(session, self._name(kind))

    def _look_for_progress(self) -> None:
        """End this process where messages wait, nothing runs, and nothing has come in for half a minute.

        Celery is known to reconnect to Redis and never to consume again. The supervisor starts us anew.
        """
        progress = sum(state.total_count.values())
        waiting = any(self._bell.depth(stage) for stage in self._stages) or (self._explains and self._bell.asked())
        if progress != self._progress or state.active_requests or not waiting:
            self._progress, self._since = progress, time.monotonic()
        elif time.monotonic() - self._since > STUCK_SECONDS:
            self._end_stuck("messages wait and none is consumed")

    def _look_for_lost_places(self) -> None:
        """End this process where every place for a message is taken although nothing runs, twice in a row.

        An acknowledgement that is lost with its connection keeps its place for ever: Kombu then asks Redis for
        nothing, and does not even notice that the connection is gone.
        """
        try:
            free = self._consumer is None or self._consumer.task_consumer.channel.qos.can_consume()
        except AttributeError:  # in the middle of a reconnection
            free = True
        progress = sum(state.total_count.values())
        if free or state.reserved_requests or state.active_requests:
            self._full = -1
        elif self._full == progress:
            self._end_stuck("acknowledgements were lost with their connection")
        else:
            self._full = progress

    def _end_stuck(self, words: str) -> None:
        log.error("the worker ends to be started anew", why=words)
        os._exit(STUCK_STATUS)

    def _free_orphans(self) -> None:
        """Free what a worker of this host held that was killed with all its children, without waiting for the lease."""
        rings: list[Ring] = []
        for stage in self._stages:
            with self._database.write() as session:
                for claim in freeing.open_claims(session, freeing.worker_name(HOST, stage)):
                    pid = int(claim.worker.split(freeing.SEPARATOR)[2])
                    if pid == os.getpid() or not process.alive(pid):  # after a restart a container has the same ids
                        rings += freeing.crash(session, claim.id, self._settings)
        self._ring(rings)
        if self._explains:
            with self._database.read() as session:
                names = explanations.running(session, freeing.worker_name(HOST, EXPLAIN))
            for name in names:
                pid = int(name.split(freeing.SEPARATOR)[2])
                if pid == os.getpid() or not process.alive(pid):
                    self._free_maps(name, Reason.WORKER_CRASH)

    def _free_maps(self, name: str, reason: Reason, *, counts: bool = True) -> None:
        with self._database.write() as session:
            ids = explanations.free(session, name, reason, counts=counts)
        self._bell.ask(ids)

    def _crash(self, name: str, reason: Reason) -> None:
        rings: list[Ring] = []
        with self._database.write() as session:
            for claim in freeing.open_claims(session, name):
                log.warning("child lost", worker=name, reason=reason.value, studies=claim.size)
                rings += freeing.crash(session, claim.id, self._settings, reason)
        self._ring(rings)

    def _ring(self, rings: list[Ring]) -> None:
        for ring in rings:
            self._bell.ring(ring.stage, ring.lane, [ring.screening_id])

    def _return(self, name: str) -> None:
        with self._database.write() as session:
            for claim in freeing.open_claims(session, name):
                freeing.hand_back(session, claim.id)

    @property
    def _kinds(self) -> list[str]:
        return [stage.value for stage in self._stages] + [EXPLAIN] * self._explains

    def _name(self, kind: str, *child: int) -> str:
        return freeing.worker_name(HOST, kind, os.getpid(), *child)

    def _safely(self, work: Callable[[], None]) -> None:
        try:
            work()
        except ServiceFault as fault:
            log.warning("a service does not answer; lease and sweep will do it", reason=fault.reason.value)


_parent: Parent | None = None


def begin(settings: Settings, queues: list[str], consumer: Any) -> None:
    """Begin to watch over this worker, which consumes these queues."""
    global _parent
    _parent = Parent(settings, stages_of(queues), consumer, explains=EXPLAIN in queues)
    _parent.run()


def free(pid: int, reason: Reason) -> None:
    """Free what a child held."""
    if _parent is not None:
        _parent.free(pid, reason)


def leave() -> None:
    """Begin the end."""
    if _parent is not None:
        _parent.leave()


def end() -> None:
    """End in order."""
    if _parent is not None:
        _parent.end()


def stages_of(queues: list[str]) -> list[Stage]:
    """Return the stages that some queues belong to."""
    return [stage for stage in Stage if any(name.startswith(f"{stage.value}.") for name in queues)]
