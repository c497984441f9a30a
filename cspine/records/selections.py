"""Selections: how a person chooses what is retried or discarded, and the studies that this means right now."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from cspine.errors import Usage
from cspine.records.filters import Filter, studies_of
from cspine.tables import Batch, Screening


@dataclass(frozen=True)
class Selection:
    """Exactly one of: named studies, a group, a batch, everything that was given up, or what a filter lets pass."""

    studies: tuple[str, ...] = ()
    fingerprint: str | None = None
    batch: str | None = None  # its id
    everything: bool = False
    chosen: Filter | None = None
    canary: bool | None = None  # try a few of each group first; null: as is usual, for a group and for a filter

    def __post_init__(self) -> None:
        """Raise `Usage` where nothing or more than one thing is chosen."""
        ways = [bool(self.studies), self.fingerprint is not None, self.batch is not None, self.everything,
                self.chosen is not None]  # fmt: skip
        if sum(ways) != 1:
            raise Usage("choose studies, a group, a batch, everything, or a filter, and only one of them")

    @property
    def with_canary(self) -> bool:
        """Say whether a few of each group are tried first."""
        if self.studies:
            return False
        usual = self.fingerprint is not None or self.chosen is not None
        return usual if self.canary is None else self.canary

    @property
    def filter(self) -> Filter:
        """What the studies have in common; of named ones, nothing."""
        return (self.chosen or Filter()) if self.fingerprint is None else Filter(fingerprint=self.fingerprint)

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what shown screenings, joined with their studies, must fulfil; named studies may be in any state."""
        if self.studies:
            return [Screening.study_id.in_(self.studies), Screening.shadow.is_(False)]
        found = self.filter.conditions()
        return [*found, Screening.study_id.in_(studies_of(self.batch))] if self.batch is not None else found

    def as_dict(self) -> dict[str, Any]:
        """Return it as it is kept with what was done; named studies are the members that are kept beside it."""
        return {"studies": len(self.studies), "fingerprint": self.fingerprint, "batch": self.batch,
                "everything": self.everything, "canary": self.canary,
                "filter": self.chosen.as_dict() if self.chosen is not None else None}  # fmt: skip

    @classmethod
    def of(cls, kept: Mapping[str, Any], studies: tuple[str, ...] = ()) -> "Selection":
        """Read it back; `studies` are those that were named."""
        chosen = Filter.of(kept["filter"]) if kept["filter"] is not None else None
        own = cls(everything=True, canary=kept["canary"])
        return replace(own, studies=studies, fingerprint=kept["fingerprint"], batch=kept["batch"],
                       everything=kept["everything"], chosen=chosen)  # fmt: skip


def words(session: Session, kept: Mapping[str, Any]) -> str:
    """Say what a selection means, as a phrase."""
    if kept["studies"]:
        return "1 chosen study" if kept["studies"] == 1 else f"{kept['studies']} chosen studies"
    if kept["fingerprint"] is not None:
        return f"all of group {kept['fingerprint']}"
    if kept["batch"] is not None:
        name = session.scalar(select(Batch.name).where(Batch.id == kept["batch"]))
        return f"everything of batch {name} that was given up"
    if kept["filter"]:
        fields = ", ".join(f"{name} {value}" for name, value in kept["filter"].items() if name != "batch")
        batch = session.scalar(select(Batch.name).where(Batch.id == kept["filter"].get("batch")))
        return "everything given up with " + ", ".join(part for part in (fields, batch and f"batch {batch}") if part)
    return "everything that was given up"
