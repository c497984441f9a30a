"""The parent process of a worker: says that it is alive, frees what a dead child held, notices when it is stuck.

The thread here and a fork must not meet: a child would inherit a lock that the thread held at that moment. So the
thread works under a lock of its own, which a fork waits for.
"""

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from cspine.database import Database
from cspine.embedded import process
from cspine.embedded.pulse import Pulse
from cspine.errors import Contended, ServiceFault
from cspine.queue import EXPLAIN, Bell
from cspine.reasons import Reason
from cspine.records import explanations, freeing, heartbeats
from cspine.records.screenings import Ring
from cspine.settings import Settings
from cspine.states import Stage
from worker.liveness import Liveness

BEAT_SECONDS = 10.0
LOOK_SECONDS = 2.0
LAST_SECONDS, LAST_PAUSE = 4.0, 0.5  # that the end waits for a database that is away
RING_SECONDS = 1.0  # that the end waits for the broker
STUCK_STATUS = 75
HOST = f"{socket.gethostname()}-{process.space()}"  # two hosts may have one name

log = structlog.get_logger(__name__)
_work = threading.Lock()
os.register_at_fork(before=_work.acquire, after_in_parent=_work.release, after_in_child=_work.release)


class Parent:
    """The state of the parent: its own database connection, its kinds of work, its thread."""

    def __init__(
        self, settings: Settings, stages: list[Stage], consumer: Any = None, *, explains: bool = False
    ) -> None:
        """Keep the settings and Celery's consumer; the thread is started by `run`."""
        self._settings, self._explains = settings, explains
        self._kinds = [stage.value for stage in stages] + [EXPLAIN] * explains
        self._database, self._bell = Database.of(settings), Bell(settings)
        self._liveness, self._pulse = Liveness(consumer, self._bell.alive), Pulse(settings)
        self._done = threading.Event()
        self._owed: deque[Callable[[], None]] = deque()  # what could not be freed while the database was away
        self._fault = float("-inf")  # when the database was last seen to be away, on the steady clock

    def run(self) -> None:
        """Free what earlier processes of this place held, then beat until the end."""
        self._safely(self._free_orphans)
        self._safely(self._beat)
        threading.Thread(target=self._loop, name="liveness", daemon=True).start()

    def free(self, pid: int, reason: Reason, seconds: float = 0.0) -> None:
        """Free what a child of ours held, which had run for so many seconds if it is killed for that.

        Where the database is away it is done when it is back. A task that took too long while the database was away
        waited for it, and counts as nobody's attempt.
        """
        for kind in self._kinds:
            self._owe(partial(self._crash, self._name(kind, pid), reason, time.monotonic() - seconds))
        if self._explains:
            self._owe(partial(self._free_maps, self._name(EXPLAIN, pid), reason))

    def hand_back(self) -> None:
        """Give back what the children still hold, and end at once, the children with us.

        A database that is away is waited for a little; after that the sweep sees what the outage left.
        """
        ends = time.monotonic() + LAST_SECONDS
        while not self._safely(self._return_all) and time.monotonic() < ends:
            time.sleep(LAST_PAUSE)
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
        self._pulse.end()
        self._database.dispose()

    def _loop(self) -> None:
        beaten = time.monotonic()
        while not self._done.wait(LOOK_SECONDS):
            self._pulse.beat()
            self._end_where(self._liveness.look())
            if time.monotonic() - beaten >= BEAT_SECONDS:
                beaten = time.monotonic()
                with _work:
                    if self._safely(self._beat):
                        self._pay()
                    self._end_where(self._liveness.listen())

    def _beat(self) -> None:
        with self._database.write() as session:
            for kind in self._kinds:
                heartbeats.beat(session, self._name(kind), kind)

    def _gone(self) -> None:
        with self._database.write() as session:
            for kind in self._kinds:
                heartbeats.gone(session, self._name(kind))

    def _end_where(self, why: str | None) -> None:
        """End this process where there is a reason; whoever runs it starts it anew, which harms nothing that runs."""
        if why is not None:
            log.error("the worker ends to be started anew", why=why)
            os._exit(STUCK_STATUS)

    def _free_orphans(self) -> None:
        """Free what a worker of this host held that was killed with all its children, without waiting for the lease.

        What an earlier container or an earlier boot held is left to its lease: another host may have our name.
        """
        rings: list[Ring] = []
        for kind in self._kinds:
            with self._database.write() as session:
                for claim in freeing.open_claims(session, freeing.worker_name(HOST, kind)):
                    if _is_over(claim.worker):
                        rings += freeing.lost(session, claim.id, self._settings, Reason.WORKER_CRASH)
        self._ring(rings)
        if self._explains:
            with self._database.read() as session:
                names = explanations.running(session, freeing.worker_name(HOST, EXPLAIN))
            for name in names:
                if _is_over(name):
                    self._free_maps(name, Reason.WORKER_CRASH)

    def _free_maps(self, name: str, reason: Reason, *, counts: bool = True) -> None:
        with self._database.write() as session:
            ids = explanations.free(session, name, reason, counts=counts)
        self._bell.ask(ids)

    def _crash(self, name: str, reason: Reason, began: float) -> None:
        rings: list[Ring] = []
        free: Callable[..., list[Ring]] = freeing.crash
        if reason is Reason.TIMED_OUT and self._fault >= began:
            free, reason = freeing.lost, Reason.DATABASE_UNAVAILABLE
        with self._database.write() as session:
            for claim in freeing.open_claims(session, name):
                log.warning("child lost", worker=name, reason=reason.value, studies=claim.size)
                rings += free(session, claim.id, self._settings, reason)
        self._ring(rings)

    def _ring(self, rings: list[Ring]) -> None:
        for ring in rings:
            self._bell.ring(ring.stage, ring.lane, [ring.screening_id])

    def _return_all(self) -> None:
        """Hand back, and wake others for it: one bell is enough for a claim, and without a broker the sweep rings."""
        rings: list[Ring] = []
        maps: list[int] = []
        with self._database.write() as session:
            for kind in self._kinds:
                for claim in freeing.open_claims(session, self._name(kind)):
                    rings += freeing.hand_back(session, claim.id)[:1]
            if self._explains:
                maps += explanations.free(session, self._name(EXPLAIN), Reason.WORKER_CRASH, counts=False)

        def ring() -> None:
            self._ring(rings)
            self._bell.ask(maps)

        ringing = threading.Thread(target=self._safely, args=(ring,), name="last bells", daemon=True)
        ringing.start()
        ringing.join(RING_SECONDS)

    def _name(self, kind: str, *child: int) -> str:
        return freeing.worker_name(HOST, kind, os.getpid(), *child)

    def _owe(self, work: Callable[[], None]) -> None:
        if not self._safely(work):
            self._owed.append(work)

    def _pay(self) -> None:
        """Do what could not be done while the database was away; the pool's thread may add to it meanwhile."""
        for _ in range(len(self._owed)):
            self._owe(self._owed.popleft())

    def _safely(self, work: Callable[[], None]) -> bool:
        """Do something that a service may keep from being done; false where the database did."""
        try:
            work()
        except ServiceFault as fault:
            log.warning("a service does not answer", reason=fault.reason.value)
            if fault.reason is not Reason.BROKER_UNAVAILABLE:
                if not isinstance(fault, Contended):
                    self._fault = time.monotonic()
                return False
        return True


def _is_over(worker: str) -> bool:
    """Say whether the worker of this host that a child's name tells of has ended."""
    pid = int(worker.split(freeing.SEPARATOR)[2])
    return pid == os.getpid() or not process.alive(pid)  # the number may be used again


_parent: Parent | None = None


def begin(settings: Settings, queues: list[str], consumer: Any) -> None:
    """Begin to watch over this worker, which consumes these queues."""
    global _parent
    _parent = Parent(settings, stages_of(queues), consumer, explains=EXPLAIN in queues)
    _parent.run()


def free(pid: int, reason: Reason, seconds: float = 0.0) -> None:
    """Free what a child held, which was killed after so many seconds if it took too long."""
    if _parent is not None:
        _parent.free(pid, reason, seconds)


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
