"""Filters: which of the studies that were given up a person looks at, retries or discards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from cspine.errors import Usage
from cspine.states import Disposition, ErrorKind, Stage, State
from cspine.tables import Batch, ReceivedFile, Release, Screening, Study

GIVEN_UP = (State.FAILED, State.QUARANTINED)
SINCE = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
NO_RELEASE = "none"  # it failed before a release was chosen for it
MOST_CHOICES = 200
WORDS: dict[str, tuple[str, ...]] = {
    "kind": tuple(kind.value for kind in ErrorKind),
    "stage": tuple(stage.value for stage in Stage),
    "state": tuple(state.value for state in GIVEN_UP),
}


@dataclass(frozen=True)
class Filter:
    """What studies must have in common; a field that is null asks for nothing."""

    fingerprint: str | None = None
    reason: str | None = None
    kind: str | None = None
    stage: str | None = None
    release: str | None = None  # the identity of a release or its beginning, or `none`
    station: str | None = None
    batch: str | None = None  # its id
    since: datetime | None = None  # given up at this time or later
    state: str | None = None  # failed, quarantined

    @classmethod
    def of(cls, values: Mapping[str, str], zone: tzinfo = UTC) -> "Filter":
        """Read a filter from a form or an address; empty values and other names are left out.

        `since` is a time of ISO 8601, of the zone where it names none, or 1h, 24h, 7d. Raises `Usage` for what is no
        value of its field.
        """
        given = {field.name: values[field.name] for field in fields(cls) if values.get(field.name)}
        for name, words in WORDS.items():
            if name in given and given[name] not in words:
                raise Usage(f"{name} is one of {', '.join(words)}")
        since = _since(given.pop("since"), zone) if "since" in given else None
        return cls(**given, since=since)

    def as_dict(self) -> dict[str, str]:
        """Return what is asked for, as `of` reads it."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value.isoformat() if isinstance(value, datetime) else value
                for name, value in values.items() if value is not None}  # fmt: skip

    @property
    def empty(self) -> bool:
        """Say whether everything that was given up passes."""
        return not self.as_dict()

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what the shown screenings and their studies, joined by the caller, must fulfil."""
        found: list[ColumnElement[bool]] = [Screening.state.in_(GIVEN_UP), Screening.shadow.is_(False)]
        columns = {"fingerprint": Screening.fingerprint, "reason": Screening.reason, "kind": Screening.error_kind,
                   "stage": Screening.stage, "station": Study.station, "state": Screening.state}  # fmt: skip
        for name, column in columns.items():
            if (value := getattr(self, name)) is not None:
                found.append(column == value)
        if self.release == NO_RELEASE:
            found.append(Screening.release_id.is_(None))
        elif self.release is not None:
            named = select(Release.id).where(Release.identity.startswith(self.release, autoescape=True))
            found.append(Screening.release_id.in_(named))
        if self.batch is not None:
            found.append(Screening.study_id.in_(studies_of(self.batch)))
        if self.since is not None:
            found.append(Screening.changed_at >= self.since)
        return found


@dataclass(frozen=True)
class Choices:
    """What occurs among the studies that were given up, for the fields of a form."""

    reasons: Sequence[str]
    kinds: Sequence[str]
    stages: Sequence[str]
    stations: Sequence[str]
    releases: Sequence[tuple[str, str]]  # identity, name and version
    batches: Sequence[tuple[str, str]]  # id, name; the newest first


def choices(session: Session) -> Choices:
    """Return the choices, at most 200 of each."""
    given_up = Filter().conditions()

    def distinct(column: InstrumentedAttribute[Any]) -> list[str]:
        query = select(column).select_from(Screening).join(Study, Study.id == Screening.study_id)
        query = query.where(*given_up, column.is_not(None))
        return list(session.scalars(query.distinct().order_by(column).limit(MOST_CHOICES)))

    releases = select(Release).where(Release.id.in_(select(Screening.release_id).where(*given_up))).order_by(Release.id)
    batches = (
        select(Batch.id, Batch.name)
        .where(Batch.id.in_(select(Study.batch_id).join(Screening, Screening.study_id == Study.id).where(*given_up)))
        .order_by(Batch.created_at.desc())
        .limit(MOST_CHOICES)
    )
    return Choices(
        reasons=distinct(Screening.reason),
        kinds=distinct(Screening.error_kind),
        stages=distinct(Screening.stage),
        stations=distinct(Study.station),
        releases=[
            (row.identity, f"{row.name} {row.version}") for row in session.scalars(releases.order_by(Release.id))
        ],
        batches=[(row.id, row.name) for row in session.execute(batches)],
    )


def studies_of(batch_id: str) -> Select[str | None]:
    """Select the studies of a batch; one beside which it only laid a report is not its own."""
    beside = (ReceivedFile.disposition == Disposition.NOT_AN_IMAGE) & ReceivedFile.blob_key.is_(None)
    return select(ReceivedFile.study_id).where(ReceivedFile.batch_id == batch_id, ~beside)


def _since(text: str, zone: tzinfo) -> datetime:
    if text in SINCE:
        return datetime.now(UTC) - SINCE[text]
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:  # the second: it lies before the year 1 or after 9999 in UTC
        raise Usage("since is a time such as 2026-03-01T22:00, or 1h, 24h, 7d") from error
