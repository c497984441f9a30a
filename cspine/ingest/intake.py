"""Intake: each file is streamed to a blob while it is hashed, its header is read, its rows are written, then it rings.

Nothing here decodes a picture. Whatever is wrong with one file is recorded in its row, and the next one goes on.
"""

from collections import OrderedDict
from pathlib import Path
from typing import IO, BinaryIO

import structlog

from cspine import archives
from cspine.blobs import BlobStore, Stored
from cspine.database import Database
from cspine.decoding import Header, RefusedWithHeader, read_header
from cspine.errors import Refused, ServiceFault, Skipped
from cspine.queue import Bell
from cspine.reasons import Reason
from cspine.records import intake as records
from cspine.records.intake import Receipt, Refusal
from cspine.records.screenings import Ring
from cspine.settings import Settings
from cspine.states import Disposition
from cspine.tables import Batch

QUIET = 64  # a study's bell rings when this many other studies have come since its last file, or at the end
NOT_PICTURES = {Reason.UNSUPPORTED_TYPE.value, Reason.EMPTY_FILE.value, Reason.NON_IMAGE_OBJECT.value}

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
        try:
            stored = self._blobs.put(source, self._settings.max_file_bytes)
        except Refused as refusal:  # too large, or an archive entry that lies about its size
            return [self._record(name, None, Refusal(Disposition.REJECTED, refusal.reason.value))]
        try:
            with self._blobs.open(stored.key) as file:
                zipped = archives.is_zip(file)
            if zipped:
                return self._receive_archive(name, stored)
            return [self._receive_stored(name, stored)]
        except BaseException:
            self._blobs.delete(stored.key)
            raise

    def receive_path(self, path: Path, name: str) -> list[Receipt]:
        """Take one file of a folder."""
        try:
            file = path.open("rb")
        except OSError:
            return [self._record(name, None, Refusal(Disposition.REJECTED, Reason.UNREADABLE.value))]
        with file:
            return self.receive(file, name)

    def finish(self) -> bool:
        """Ring for everything that is still pending; false where the broker is down and the sweep will ring later."""
        self._ring(list(self._pending.values()))
        self._pending.clear()
        return not self.broker_down

    def _receive_stored(self, name: str, stored: Stored) -> Receipt:
        return self._record(name, stored, self._look(name, stored))

    def _look(self, name: str, stored: Stored) -> Header | Refusal:
        try:
            with self._blobs.open(stored.key) as file:
                return read_header(file, name, self._settings)
        except RefusedWithHeader as refusal:
            if refusal.header.study_uid is not None:
                return refusal.header  # its study shall know of it: prepare will refuse it there
            return Refusal(Disposition.REJECTED, refusal.reason.value, refusal.header.kind)
        except Skipped as skipped:
            return Refusal(Disposition.NOT_AN_IMAGE, skipped.reason.value)
        except Refused as refusal:
            return Refusal(Disposition.REJECTED, refusal.reason.value)

    def _record(self, name: str, stored: Stored | None, outcome: Header | Refusal) -> Receipt:
        with self._database.write() as session:
            if stored is None:
                assert isinstance(outcome, Refusal)
                receipt = records.refuse_unread(session, self._batch, name, outcome.reason)
            else:
                receipt = records.admit(session, self._batch, name, stored, outcome)
        if stored is not None and not receipt.keeps_blob:
            self._blobs.delete(stored.key)
        if receipt.ring is not None:
            self._pending[receipt.ring.screening_id] = receipt.ring
            self._pending.move_to_end(receipt.ring.screening_id)
            if len(self._pending) > 2 * QUIET:
                self._ring([self._pending.popitem(last=False)[1] for _ in range(QUIET)])
        return receipt

    def _receive_archive(self, name: str, archive: Stored) -> list[Receipt]:
        """Take every entry of a sound archive; an unsound one, or one without any picture, is one rejected file.

        Everything is unpacked and looked at before the first row is written, so that nothing is half-taken.
        """
        unpacked: list[tuple[str, Stored | None, Header | Refusal]] = []
        refusal: Refusal | None = None
        try:
            with self._blobs.open(archive.key) as file:
                unpacked += (self._unpack(name, entry) for entry in archives.entries(file, self._settings))
        except Refused as refused:
            refusal = Refusal(Disposition.REJECTED, refused.reason.value, "zip")
        if refusal is None and not any(_is_picture(outcome) for _, _, outcome in unpacked):
            refusal = Refusal(Disposition.REJECTED, Reason.ARCHIVE_NO_IMAGES.value, "zip")
        if refusal is not None:
            for _, stored, _ in unpacked:
                if stored is not None:
                    self._blobs.delete(stored.key)
            return [self._record(name, archive, refusal)]
        self._blobs.delete(archive.key)
        return [self._record(*entry) for entry in unpacked]

    def _unpack(self, archive_name: str, entry: archives.Entry) -> tuple[str, Stored | None, Header | Refusal]:
        """Store one entry; an entry that is damaged or too large is refused alone."""
        name = f"{archive_name}!{entry.name}"
        try:
            with entry.open() as source:
                stored = self._blobs.put(source, self._settings.max_file_bytes)
        except Refused as refused:
            return name, None, Refusal(Disposition.REJECTED, refused.reason.value)
        return name, stored, self._look(entry.name, stored)

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


def _is_picture(outcome: Header | Refusal) -> bool:
    """Say whether an archive's entry is a picture, be it a broken one."""
    return isinstance(outcome, Header) or outcome.reason not in NOT_PICTURES
