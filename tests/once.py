"""What costs much to make and nobody changes: made once for all processes of a run, by whoever needs it first."""

import fcntl
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest


def once(temporary: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that `make` writes at the first call with this name; the others of the run wait for it."""
    own = temporary.getbasetemp()
    place = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own  # each process of a run has a folder in its own
    folder = place / name
    with (place / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=place) as scratch:
                made = Path(scratch) / name
                make(made)
                made.rename(folder)
    return folder
