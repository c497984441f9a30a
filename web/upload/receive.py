"""One upload form becomes one job: its files go into its batch as they arrive."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import BinaryIO

from cspine.ingest import Intake, Receipt
from cspine.records import submissions
from cspine.records.audit import audit
from cspine.states import Disposition
from cspine.tables import Batch
from web.services import Services

WORDS = {
    Disposition.ACCEPTED: "accepted",
    Disposition.DUPLICATE: "received before",
    Disposition.NOT_AN_IMAGE: "no picture",
    Disposition.REJECTED: "could not be read",
}


@dataclass
class Received:
    """What became of the files of one form."""

    counts: Counter[Disposition] = field(default_factory=Counter)
    unread: int = 0  # files that could not be read, now or when they came before
    reasons: set[str] = field(default_factory=set)  # of those
    study_id: str | None = None  # where the form was one picture by itself
    rung: bool = True

    def add(self, receipts: Iterable[Receipt]) -> None:
        """Count the files that one part of the form held."""
        for receipt in receipts:
            self.counts[receipt.disposition] += 1
            refused_before = receipt.disposition is Disposition.DUPLICATE and receipt.study_id is None
            if receipt.reason and (receipt.disposition is Disposition.REJECTED or refused_before):
                self.unread += 1
                self.reasons.add(receipt.reason)
            self.study_id = receipt.study_id if self.counts.total() == 1 else None

    @property
    def speaks_for_itself(self) -> bool:
        """Say whether the study's page says all there is to say: one new picture."""
        return self.study_id is not None and self.counts[Disposition.ACCEPTED] == 1

    @property
    def is_refused(self) -> bool:
        """Say whether not one of the files could be read."""
        return self.unread == self.counts.total()

    @property
    def sentence(self) -> str:
        """Say it in words."""
        total = self.counts.total()
        parts = [f"{count} {WORDS[disposition]}" for disposition, count in self.counts.items()]
        return f"{total} {'file' if total == 1 else 'files'} received: {', '.join(parts)}."


def receive(own: Services, batch: Batch, nonce: str, actor: str, files: Iterable[tuple[str, BinaryIO]]) -> Received:
    """Take the files of a form into its batch; where the transfer breaks off, the form may be sent again."""
    intake = Intake(own.settings, own.database, own.blobs, own.bell, batch)
    received = Received()
    try:
        for name, stream in files:
            received.add(intake.receive(stream, name))
    finally:
        received.rung = intake.finish()
    with own.database.write() as session:
        submissions.finish(session, nonce, received.study_id)
        audit(session, actor, "upload", batch.id, {word.value: count for word, count in received.counts.items()})
    return received
