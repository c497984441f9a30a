"""A disk that a test fills and frees: a small file system of its own, or a limit on the length of files.

The first is the real thing and may be mounted by root only; the second works everywhere.
"""

import os
import resource
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest

KINDS = ("file system", "file size")
MEGABYTES = 16


class Disk(Protocol):
    """What can be filled."""

    def fill(self, leave: int) -> None: ...
    def free(self) -> None: ...


class FileSystem:
    """A mounted file system of a few megabytes."""

    def __init__(self, path: Path) -> None:
        self._filler = path / "filler"

    def fill(self, leave: int) -> None:
        """Write until there is no room, then give so many bytes back."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (2**20, 4096, 1):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue
            file.truncate(file.tell() - leave)

    def free(self) -> None:
        self._filler.unlink()


class FileSize:
    """No file of these processes may grow beyond a length."""

    def __init__(self, processes: Callable[[], Iterable[int]]) -> None:
        self._processes = processes

    def fill(self, leave: int) -> None:
        self._limit(leave)

    def free(self) -> None:
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        for process in self._processes():
            _, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
            resource.prlimit(process, resource.RLIMIT_FSIZE, (size, hard))


@contextmanager
def disk(kind: str, path: Path, processes: Callable[[], Iterable[int]]) -> Iterator[Disk]:
    """Make a folder on a disk that can be filled for these processes; skips where it may not be mounted."""
    path.mkdir(parents=True)
    if kind == "file size":
        limit = FileSize(processes)
        yield limit
        limit.free()
        return
    command = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=700", "none", str(path)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        yield FileSystem(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
