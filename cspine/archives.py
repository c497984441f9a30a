"""ZIP archives: the whole directory is checked before the first entry is given, and no entry outgrows what it declared.

What is told by the directory refuses the archive as a whole; what is told by an entry's content (an archive inside it,
a damaged stream) refuses that entry alone, so that a viewer on a CD does not cost its films.
"""

import copy
import io
import re
import stat
import struct
import zipfile
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

from cspine.decoding.kinds import HEAD, kind_of, sniff
from cspine.errors import Refused
from cspine.reasons import Reason
from cspine.settings import Settings

END, END64, LOCATOR64, CENTRAL = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x01\x02"
END_SIZE, CENTRAL_SIZE, MAX_COMMENT = 22, 46, 65535
MEAN_ENTRY = 512  # bytes of a directory's entry, with its name, on average and at most
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2}  # LZMA may ask for 4 GiB of dictionary
ENCRYPTED, UTF8, UNICODE_PATH = 0x41, 0x800, 0x7075
NO_PICTURE = {Reason.UNSUPPORTED_TYPE, Reason.EMPTY_FILE, Reason.NON_IMAGE_OBJECT}
# What zipfile raises on a damaged archive or entry; RuntimeError also where a password is asked for
DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, RuntimeError, OverflowError,
           IndexError)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One file in an archive; `name` is for show only, with / between folders."""

    name: str
    size: int
    _archive: zipfile.ZipFile
    _info: zipfile.ZipInfo

    def open(self) -> BinaryIO:
        """Open the entry; reading it raises `Refused` where it is damaged or outgrows its declared size."""
        if self._info.compress_type not in METHODS:
            raise Refused(f"compression method {self._info.compress_type}", Reason.UNSUPPORTED_TYPE)
        unchecked = copy.copy(
            self._info
        )  # zipfile stops at the size and calls a lie a wrong checksum: we look ourselves
        unchecked.file_size, unchecked.CRC = self._info.file_size + 1, None  # type: ignore[assignment]
        try:
            return cast(BinaryIO, _EntryStream(self._archive.open(unchecked), self._info.file_size, self._info.CRC))
        except DAMAGED as error:
            raise Refused(f"entry: {type(error).__name__}", Reason.CORRUPT) from error


class _EntryStream(io.RawIOBase):
    """The unpacked bytes of an entry, held against the size and the checksum that the directory declares."""

    def __init__(self, stream: IO[bytes], size: int, checksum: int) -> None:
        self._stream, self._missing, self._checksum = stream, size, checksum
        self._sum = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._stream.read(size)
        except DAMAGED as error:
            raise Refused(f"entry: {type(error).__name__}", Reason.CORRUPT) from error
        self._sum = zlib.crc32(data, self._sum)
        self._missing -= len(data)
        if self._missing < 0:
            raise Refused("entry larger than it declares", Reason.ARCHIVE_BOMB)
        if (size < 0 or (size and not data)) and (self._missing or self._sum != self._checksum):
            raise Refused("entry with a wrong size or checksum", Reason.CORRUPT)
        return data

    def close(self) -> None:
        self._stream.close()
        super().close()


def is_zip(file: BinaryIO) -> bool:
    """Say whether a seekable stream is a ZIP archive, by its content."""
    return sniff(file) == "zip"


def is_picture_reason(reason: str | None) -> bool:
    """Say whether an entry that came to this reason code is a picture, be it a broken one; None is a sound picture.

    An archive in which no entry is one is refused as a whole (archive_no_images).
    """
    return reason not in NO_PICTURE


def entries(file: BinaryIO, settings: Settings) -> Iterator[Entry]:
    """Give the files of an archive, folders left out, while `file` stays open.

    Raises `Refused` with archive_encrypted, archive_traversal, archive_bomb, archive_too_many_entries,
    archive_nested or archive_no_images (nothing in it looks like a picture), truncated or corrupt for the archive as a
    whole, before the first entry is given.
    """
    start, directory = _check_directory(file, settings)
    try:
        try:
            archive = zipfile.ZipFile(file)
        except UnicodeDecodeError:  # a name that is not the UTF-8 which its entry promises shall not cost the pictures
            archive = zipfile.ZipFile(cast(IO[bytes], _Amended(file, _without_utf8_flags(file, start, directory))))
    except DAMAGED as error:
        raise Refused(f"archive: {type(error).__name__}", Reason.CORRUPT) from error
    infos = archive.infolist()
    for info in infos:
        _check(info, settings)
    if sum(info.file_size for info in infos) > settings.max_archive_bytes:
        raise Refused(f"more than {settings.max_archive_bytes} bytes unpacked", Reason.ARCHIVE_BOMB)
    files = [
        Entry(shown_name(info, settings.archive_code_page), info.file_size, archive, info)
        for info in infos
        if not _is_folder(info)
    ]
    _check_for_pictures(files)
    return iter(files)


def shown_name(info: zipfile.ZipInfo, code_page: str) -> str:
    """Return the name of an entry for show: / between folders, in UTF-8 if it says or is that, else in `code_page`.

    An entry says so by its flag or by Info-ZIP's Unicode path (APPNOTE 4.6.9).
    """
    name = info.orig_filename
    if not info.flag_bits & UTF8:
        raw = name.encode("cp437", "replace")
        name = _unicode_path(info.extra, raw) or _decoded(raw, "utf-8") or _decoded(raw, code_page) or name
    return name.replace("\\", "/").replace("\0", "")


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        value, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == UNICODE_PATH and value[:1] == b"\1" and value[1:5] == zlib.crc32(raw).to_bytes(4, "little"):
            return _decoded(value[5:], "utf-8")
    return None


def _decoded(raw: bytes, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except UnicodeError:
        return None


class _Amended(io.RawIOBase):
    """A file of which some single bytes read as others."""

    def __init__(self, file: BinaryIO, others: dict[int, int]) -> None:
        self._file, self._others, self._places = file, others, sorted(others)

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        at = self._file.tell()
        data = bytearray(self._file.read(size))
        for place in self._places[bisect_left(self._places, at) : bisect_left(self._places, at + len(data))]:
            data[place - at] = self._others[place]
        return bytes(data)


def _without_utf8_flags(file: BinaryIO, start: int, directory: bytes) -> dict[int, int]:
    """Return the flag bytes, in the central directory and before each entry, of names that are not UTF-8, cleared."""
    cleared: dict[int, int] = {}
    at = 0
    while directory[at : at + 4] == CENTRAL and at + CENTRAL_SIZE <= len(directory):
        lengths = struct.unpack_from("<HHH", directory, at + 28)
        if _decoded(directory[at + CENTRAL_SIZE : at + CENTRAL_SIZE + lengths[0]], "utf-8") is None:
            entry = int.from_bytes(directory[at + 42 : at + 46], "little")
            for place in (start + at + 9, entry + 7):
                file.seek(place)
                cleared[place] = (file.read(1) or b"\0")[0] & ~(UTF8 >> 8)
        at += CENTRAL_SIZE + sum(lengths)
    return cleared


def _check_directory(file: BinaryIO, settings: Settings) -> tuple[int, bytes]:
    """Count the entries in the central directory before zipfile makes an object of each; return its place and bytes."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - END_SIZE - MAX_COMMENT))
    tail = file.read()
    end = tail.rfind(END)
    if end < 0 or len(tail) - end < END_SIZE:
        raise Refused("archive without its end", Reason.TRUNCATED)
    _, declared, length, offset = struct.unpack_from("<HHLL", tail, end + 8)
    end_at = size - len(tail) + end
    if declared == 0xFFFF or 0xFFFFFFFF in (length, offset):
        declared, length = _directory64(file, end_at, declared, length)
    if declared > settings.max_archive_entries or length > settings.max_archive_entries * MEAN_ENTRY:
        raise Refused(f"{declared} entries", Reason.ARCHIVE_TOO_MANY_ENTRIES)
    file.seek(max(0, end_at - length))
    directory, at, count = file.read(length), 0, 0
    while directory[at : at + 4] == CENTRAL and at + CENTRAL_SIZE <= len(directory):
        at += CENTRAL_SIZE + sum(struct.unpack_from("<HHH", directory, at + 28))
        count += 1
    if count > settings.max_archive_entries:
        raise Refused(f"{count} entries", Reason.ARCHIVE_TOO_MANY_ENTRIES)
    return max(0, end_at - length), directory


