"""Bounded, forward-only reading of a data set, whether it lies plain in a file or is deflated."""

import io
import zlib
from typing import BinaryIO

from cspine.errors import Refused
from cspine.reasons import Reason
from cspine.settings import Settings

WINDOW = 2**16
LEAST = 2**12  # bytes read at a time: a header has many values that are passed over


class Source:
    """A stream that is read forward only; it knows where it is and, for a plain file, where it ends."""

    def __init__(self, file: BinaryIO, offset: int, size: int | None, limit: int | None = None) -> None:
        """Start at `offset` of a `file` of `size` bytes; None for one that is inflated, to `limit` bytes at most."""
        self._file = file
        self._buffer = b""
        self._at = 0
        self.position = offset
        self.size = size
        self.limit = limit
        file.seek(offset)

    def peek(self, count: int) -> bytes:
        """Return up to `count` bytes (a window at most) that come next without moving."""
        while (missing := count - len(self._buffer) + self._at) > 0:
            more = self._file.read(max(missing, LEAST))
            if not more:
                break
            self._buffer, self._at = self._buffer[self._at :] + more, 0
        return self._buffer[self._at : self._at + count]

    def read(self, count: int) -> bytes:
        """Return exactly `count` bytes; raises `Refused` (truncated) where there are fewer."""
        self.require(count)
        if count <= WINDOW:
            data = self.peek(count)
            self._at += len(data)
        else:
            pieces = [self._peeked(count)]
            missing = count - len(pieces[0])
            while missing and (piece := self._file.read(missing)):
                pieces.append(piece)
                missing -= len(piece)
            data = b"".join(filter(None, pieces))  # a piece that is alone is not copied
        if len(data) < count:
            raise Refused(f"{count} bytes at {self.position}, {len(data)} there", Reason.TRUNCATED)
        self.position += count
        return data

    def _peeked(self, count: int) -> bytes:
        """Take what was peeked; nothing, where the file can go back over it and give a large value in one piece."""
        peeked = self._buffer[self._at :][:count]
        if self.size is not None:
            self._file.seek(self.position)
            self._buffer, self._at = b"", 0
            return b""
        self._at += len(peeked)
        return peeked

    def skip(self, count: int) -> None:
        """Move forward; raises `Refused` (truncated) beyond the end."""
        self.require(count)
        if count <= len(self._buffer) - self._at:
            self._at += count
            self.position += count
        elif self.size is not None:
            self.position += count
            self._buffer, self._at = b"", 0
            self._file.seek(self.position)
        else:
            while count:
                count -= len(self.read(min(count, WINDOW)))

    def require(self, count: int) -> None:
        """Raise `Refused` (truncated, decompression_bomb) where `count` more bytes cannot come or are not allowed."""
        if self.limit is not None and self.position + count > self.limit:
            raise Refused(f"{count} bytes at {self.position} inflated", Reason.DECOMPRESSION_BOMB)
        if self.size is not None and self.position + count > self.size:
            raise Refused(f"{count} bytes at {self.position} of a file of {self.size}", Reason.TRUNCATED)

    def at_end(self) -> bool:
        """Say whether nothing comes any more."""
        return not self.peek(1)


class Inflating(io.RawIOBase):
    """The inflated form of the rest of a file: read in pieces, and never more than the limits allow (PS3.5 A.5)."""

    def __init__(self, file: BinaryIO, offset: int, packed: int, settings: Settings) -> None:
        """Inflate `packed` bytes of `file` from `offset`."""
        file.seek(offset)
        self._file = file
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._made = 0
        self.limit = max(packed * settings.max_growth, settings.min_growth_bytes)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Accept only the place where it already is: a deflated stream goes forward only."""
        if offset != self._made or whence != io.SEEK_SET:
            raise io.UnsupportedOperation("a deflated data set is read forward only")
        return offset

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes; raises `Refused` (decompression_bomb, corrupt, truncated)."""
        while not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._file.read(WINDOW)
            try:
                data = self._inflate.decompress(packed, max(size, 1))
            except zlib.error as error:
                raise Refused("the deflated data set is damaged", Reason.CORRUPT) from error
            self._made += len(data)
            if self._made > self.limit:
                raise Refused(f"more than {self.limit} bytes inflated", Reason.DECOMPRESSION_BOMB)
            if data:
                return data
            if not packed:
                raise Refused("the deflated data set is cut", Reason.TRUNCATED)
        return b""
