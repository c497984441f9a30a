"""Receipts: what comes in to be recorded, and what became of it."""

from dataclasses import dataclass

from cspine.blobs import Stored
from cspine.decoding import Header
from cspine.records.screenings import Ring
from cspine.states import Disposition

NAME_LENGTH = 1000


@dataclass(frozen=True)
class Refusal:
    """Why a file is not taken into a study."""

    disposition: Disposition
    reason: str
    kind: str | None = None
    header: Header | None = None  # of an object without a picture


@dataclass(frozen=True)
class Incoming:
    """A received file that was looked at; `stored` is null where not all of its bytes could be read."""

    name: str
    stored: Stored | None
    outcome: Header | Refusal
    sound: bool = True  # false where a picture is refused by its header already, and goes on into its study only

    @property
    def header(self) -> Header | None:
        """What is known of the file, whether it is a picture or not."""
        return self.outcome if isinstance(self.outcome, Header) else self.outcome.header


@dataclass(frozen=True)
class Receipt:
    """What became of one received file."""

    file_id: int
    name: str
    disposition: Disposition
    reason: str | None
    study_id: str | None
    ring: Ring | None
    keeps_blob: bool


def clean(name: str) -> str:
    """Return a file name fit for display: not empty, no control or direction-changing characters, no surrogates."""
    text = name.encode("utf-8", "replace").decode()
    text = "".join(character if character.isprintable() else "�" for character in text).strip()
    return (text or "unnamed")[-NAME_LENGTH:]
