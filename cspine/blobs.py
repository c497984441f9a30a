"""The blob store: bytes under random keys, in a folder or any other store that fsspec reaches.

Content is streamed while it is hashed and never held whole in memory. A blob appears under its key only when it is
complete: in a folder it is written beside, fsynced and renamed; an object store commits when the upload is closed.
"""

import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from cspine.errors import Permanent, Refused, ServiceFault
from cspine.reasons import Reason

CHUNK = 2**20


@dataclass(frozen=True)
class Stored:
    """A blob that was just written."""

    key: str
    sha256: str
    size: int


class BlobStore:
    """One store; every key is given out by it and no other code forms a path."""

    def __init__(self, url: str) -> None:
        """Name the store; nothing is opened or made until the first use."""
        self._fs, root = fsspec.core.url_to_fs(url)
        self._root = root.rstrip("/")
        self._local = isinstance(self._fs, LocalFileSystem)

    def put(self, source: BinaryIO | IO[bytes], limit: int | None = None, suffix: str = "") -> Stored:
        """Copy a stream into a new blob.

        Raises `Refused`, too_large beyond `limit` bytes or unreadable where the source fails, and `ServiceFault`,
        storage_full or storage_unavailable, where the store cannot take it. Nothing is left behind in any case.
        """
        key = _new_key(suffix)
        digest, size = hashlib.sha256(), 0
        with self._writing(key) as target:
            while chunk := _read(source):
                size += len(chunk)
                if limit is not None and size > limit:
                    raise Refused(f"more than {limit} bytes", Reason.TOO_LARGE)
                digest.update(chunk)
                target.write(chunk)
        return Stored(key, digest.hexdigest(), size)

    def put_bytes(self, data: bytes, suffix: str = "", key: str | None = None) -> str:
        """Store bytes under a new key, or under one given out before, and return the key."""
        key = key or _new_key(suffix)
        with self._writing(key) as target:
            target.write(data)
        return key

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """Open a blob as a seekable binary stream; raises `Permanent` (blob_missing) where it is gone."""
        with _faults(), self._fs.open(self._path(key), "rb") as file:
            yield cast(BinaryIO, file)

    def get(self, key: str) -> bytes:
        """Return a whole blob; for small ones (canonical pictures, previews)."""
        with self.open(key) as file:
            return file.read()

    def exists(self, key: str) -> bool:
        """Say whether the blob is there."""
        with _faults():
            return bool(self._fs.exists(self._path(key)))

    def delete(self, key: str) -> None:
        """Remove a blob; one that is already gone is no error."""
        with _faults():
            try:
                self._fs.rm_file(self._path(key))
            except FileNotFoundError:
                return

    def keys(self) -> Iterator[str]:
        """Walk over the keys of all complete blobs."""
        with _faults():
            for path in self._fs.find(self._root) if self._fs.exists(self._root) else []:
                key = path[len(self._root) + 1 :]
                if not key.endswith(".part"):
                    yield key

    def _path(self, key: str) -> str:
        if ".." in key or key.startswith("/") or "\\" in key:
            raise ValueError("not a key of this store")
        return f"{self._root}/{key}"

    @contextmanager
    def _writing(self, key: str) -> Iterator[IO[bytes]]:
        path = self._path(key)
        with _faults():
            if not self._local:
                with self._fs.open(path, "wb") as file:
                    try:
                        yield file
                    except BaseException:
                        if hasattr(file, "discard"):
                            file.discard()
                        raise
                return
            final, part = Path(path), Path(f"{path}.part")
            for folder in (Path(self._root), final.parent):  # of parents, mkdir gives the mode to the last only
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                with part.open("xb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                part.rename(final)
            except BaseException:
                part.unlink(missing_ok=True)
                raise


def _read(source: BinaryIO | IO[bytes]) -> bytes:
    try:
        return source.read(CHUNK)
    except OSError as error:
        raise Refused(type(error).__name__, Reason.UNREADABLE) from error


def _new_key(suffix: str) -> str:
    name = secrets.token_hex(16)
    return f"{name[:2]}/{name[2:]}{suffix}"


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise Permanent("no such blob", Reason.BLOB_MISSING) from error
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
        reason = Reason.STORAGE_FULL if full else Reason.STORAGE_UNAVAILABLE
        raise ServiceFault(type(error).__name__, reason) from error
