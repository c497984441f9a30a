"""Real processes for tests: a broker of the test's own, a worker, and a file that holds whoever reads it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cspine.embedded import process, valkey
from cspine.queue import Bell, connect
from cspine.settings import Settings

SECONDS = 60.0


def wait(condition: Callable[[], object], seconds: float = SECONDS, pause: float = 0.05) -> None:
    """Wait until a condition holds, which it does soon where all is well; looks after each pause."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(pause)


@contextmanager
def broker(settings: Settings) -> Iterator[Bell]:
    """Run an embedded broker, or empty the one that is given."""
    bell = Bell(settings)
    if settings.redis_url:
        with connect(settings) as client:
            client.flushdb()
        yield bell
        return
    settings.var.mkdir(parents=True, exist_ok=True)
    with valkey.embedded(settings) as service:
        server = process.spawn(service.command, settings.environment(), subprocess.DEVNULL)
        try:
            wait(bell.alive)
            yield bell
        finally:
            server.kill()
            server.wait()


class Worker:
    """`cspine worker` as a process."""

    def __init__(self, settings: Settings, stage: str, concurrency: int) -> None:
        settings.var.mkdir(parents=True, exist_ok=True)
        self.log = settings.var / f"{stage}.log"
        command = [sys.executable, "-m", "cspine", "worker", "--stage", stage, "--concurrency", str(concurrency)]
        with self.log.open("ab") as output:
            self.popen = process.spawn(command, settings.environment(), output)

    @property
    def ready(self) -> bool:
        return "ready." in self.log.read_text()

    def end(self) -> int:
        """Ask it to stop, as a deployment does, and return its exit status."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(SECONDS)


@contextmanager
def worker(settings: Settings, stage: str = "prepare", concurrency: int = 1) -> Iterator[Worker]:
    """Run a worker until the block ends."""
    running = Worker(settings, stage, concurrency)
    try:
        wait(lambda: running.ready)
        yield running
    finally:
        running.popen.kill()
        running.popen.wait()


class Trap:
    """A blob whose reader waits in the middle of its task, until it is released or replaced by the true bytes."""

    def __init__(self, path: Path) -> None:
        self._path, self._bytes = path, path.read_bytes()
        path.unlink()
        os.mkfifo(path)

    def open_end(self) -> int:
        """Keep hold of the pipe that a reader is waiting at."""
        return os.open(self._path, os.O_RDWR)

    def restore(self) -> None:
        """Put the true file back for whoever opens it from now on."""
        self._path.unlink()
        self._path.write_bytes(self._bytes)

    def let_go(self) -> None:
        """Give the reader that waits what it waits for, and put the true file back for later ones."""
        pipe = self.open_end()
        self.restore()
        os.write(pipe, self._bytes)
        os.close(pipe)
