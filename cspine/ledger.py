"""The ledger of a batch: every received file in exactly one bucket, and the sum that proves it."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from cspine.states import IN_WORK, Disposition, State

BUCKETS = ("analysed", "duplicate", "not_an_image", "rejected", "failed", "quarantined", "cancelled", "waiting")

COLUMNS = ("file", "bucket", "reason", "flags", "study")
FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # what a spreadsheet may take for the begin of a formula


def bucket_of(disposition: str, state: str | None) -> str:
    """Return the one bucket of a file, from what became of it and the state of its study's screening."""
    if disposition != Disposition.ACCEPTED:
        return disposition
    if state is None:
        return "lost"  # no bucket of this name: such a file makes the ledger unbalanced, and that is its purpose
    if State(state) in IN_WORK:
        return "waiting"
    return "analysed" if state == State.DONE else state


@dataclass(frozen=True)
class Ledger:
    """The counts of a batch, in files."""

    batch: str
    received: int = 0
    analysed: int = 0
    duplicate: int = 0
    not_an_image: int = 0
    rejected: int = 0
    failed: int = 0
    quarantined: int = 0
    cancelled: int = 0
    waiting: int = 0
    studies: int = 0
    images: int = 0

    @property
    def balanced(self) -> bool:
        """Say whether the buckets add up to what was received."""
        total: int = sum(getattr(self, bucket) for bucket in BUCKETS)
        return self.received == total

    @property
    def troubled(self) -> bool:
        """Say whether anything was rejected, failed or quarantined."""
        return bool(self.rejected or self.failed or self.quarantined)

    def as_dict(self) -> dict[str, Any]:
        """Return the ledger as the command line and the pages give it."""
        values = asdict(self)
        order = [field.name for field in fields(self) if field.name not in {"studies", "images"}]
        return {name: values[name] for name in order} | {
            "balanced": self.balanced,
            "studies": self.studies,
            "images": self.images,
        }


def csv_rows(files: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Give the lines of the ledger as CSV, a line for each file under a line of names; ended by CR LF.

    A name is what somebody sent: a cell that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    yield _line(COLUMNS)
    for one in files:
        cells = {**one, "flags": " ".join(one["flags"])}
        yield _line([_harmless(str(cells[name] or "")) for name in COLUMNS])


def _line(cells: Iterable[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.lstrip(" ").startswith(FORMULA) else cell