def _directory64(file: BinaryIO, end_at: int, declared: int, length: int) -> tuple[int, int]:
    file.seek(max(0, end_at - 20))
    locator = file.read(20)
    if not locator.startswith(LOCATOR64):
        return declared, length
    file.seek(int.from_bytes(locator[8:16], "little"))
    record = file.read(56)
    if not record.startswith(END64) or len(record) < 56:
        raise Refused("archive without its end", Reason.TRUNCATED)
    return cast(tuple[int, int], struct.unpack_from("<QQ", record, 32))


def _check(info: zipfile.ZipInfo, settings: Settings) -> None:
    name = info.orig_filename.replace("\\", "/")
    if info.flag_bits & ENCRYPTED:
        raise Refused("an encrypted entry", Reason.ARCHIVE_ENCRYPTED)
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
        raise Refused("an entry that points outside", Reason.ARCHIVE_TRAVERSAL)
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise Refused("a link or device", Reason.ARCHIVE_TRAVERSAL)
    if info.file_size > max(info.compress_size * settings.max_growth, settings.min_growth_bytes):
        raise Refused("an entry that grows out of proportion", Reason.ARCHIVE_BOMB)


def _is_folder(info: zipfile.ZipInfo) -> bool:
    return info.orig_filename.endswith(("/", "\\"))


def _check_for_pictures(files: list[Entry]) -> None:
    nested, damaged = False, None
    for entry in files:
        try:
            with entry.open() as stream:
                kind = kind_of(stream.read(HEAD))
        except Refused as refused:
            damaged = refused
            continue
        if kind not in {"zip", "other"}:
            return
        nested |= kind == "zip"
    if damaged is not None:
        raise damaged
    raise Refused("no picture among the entries", Reason.ARCHIVE_NESTED if nested else Reason.ARCHIVE_NO_IMAGES)
