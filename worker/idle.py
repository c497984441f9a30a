"""Idleness: a child that holds a network and has nothing to do ends, and the pool forks a small one in its place."""

import os
import threading

_timer: threading.Timer | None = None
_holds = False


def hold() -> None:
    """Say that this child has something in memory that is worth giving back."""
    global _holds
    _holds = True


def wake() -> None:
    """Begin a task: until `rest` the child does not end."""
    global _timer
    if _timer is not None:
        _timer.cancel()
        _timer = None


def rest(seconds: float) -> None:
    """End a task; a child that holds something ends after so many seconds without another.

    A message that comes in that very moment is lost with the child, and brought back like that of any child.
    """
    global _timer
    wake()
    if _holds:
        _timer = threading.Timer(seconds, os._exit, (0,))
        _timer.daemon = True
        _timer.start()
