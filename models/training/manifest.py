"""The data manifest: a line for each picture that a network was trained, validated or tested on."""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cspine.settings import Settings

SPLITS = ("training", "validation", "test")


@dataclass(frozen=True)
class Record:
    """One picture: where it comes from, what it holds and where it stands."""

    file: str  # relative to the data; of a phantom its seed
    frame: int
    sha256: str  # of the file's bytes
    pixels_sha256: str  # of the canonical picture with its shape
    label: str
    patient: str = ""  # a pseudonym, or empty where nothing is known
    cluster: int = -1  # of near-duplicates
    split: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)  # site, view and whatever else the list had

    @property
    def name(self) -> str:
        """The file's name, with the frame where it is not the first."""
        return f"{self.file}#{self.frame}" if self.frame else self.file

    @property
    def augmented(self) -> str:
        """What is done to the picture before the network sees it, beyond what serving does."""
        return "each epoch" if self.split == "training" else "none"


@dataclass(frozen=True)
class LeftOut:
    """A file that could not be used, and why."""

    file: str
    reason: str


def text(records: Iterable[Record]) -> str:
    """Return the manifest as JSON lines."""
    return "".join(json.dumps({**asdict(record), "augmented": record.augmented}) + "\n" for record in records)


def sha256(records: Iterable[Record]) -> str:
    """Return the SHA-256 of the manifest's text."""
    return hashlib.sha256(text(records).encode()).hexdigest()


def write(folder: Path, records: Iterable[Record], left_out: Sequence[LeftOut]) -> None:
    """Write `manifest.jsonl` and, with a line for each file that could not be used, `left_out.jsonl`."""
    (folder / "manifest.jsonl").write_text(text(records))
    (folder / "left_out.jsonl").write_text("".join(json.dumps(asdict(file)) + "\n" for file in left_out))


def pseudonym(patient: str, settings: Settings) -> str:
    """Return what stands for a patient in a manifest, which may travel further than the films.

    It is keyed with the installation's secret: of an unkeyed hash whoever tries every number would find the patient.
    """
    if not patient:
        return ""
    return hmac.digest(settings.key.encode(), f"patient in a manifest: {patient}".encode(), "sha256").hex()[:16]
