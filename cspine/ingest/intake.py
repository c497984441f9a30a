"""Intake: each file is streamed to a blob while it is hashed, its header is read, its rows are written, then it rings.

Nothing here decodes a picture. Whatever is wrong with one file is recorded in its row, and the next one goes on.
"""

import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, BinaryIO

import structlog

from cspine import archives
from cspine.blobs import BlobStore, Stored, drop_pages
from cspine.database import Database
from cspine.decoding import Header, RefusedWithHeader, SkippedWithHeader, read_header
from cspine.errors import Refused, ServiceFault, Skipped
from cspine.queue import Bell
from cspine.reasons import Reason
from cspine.records import intake as records
from cspine.records.intake import Incoming, Receipt, Refusal
from cspine.records.screenings import Ring
from cspine.settings import Settings
from cspine.states import Disposition
from cspine.tables import Batch

TOGETHER = 100  # entries of an archive; a transaction of thousands keeps every other writer of SQLite waiting
COMPANY, COMPANY_SECONDS = 16, 0.5  # of a folder's files: so many are recorded together, or those of half a second
QUIET = 8  # a study's bell rings when this many other studies have come since its last file, or at the end

log = structlog.get_logger(__name__)


class Intake:
    """One submission: receives files into one batch, and rings for the studies they belong to."""

    def __init__(self, settings: Settings, database: Database, blobs: BlobStore, bell: Bell, batch: Batch) -> None:
        """Begin a submission into a batch that is already stored."""
        self._settings, self._database, self._blobs, self._bell = settings, database, blobs, bell
        self._batch = batch
        self._pending: OrderedDict[int, Ring] = OrderedDict()
        self.broker_down = False

    def receive(self, source: BinaryIO | IO[bytes], name: str) -> list[Receipt]:
        """Take one file, or an archive's every entry; raises `ServiceFault` where nothing can be stored."""
        written: list[str] = []
        try:
            incoming = self._take(source, name, written)
        except BaseException:
            self._forget(written)
            raise
        return self._record(incoming, written)

    def receive_path(self, path: Path, name: str) -> list[Receipt]:
        """Take one file of a folder; what cannot be opened, or is no file of bytes, is recorded as unreadable."""
        return next(self.receive_paths([(path, name)]))

    def receive_paths(self, paths: Iterable[tuple[Path, str]]) -> Iterator[list[Receipt]]:
        """Take files as `receive_path` does; give the receipts of each in turn, when they are recorded.

        Some files are recorded together, so that each costs the database little. Where one meets a fault of a service
        those before it are recorded.
        """
        company: list[Incoming] = []
        written: list[str] = []
        began = time.monotonic()
        for path, name in paths:
            own: list[str] = []
            try:
                incoming = self._take_path(path, name, own)
            except BaseException:
                self._forget(own)
                self._record(company, written, whole=False)
                raise
            alone = len(incoming) > 1
            if not alone:
                company += incoming
                written += own
            if alone or len(company) >= COMPANY or time.monotonic() - began > COMPANY_SECONDS:
                try:
                    receipts = [[one] for one in self._record(company, written, whole=False)]
                except BaseException:
                    self._forget(own if alone else [])  # the others' are forgotten already where no row names them
                    raise
                if alone:
                    receipts.append(self._record(incoming, own))
                yield from receipts
                company, written, began = [], [], time.monotonic()
        yield from ([receipt] for receipt in self._record(company, written, whole=False))

    def finish(self) -> bool:
        """Ring for everything that is still pending; false where the broker is down and the sweep will ring later."""
        self._ring(list(self._pending.values()))
        self._pending.clear()
        return not self.broker_down

    def _take_path(self, path: Path, name: str, written: list[str]) -> list[Incoming]:
        """Store and look at a file of a folder, as `_take` does."""
        try:
            file = path.open("rb") if path.is_file() else None
        except OSError:
            file = None
        if file is None:
            return [_unread(name, Reason.UNREADABLE)]
        with file:
            taken = self._take(file, name, written)
            drop_pages(file)
        return taken

    def _take(self, source: BinaryIO | IO[bytes], name: str, written: list[str]) -> list[Incoming]:
        """Store and look at a file, or an archive's entries; `written` gets the key of each blob."""
        try:
            stored = self._blobs.put(source, self._settings.max_file_bytes)
        except Refused as refusal:  # too large, or its source fails
            return [_unread(name, refusal.reason)]
        written.append(stored.key)
        with self._blobs.open(stored.key) as file:
            zipped = archives.is_zip(file)
        return self._unpack(name, stored, written) if zipped else [self._look(name, stored)]

    def _look(self, name: str, stored: Stored, shown: str | None = None) -> Incoming:
        """Read a stored file's header; `shown` is the name it is recorded under, where that is another."""
        outcome: Header | Refusal
        sound = True
        try:
            with self._blobs.open(stored.key) as file:
                outcome = read_header(file, name, self._settings)
        except RefusedWithHeader as refusal:
            if refusal.header.study_uid is not None:
                outcome, sound = refusal.header, False  # its study shall know of it: prepare will refuse it there
            else:
                outcome = Refusal(Disposition.REJECTED, refusal.reason.value, refusal.header.kind)
        except SkippedWithHeader as skipped:
            header = skipped.header
            outcome = Refusal(Disposition.NOT_AN_IMAGE, skipped.reason.value, header.kind, header)
        except Skipped as skipped:
            outcome = Refusal(Disposition.NOT_AN_IMAGE, skipped.reason.value)
        except Refused as refusal:
            outcome = Refusal(Disposition.REJECTED, refusal.reason.value)
        return Incoming(shown or name, stored, outcome, sound)

    def _unpack(self, name: str, archive: Stored, written: list[str]) -> list[Incoming]:
        """Unpack an archive and look at every entry; an unsound one, or one without a picture, is one refused file."""
        entries: list[Incoming] = []
        try:
            with self._blobs.open(archive.key) as file:
                entries += (self._entry(name, entry, written) for entry in archives.entries(file, self._settings))
        except Refused as refused:
            return [Incoming(name, archive, Refusal(Disposition.REJECTED, refused.reason.value, "zip"))]
        if any(_is_picture(entry.outcome) for entry in entries):
            return entries
        return [Incoming(name, archive, Refusal(Disposition.REJECTED, Reason.ARCHIVE_NO_IMAGES.value, "zip"))]

    def _entry(self, archive_name: str, entry: archives.Entry, written: list[str]) -> Incoming:
        """Store and look at one entry; one that is damaged or too large is refused alone."""
        shown = f"{archive_name}!{entry.name}"
        try:
            with entry.open() as source:
                stored = self._blobs.put(source, self._settings.max_file_bytes)
        except Refused as refused:
            return _unread(shown, refused.reason)
        written.append(stored.key)
        return self._look(entry.name, stored, shown)

    def _record(self, incoming: Sequence[Incoming], written: Sequence[str], *, whole: bool = True) -> list[Receipt]:
        """Write the rows of files, some in one transaction, so that others get between.

        `whole` says that they are an archive's entries, or one file, and not some of a folder that share nothing.
        """
        receipts: list[Receipt] = []
        try:
            for start in range(0, len(incoming), TOGETHER):
                with self._database.write() as session:
                    new = records.admit(session, self._batch, incoming[start : start + TOGETHER])
                    if whole and start + TOGETHER >= len(incoming):
                        records.adopt(session, self._batch, incoming, receipts + new)
                receipts += new
                self._remember(new)
        except BaseException:
            self._forget_unnamed(written)
            raise
        kept = {one.stored.key for one, receipt in zip(incoming, receipts, strict=True)
                if one.stored and receipt.keeps_blob}  # fmt: skip
        self._forget([key for key in written if key not in kept])
        return receipts

    def _remember(self, receipts: Sequence[Receipt]) -> None:
        """Keep in mind whom to ring for, and ring where enough others have come since."""
        for receipt in receipts:
            if receipt.ring is not None:
                self._pending[receipt.ring.screening_id] = receipt.ring
                self._pending.move_to_end(receipt.ring.screening_id)
        self._ring([self._pending.popitem(last=False)[1] for _ in range(len(self._pending) - QUIET)])

    def _forget_unnamed(self, keys: Sequence[str]) -> None:
        """Delete blobs after a transaction whose end is not known; where the database is silent they stay."""
        with suppress(ServiceFault):
            with self._database.read() as session:
                named = records.named(session, keys)
            self._forget([key for key in keys if key not in named])

    def _forget(self, keys: Sequence[str]) -> None:
        for key in keys:
            with suppress(ServiceFault):  # an orphan is no loss
                self._blobs.delete(key)

    def _ring(self, rings: list[Ring]) -> None:
        by_queue: dict[tuple[str, str], list[Ring]] = {}
        for ring in rings:
            by_queue.setdefault((ring.stage, ring.lane), []).append(ring)
        for group in by_queue.values():
            if self.broker_down:
                return
            try:
                self._bell.ring(group[0].stage, group[0].lane, [ring.screening_id for ring in group])
            except ServiceFault as fault:
                self.broker_down = True
                log.warning("broker down, the sweep will ring later", reason=fault.reason.value)


def _unread(name: str, reason: Reason) -> Incoming:
    return Incoming(name, None, Refusal(Disposition.REJECTED, reason.value))


def _is_picture(outcome: Header | Refusal) -> bool:
    """Say whether an archive's entry is a picture, be it a broken one."""
    return isinstance(outcome, Header) or archives.is_picture_reason(outcome.reason)
