"""The peak resident memory of running processes, read from the kernel while they work (Linux)."""

import threading
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from cspine.embedded import process
from tests.fuzz.trials import peak

EVERY_SECONDS = 0.02
FIND_EVERY = 10  # looks, after which the table of processes is read anew


class Watch:
    """Looks at the processes below one, sorted by what they do; of one that dies the last look counts."""

    def __init__(self, root: int) -> None:
        """Begin to look at the descendants of `root`."""
        self._root, self._stopping, self._lock = root, threading.Event(), threading.Lock()
        self._found: dict[int, str] = {}
        self.peaks: dict[str, int] = defaultdict(int)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def restart(self) -> None:
        """Forget what was, and let the kernel's peaks begin again."""
        with self._lock:
            self._found = _roles(self._root)
            for pid in self._found:
                with suppress(OSError):
                    Path(f"/proc/{pid}/clear_refs").write_text("5")
            self.peaks.clear()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        looks = 0
        while not self._stopping.wait(EVERY_SECONDS):
            with self._lock:
                if looks % FIND_EVERY == 0:
                    self._found = _roles(self._root)
                for pid, role in self._found.items():
                    with suppress(OSError, IndexError):  # it has just ended
                        self.peaks[role] = max(self.peaks[role], peak(pid))
            looks += 1


def _roles(root: int) -> dict[int, str]:
    """Tell the descendants of a process by what they do: web, prepare (a child that decodes), screen (the command)."""
    roles = {}
    waiting = [(pid, "") for pid in process.children(root)]
    while waiting:
        pid, above = waiting.pop()
        words = _command(pid)
        name = "web" if "web" in words else "worker" if "worker" in words else "screen" if "screen" in words else ""
        role = "prepare" if above == "worker" else name
        if role in {"web", "prepare", "screen"}:
            roles[pid] = role
        waiting += [(child, name) for child in process.children(pid)]
    return roles


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
