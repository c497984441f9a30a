"""The parts of a multipart body, read as they arrive: fields first, then files, each a stream of its own.

Nothing is spooled: what a file part gives goes straight to whoever reads it, so that memory and disk stay flat whatever
is sent, and a form that is not ours is refused by its fields before any file is read.
"""

import io
from collections.abc import Iterator
from typing import IO, BinaryIO

from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from web.bodies import CHUNK, in_time

MEMORY = 4 * CHUNK  # of the decoder; a field or a header beyond it is refused
MAX_FIELDS = 20
CHUNK_SECONDS = 60.0  # a sender that is slower than 2 kB a second keeps others from the few places there are


class FilePart(io.RawIOBase):
    """The bytes of one file, as they arrive."""

    def __init__(self, parts: "Parts") -> None:
        """Read on where the parts stand."""
        self._parts = parts
        self._rest = memoryview(b"")
        self._more = True

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill a buffer with what has arrived."""
        while not self._rest and self._more:
            event = self._parts.data()
            self._rest, self._more = memoryview(event.data), event.more_data
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class Parts:
    """The fields and files of one request body."""

    def __init__(self, body: IO[bytes], boundary: str, max_files: int) -> None:
        """Begin at the start of the body; raises `RequestEntityTooLarge` for too many or too large parts."""
        if not boundary:
            raise BadRequest
        self._body = body
        self._decoder = MultipartDecoder(boundary.encode(), MEMORY, max_parts=max_files + MAX_FIELDS)
        self._max_files = max_files
        self._first: File | None = None

    def fields(self) -> dict[str, str]:
        """Return the fields that stand before the first file."""
        fields: dict[str, str] = {}
        while (event := self._next()) and not isinstance(event, File | Epilogue):
            if isinstance(event, Field):
                if len(fields) >= MAX_FIELDS:
                    raise RequestEntityTooLarge
                fields[event.name] = self._text()
        self._first = event if isinstance(event, File) else None
        return fields

    def files(self) -> Iterator[tuple[str, BinaryIO]]:
        """Give name and stream of each file that was chosen; a stream is good until the next one is asked for."""
        event: Event | None = self._first
        count = 0
        while event is not None and not isinstance(event, Epilogue):
            if isinstance(event, File):
                part = FilePart(self)
                if event.filename:
                    count += 1
                    if count > self._max_files:
                        raise RequestEntityTooLarge
                    yield event.filename, io.BufferedReader(part, CHUNK)
                while part.read(CHUNK):
                    pass
            elif isinstance(event, Field):
                self._text()
            event = self._next()

    def data(self) -> Data:
        """Return the next piece of the present part."""
        event = self._next()
        if not isinstance(event, Data):
            raise BadRequest
        return event

    def _text(self) -> str:
        pieces, more = bytearray(), True
        while more:
            event = self.data()
            pieces += event.data
            more = event.more_data
            if len(pieces) > MEMORY:
                raise RequestEntityTooLarge
        return pieces.decode("utf-8", "replace")

    def _next(self) -> Event:
        try:
            while isinstance(event := self._decoder.next_event(), NeedData):
                with in_time(CHUNK_SECONDS):
                    piece = self._body.read(CHUNK)
                self._decoder.receive_data(piece or None)
        except ValueError as error:  # not multipart, or it ends too early
            raise BadRequest from error
        return event
