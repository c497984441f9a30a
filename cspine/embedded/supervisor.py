"""The supervisor: runs services in one process group, restarts one that dies, and leaves nothing behind.

A service that dies is started again after half a second, then one, two, four seconds, up to half a minute; one that
lived for a minute begins anew. One that stands still, so that its pulse stops, is killed and started again. The service
that was started first (the broker) is stopped last.
"""

import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import structlog

from cspine.embedded import process
from cspine.embedded.pulse import Watch

FIRST_DELAY, MOST_DELAY = 0.5, 30.0
LIVED_WELL = 60.0
POLL_SECONDS = 0.2
MOST_LOG_BYTES = 20 * 2**20

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Service:
    """A command that shall always run."""

    name: str
    command: Sequence[str]
    grace: float = 10.0  # seconds from SIGTERM to SIGKILL
    wanted: Callable[[], bool] = lambda: True  # asked before each start
    silence: float | None = None  # seconds without a pulse after which it is stuck; null where it has none


@dataclass
class _Child:
    service: Service
    popen: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    due: float = 0.0  # when it may be started (again)
    deaths: int = 0
    watch: Watch | None = None

    @property
    def running(self) -> bool:
        return self.popen is not None and self.popen.poll() is None


@dataclass
class Supervisor:
    """The parent of all services. It must live in the main thread, and that thread must last as long as they do."""

    environment: Mapping[str, str]
    logs: Path
    stopping: threading.Event = field(default_factory=threading.Event)
    _children: list[_Child] = field(default_factory=list)
    _looked: float = field(default_factory=time.monotonic)

    @contextlib.contextmanager
    def supervising(self) -> Iterator["Supervisor"]:
        """Take SIGTERM, SIGHUP and Ctrl-C as the wish to stop, and stop every service at the end."""
        process.adopt_orphans()
        self.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        wishes = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {wish: signal.signal(wish, self._stop) for wish in wishes}
        try:
            yield self
        finally:
            self._end()
            for wish, handler in before.items():
                signal.signal(wish, handler)

    def start(self, service: Service) -> None:
        """Add a service and start it."""
        child = _Child(service)
        self._children.append(child)
        self._start(child)

    def run(self, until: Callable[[], bool] = lambda: False, seconds: float | None = None) -> bool:
        """Watch over the services until a condition holds; false where the time is over or somebody asks to stop."""
        end = None if seconds is None else time.monotonic() + seconds
        while not self.stopping.is_set():
            if until():
                return True
            if end is not None and time.monotonic() > end:
                return False
            self._look()
            self.stopping.wait(POLL_SECONDS)
        return False

    def deaths(self, name: str) -> int:
        """Count how often a service has died soon after its start."""
        return sum(child.deaths for child in self._children if child.service.name == name)

    def _look(self) -> None:
        # No more than a poll or so, however long we were asleep: those we watch over have slept as long.
        elapsed = min(time.monotonic() - self._looked, 2 * POLL_SECONDS)
        self._looked = time.monotonic()
        for child in self._children:
            if child.watch is not None and child.running:
                self._feel_pulse(child, child.watch.silent(elapsed))
            if child.popen is not None and child.popen.poll() is not None:
                self._note_death(child, child.popen)
            if child.popen is None and time.monotonic() >= child.due:
                self._start(child)

    def _feel_pulse(self, child: _Child, silent: float) -> None:
        if child.popen is not None and child.service.silence is not None and silent > child.service.silence:
            log.error("service is stuck", service=child.service.name, silent_seconds=round(silent))
            child.popen.kill()
            child.popen.wait()

    def _note_death(self, child: _Child, popen: "subprocess.Popen[bytes]") -> None:
        child.popen = None
        if child.watch is not None:
            child.watch.forget()
        child.deaths = 1 if time.monotonic() - child.started > LIVED_WELL else child.deaths + 1
        delay = min(MOST_DELAY, FIRST_DELAY * 2 ** (child.deaths - 1))
        child.due = time.monotonic() + delay
        log.warning("service died", service=child.service.name, status=popen.returncode, again_in_seconds=delay)
        process.kill_orphans([other.popen.pid for other in self._children if other.popen is not None])

    def _start(self, child: _Child) -> None:
        if not child.service.wanted():
            child.due = time.monotonic() + FIRST_DELAY * 10
            return
        path = self.logs / f"{child.service.name}.log"
        if path.exists() and path.stat().st_size > MOST_LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        with path.open("ab") as output:
            child.popen = process.spawn(child.service.command, self.environment, output)
        child.started = time.monotonic()
        child.watch = None if child.service.silence is None else Watch(self.logs.parent, child.popen.pid)

    def _end(self) -> None:
        """Stop everything: all at once what uses the first service (the broker), then that one."""
        for wave in (self._children[1:], self._children[:1]):
            self._terminate([child for child in wave if child.running])
        process.kill_orphans()

    def _terminate(self, children: Sequence[_Child]) -> None:
        ends = time.monotonic() + max((child.service.grace for child in children), default=0.0)
        running = [child.popen for child in children if child.popen is not None]
        for popen in running:
            popen.terminate()
        for popen in running:
            try:
                popen.wait(max(0.0, ends - time.monotonic()))
            except subprocess.TimeoutExpired:
                popen.kill()
                popen.wait()

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stopping.set()
