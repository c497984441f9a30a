"""How much of a stranger's file may be read before its header is known, where nothing kills a slow process."""

import io
from typing import BinaryIO

from cspine.errors import Refused
from cspine.reasons import Reason

MAX_HEADER = 2**24
LEAST_COST = 64  # bytes that a call of `read` counts for, so that reading byte by byte comes to an end as well


class Bounded(io.RawIOBase):
    """A stream from which `MAX_HEADER` bytes are read at most; seeking costs nothing.

    Reading more raises `Refused` with the given reason, until the bound is lifted. `ended` says whether a reader asked
    for more than there was.
    """

    def __init__(self, file: BinaryIO | io.RawIOBase, reason: Reason = Reason.CORRUPT) -> None:
        """Read `file` from where it stands; `reason` is that of a refusal."""
        self._file, self._reason = file, reason
        self._left: int | None = MAX_HEADER
        self.ended = False

    def lift(self) -> None:
        """Let everything be read from now on."""
        self._left = None

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be moved in, as far as the stream itself can."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move in the stream."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Say where the stream stands."""
        return self._file.tell()

    def read(self, size: int | None = -1) -> bytes:
        """Return up to `size` bytes; raises `Refused` where the bound is passed."""
        wanted = -1 if size is None else size
        if self._left is None:
            return self._file.read(wanted) or b""
        data = self._file.read(self._left + 1 if wanted < 0 else min(wanted, self._left + 1)) or b""
        self._left -= max(len(data), LEAST_COST)
        if self._left < 0:
            raise Refused(f"a header of more than {MAX_HEADER} bytes", self._reason)
        self.ended |= len(data) < wanted
        return data
