"""The blob store: bytes under random keys, in a folder, in S3, or in any other store that fsspec reaches.

Content is streamed while it is hashed and never held whole in memory. A blob appears under its key only when it is
complete: in a folder it is written beside, fsynced and renamed; an object store commits when the upload is closed.
No blob is found by listing: SQL names each key, and only the search for orphans walks over the store.
"""

import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import IO, Any, BinaryIO, cast

import fsspec

from cspine.errors import Permanent, Refused, ServiceFault
from cspine.reasons import Reason

CHUNK = 2**20
PLACES = [f"{number:02x}" for number in range(256)]  # the first two digits of each random key
PART = ".part"  # ends the name of a file that is being written


class BlobFault(ServiceFault):
    """A blob cannot be opened or read; whether that is its own fault or the whole store's, `probe` tells."""


@dataclass(frozen=True)
class Stored:
    """A blob that was just written."""

    key: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Found:
    """A blob that a walk over the store came by; also what is left of one that was never finished."""

    key: str
    size: int
    written: datetime  # by the store's clock


class BlobStore:
    """One store; every key is given out by it and no other code forms a path."""

    def __init__(self, url: str) -> None:
        """Name the store; nothing is opened or made until the first use. Raises `Usage` where it is no address."""
        self._url = url
        protocol = url.partition("://")[0] if "://" in url else "file"
        self._local = protocol in {"file", "local"}
        self._s3 = _s3() if protocol in {"s3", "s3a"} else None  # imported for who uses it: it takes half a second
        self._foreign: tuple[type[Exception], ...] = self._s3.FAULTS if self._s3 else ()
        self._address = self._s3.parse(url) if self._s3 else None
        self._root = self._address.root if self._address else fsspec.core.url_to_fs(url)[1].rstrip("/")
        self._connected: dict[int, Any] = {}  # by process id

    @property
    def _fs(self) -> Any:
        """The file system of this process: a connection does not survive a fork, and the parent's is never touched."""
        pid = os.getpid()
        if pid not in self._connected:
            made = self._s3.connect(self._address) if self._s3 else fsspec.core.url_to_fs(self._url)[0]
            self._connected.setdefault(pid, made)
        return self._connected[pid]

    @property
    def folder(self) -> Path | None:
        """The folder that the store is, or null where it is none."""
        return Path(self._root) if self._local else None

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
        if not self._local:
            with self._faults():
                self._fs.pipe_file(self._path(key), data)  # one request, where a stream takes up to four
            return key
        with self._writing(key) as target:
            target.write(data)
        return key

    @contextmanager
    def open(self, key: str, *, last: bool = False) -> Iterator[BinaryIO]:
        """Open a blob as a seekable binary stream; `last` says that nobody will soon read it again.

        Raises `Permanent` (blob_missing) where it is gone, `BlobFault` where it cannot be opened or read, and
        `ServiceFault` where the whole store is away. Errors of whoever reads stay what they are.
        """
        path = self._path(key)
        with self._faults(BlobFault):
            file = self._s3.open_blob(self._fs, path) if self._s3 else self._fs.open(path, "rb")
        with file:
            yield cast(BinaryIO, _Reading(file, self._faults))
            if last and self._local:
                drop_pages(file)

    def get(self, key: str) -> bytes:
        """Return a whole blob; for small ones (canonical pictures, previews). Raises as `open` does."""
        if self._s3:
            with self._faults(BlobFault):
                return bytes(self._fs.cat_file(self._path(key), max_concurrency=1))  # one request, no question before
        with self.open(key) as file:
            return file.read()

    def exists(self, key: str) -> bool:
        """Say whether the blob is there."""
        try:
            with self._faults():
                return bool(self._s3.head(self._fs, self._path(key)) if self._s3 else self._fs.exists(self._path(key)))
        except Permanent:
            return False

    def delete(self, key: str) -> None:
        """Remove a blob; one that is already gone is no error."""
        with self._faults():
            try:
                self._fs.rm_file(self._path(key))
            except FileNotFoundError:
                return

    def keys(self) -> Iterator[str]:
        """Walk over the keys of all complete blobs, releases and exports among them."""
        with self._faults():
            for path in self._fs.find(self._root) if self._fs.exists(self._root) else []:
                key = path[len(self._root) + 1 :]
                if not key.endswith(PART):
                    yield key

    def places(self) -> list[str]:
        """Return the parts of the store that hold blobs with random keys; a walk takes one at a time."""
        return PLACES

    def walk(self, place: str) -> list[Found]:
        """List one part of the store, blobs that were never finished included; for the search for orphans alone."""
        with self._faults():
            try:
                rows = self._fs.find(f"{self._root}/{place}", detail=True).values()
            except FileNotFoundError:
                return []
            return [Found(row["name"][len(self._root) + 1 :], row["size"], _written(row)) for row in rows]

    def probe(self, known: str | None = None) -> None:
        """Ask whether the store answers: for a blob that was read before, or else for one written now.

        Raises `ServiceFault` where it does not. A store that is full answers: what it has can be read.
        """
        try:
            if known is not None and self._has(known):
                return
            key = self.put_bytes(b"are you there")
            try:
                self.get(key)
            finally:
                self.delete(key)
        except (Permanent, BlobFault) as error:
            raise ServiceFault(error.detail, Reason.STORAGE_UNAVAILABLE) from error
        except ServiceFault as fault:
            if fault.reason is not Reason.STORAGE_FULL:
                raise

    def _has(self, key: str) -> bool:
        """Say whether a blob is there, by reading from it."""
        with suppress(Permanent), self.open(key) as file:
            return bool(file.read(1))
        return False

    def clock(self) -> datetime:
        """Return the store's own time: that of a blob written now, which is taken away again."""
        key = _new_key(".clock")
        self.put_bytes(b"what time is it", key=key)
        try:
            with self._faults():
                path = self._path(key)
                return _written(self._s3.head(self._fs, path) if self._s3 else self._fs.info(path))
        finally:
            self.delete(key)

    def abandon(self, before: datetime) -> int:
        """Give up uploads to an object store that were begun before a time and never ended; return how many.

        In a folder what is left of them is a file, which a walk finds.
        """
        with self._faults():
            return int(self._s3.abandon(self._fs, self._address, before)) if self._s3 else 0

    def _path(self, key: str) -> str:
        if ".." in key or key.startswith("/") or "\\" in key:
            raise ValueError("not a key of this store")
        return f"{self._root}/{key}"

    @contextmanager
    def _writing(self, key: str) -> Iterator[IO[bytes]]:
        with self._faults(), self._file(self._path(key)) if self._local else self._upload(self._path(key)) as file:
            yield file

    @contextmanager
    def _upload(self, path: str) -> Iterator[IO[bytes]]:
        """Send a stream to an object store, which shows it when it is whole; what breaks off is taken back."""
        file = self._fs.open(path, "wb", **({"block_size": self._s3.WRITE_BLOCK} if self._s3 else {}))
        try:
            yield file
        except BaseException:
            with suppress(Exception):  # the store that failed may fail here too; the error that counts is the first
                file.discard()
            if self._s3:
                file.closed = True  # else the end of the object would commit it after all
            raise
        file.close()

    @contextmanager
    def _file(self, path: str) -> Iterator[IO[bytes]]:
        """Write a file beside its place, and move it there when it is whole and on the disk."""
        final, part = Path(path), Path(f"{path}{PART}")
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

    @contextmanager
    def _faults(self, kind: type[ServiceFault] = ServiceFault) -> Iterator[None]:
        """Name the store's errors: a blob that is gone is permanent; a store that is gone or full is nobody's try.

        `kind` is that of a store that does not do what it was asked.
        """
        try:
            yield
        except FileNotFoundError as error:
            if self._gone(error):
                raise ServiceFault("the store itself is not there", Reason.STORAGE_UNAVAILABLE) from error
            raise Permanent("no such blob", Reason.BLOB_MISSING) from error
        except OSError as error:
            full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} or (self._s3 and self._s3.is_full(error))
            raise kind(type(error).__name__, Reason.STORAGE_FULL if full else Reason.STORAGE_UNAVAILABLE) from error
        except self._foreign as error:
            raise kind(type(error).__name__, Reason.STORAGE_UNAVAILABLE) from error

    def _gone(self, error: FileNotFoundError) -> bool:
        """Say whether the whole store is away: no study may fail for good because a bucket or a mount is missing."""
        if self._s3:
            with self._faults():
                return bool(self._s3.bucket_is_gone(self._fs, self._address, error))
        return self._local and not Path(self._root).is_dir()


