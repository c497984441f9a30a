"""The lock in `var`: one supervisor owns an installation's services. The kernel lets go of it when its holder dies."""

import fcntl
import os

from cspine.settings import Settings

NAME = "up.lock"


class Lock:
    """A lock of the file `var/up.lock`; it may be handed to a child process, and is free when all holders are gone."""

    def __init__(self, settings: Settings) -> None:
        """Open the file; nothing is locked yet."""
        settings.var.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.descriptor = os.open(settings.var / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def acquire(self, *, wait: bool = False) -> bool:
        """Take the lock; false where another process has it and we do not wait."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Let go of it; a child that it was handed to holds on."""
        os.close(self.descriptor)
