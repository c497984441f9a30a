"""Running services for as long as somebody waits: by a supervisor of its own, or by one that runs already."""

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM

from cspine.embedded import process
from cspine.embedded.lock import Lock
from cspine.embedded.services import PYTHON, WEB
from cspine.errors import ServiceMissing, Usage
from cspine.queue import Bell
from cspine.reasons import Reason
from cspine.settings import Settings

READY_SECONDS = 60.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.1


@contextmanager
def running(settings: Settings, services: frozenset[str],
            prepare: Callable[[Settings], None] | None = None) -> Iterator[str | None]:  # fmt: skip
    """Run what of these services does not run, until the block ends; give the pages' address if they are among them.

    Where another process runs the installation's services, they are used, and taken over if it ends before we do.
    `prepare` is called when the installation is ours alone, before anything starts; raises `Usage` where it is not,
    and `ServiceMissing` where there is no broker.
    """
    lock = Lock(settings)
    try:
        ours = lock.acquire()
        if prepare is not None:
            if not ours:
                raise Usage(f"another process uses {settings.var}; end it first")
            prepare(settings)
        supervisor = _start(settings, services, lock if ours else None)
    finally:
        lock.close()  # the supervisor holds on to it
    try:
        _await(Bell(settings).alive, supervisor, settings)
        if WEB not in services:
            yield None
        else:
            address = f"http://{settings.host}:{settings.port}"
            _await(lambda: _answers(f"{address}/healthz"), supervisor, settings)
            yield address
    finally:
        _stop(supervisor)


def _start(settings: Settings, services: frozenset[str], lock: Lock | None) -> "subprocess.Popen[bytes]":
    command = [*PYTHON, "up", "--services", ",".join(sorted(services)), "--port", str(settings.port)]
    command += ["--lock", str(lock.descriptor)] if lock else ["--wait"]
    descriptors = (lock.descriptor,) if lock else ()
    path = _log(settings)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("ab") as output:
        return process.spawn(command, settings.environment(), output, on_death=SIGTERM, pass_fds=descriptors)


def _await(ready: Callable[[], bool], supervisor: "subprocess.Popen[bytes]", settings: Settings) -> None:
    end = time.monotonic() + READY_SECONDS
    while not ready():
        if supervisor.poll() is not None or time.monotonic() > end:
            words = _log(settings).read_text(errors="replace").strip().splitlines()[-1:]
            raise ServiceMissing(f"the services did not start: {' '.join(words)}", Reason.BROKER_UNAVAILABLE)
        time.sleep(POLL_SECONDS)


def _stop(supervisor: "subprocess.Popen[bytes]") -> None:
    supervisor.terminate()
    try:
        supervisor.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:  # noqa: S310  # our own address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _log(settings: Settings) -> Path:
    return settings.var / "log" / "up.log"