def drop_pages(file: BinaryIO | IO[bytes]) -> None:
    """Tell the system that a file was read for good: its memory serves for what is read next. A hint, never a fault."""
    if hasattr(os, "posix_fadvise"):
        with suppress(OSError):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class _Reading:
    """A blob that is being read: the errors of that get names, and all else is the file's own."""

    def __init__(self, file: BinaryIO, faults: Callable[[type[ServiceFault]], AbstractContextManager[None]]) -> None:
        self._file, self._faults = file, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int | None = -1) -> bytes:
        with self._faults(BlobFault):
            return self._file.read(-1 if size is None else size)

    def readinto(self, buffer: Any) -> int:
        with self._faults(BlobFault):
            return int(self._file.readinto(buffer))  # type: ignore[attr-defined]  # of every buffered stream

    def readline(self, size: int | None = -1) -> bytes:
        with self._faults(BlobFault):
            return self._file.readline(-1 if size is None else size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with self._faults(BlobFault):
            return self._file.seek(offset, whence)


def _s3() -> ModuleType:
    from cspine import s3

    return s3


def _read(source: BinaryIO | IO[bytes]) -> bytes:
    try:
        return source.read(CHUNK)
    except OSError as error:
        raise Refused(type(error).__name__, Reason.UNREADABLE) from error


def _written(row: dict[str, Any]) -> datetime:
    """Return when a blob was written: S3 says LastModified, a folder mtime."""
    moment = row.get("LastModified", row.get("mtime"))
    return moment if isinstance(moment, datetime) else datetime.fromtimestamp(moment or 0, UTC)


def _new_key(suffix: str) -> str:
    name = secrets.token_hex(16)
    return f"{name[:2]}/{name[2:]}{suffix}"
