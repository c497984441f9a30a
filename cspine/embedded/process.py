"""Child processes that cannot outlive us: on Linux the kernel kills them when their parent dies, however it dies."""

import ctypes
import hashlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LINUX = sys.platform.startswith("linux")
_libc = ctypes.CDLL(None) if LINUX else None


def spawn(command: Sequence[str], environment: Mapping[str, str], output: IO[bytes] | int, *,
          on_death: signal.Signals = signal.SIGKILL,
          pass_fds: tuple[int, ...] = ()) -> "subprocess.Popen[bytes]":  # fmt: skip
    """Start a child in our process group that gets `on_death` when we die.

    Ctrl-C in a terminal goes to the whole group; children do not hear it, so that they are stopped in order.
    """
    options: dict[str, Any] = {"preexec_fn": _tied_to(os.getpid(), on_death), "pass_fds": pass_fds}
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                            stderr=subprocess.STDOUT, **options)  # fmt: skip


def adopt_orphans() -> None:
    """Become the parent of grandchildren whose parent dies, so that none of them can be overlooked."""
    if _libc is not None:
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def kill_orphans(known: Sequence[int] = ()) -> None:
    """Kill and reap every child that is not among the known; grandchildren that we adopted among them."""
    for pid in [pid for pid in children(os.getpid()) if pid not in known]:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            continue


def space() -> str:
    """Return eight characters for the space in which our process ids are unique: a machine's boot, and its container.

    Hosts that share a name differ in it. A container that is started anew is another space, as is a machine.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        told = f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # no Linux
        told = str(uuid.getnode())
    return hashlib.sha256(told.encode()).hexdigest()[:8]


def children(parent: int) -> list[int]:
    """Return the children of a process, by Linux's process table; none elsewhere."""
    return [pid for pid, its_parent in _processes() if its_parent == parent]


def alive(pid: int) -> bool:
    """Say whether a process of this machine is alive."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _tied_to(parent: int, on_death: signal.Signals) -> Callable[[], None]:
    def before_exec() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        if _libc is not None:
            _libc.prctl(PR_SET_PDEATHSIG, int(on_death), 0, 0, 0)
            if os.getppid() != parent:  # it died before it could be watched
                os._exit(1)

    return before_exec


def _processes() -> Iterator[tuple[int, int]]:
    """Give every process with its parent; the command's name in the line may hold spaces and brackets."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            line = path.read_text(errors="replace")
        except OSError:
            continue
        yield int(path.parent.name), int(line.rpartition(")")[2].split()[1])
