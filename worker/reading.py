"""Reading blobs: one that cannot be read is told from a store that is away.

A store that is away is nobody's try, and all that is in the claim waits for it. A single blob that cannot be read
while the store answers otherwise is a fault of its own study: that counts as a try, and its neighbours go on.
"""

from collections.abc import Callable
from typing import TypeVar

from cspine.blobs import BlobFault, BlobStore
from cspine.errors import Retriable

T = TypeVar("T")


class Reader:
    """Reads the blobs of one store, and remembers one that it could read."""

    def __init__(self, blobs: BlobStore) -> None:
        """Keep the store; nothing is read."""
        self.blobs = blobs
        self._known: str | None = None

    def read(self, key: str, work: Callable[[], T]) -> T:
        """Do work that reads a blob, once more where that failed although the store answers.

        Raises `ServiceFault` where the store does not answer, and `Retriable` where it is this blob alone.
        """
        try:
            found = self._asked(work)
        except BlobFault:
            try:
                found = self._asked(work)
            except BlobFault as again:
                raise Retriable(f"one blob of a store that answers: {again.detail}", again.reason) from again
        self._known = key
        return found

    def _asked(self, work: Callable[[], T]) -> T:
        """Do the work; raises `BlobFault` only where the store answers."""
        try:
            return work()
        except BlobFault:
            known, self._known = self._known, None
            self.blobs.probe(known)
            self._known = known
            raise
