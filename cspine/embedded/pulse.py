"""The pulse of a process: a file that it touches while it works, by which its supervisor sees that it stands still.

The database is no place for it: when that is away, nobody may be taken for dead.
"""

import os
from contextlib import suppress
from pathlib import Path

from cspine.settings import Settings

FOLDER = "run"


class Pulse:
    """The pulse of this process."""

    def __init__(self, settings: Settings) -> None:
        """Name the file; the first beat writes it."""
        self._path = path(settings.var, os.getpid())

    def beat(self) -> None:
        """Say that we work; a disk without room is no reason to end."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.touch()
        except OSError:
            return

    def end(self) -> None:
        """Leave no file behind."""
        with suppress(OSError):
            self._path.unlink()


class Watch:
    """How long another process has had no pulse, in seconds of the steady clock that its watcher was awake."""

    def __init__(self, var: Path, pid: int) -> None:
        """Watch from now on; a file that an earlier process of this id left is removed."""
        self._path, self._seen, self._silent = path(var, pid), 0, 0.0
        self.forget()

    def silent(self, elapsed: float) -> float:
        """Return for how long the pulse has not changed; `elapsed` seconds have passed since the last question.

        Zero before the first beat: a worker that waits for its broker has not begun.
        """
        try:
            beaten = self._path.stat().st_mtime_ns
        except OSError:
            return 0.0
        self._silent = 0.0 if beaten != self._seen else self._silent + elapsed
        self._seen = beaten
        return self._silent

    def forget(self) -> None:
        """Remove the file of a process that is gone."""
        with suppress(OSError):
            self._path.unlink()


def path(var: Path, pid: int) -> Path:
    """Return the file of a process."""
    return var / FOLDER / f"{pid}.pulse"
