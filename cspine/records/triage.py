"""The triage list: one page at a time, by key, in the order of design section 7.

The order is a chain of segments, each an index scan: overdue positives, the other overdue, positives, not analysed,
normals. A page starts in the segment of its cursor and goes on into the next ones until it is full.
"""

import base64
import binascii
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import merge
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from cspine.errors import Usage
from cspine.records import results
from cspine.settings import Settings
from cspine.tables import Batch, Release, Screening, Study
from cspine.triage import Bucket, files_in_words, overdue_since, place

YEARS = range(1970, 3000)  # of a cursor


@dataclass(frozen=True)
class Row:
    """One line of the list: a study, or the unreadable files of a batch."""

    bucket: Bucket
    reason: str
    received_at: datetime
    batch_id: str
    study: Study | None = None
    state: str | None = None  # of the study's screening
    release: Release | None = None
    unreadable_files: int = 0
    batch_name: str | None = None  # of a row of unreadable files

    def as_dict(self) -> dict[str, Any]:
        """Return the row as the command line prints it."""
        study = self.study
        return {
            "study": study.id if study else None,
            "bucket": self.bucket.value,
            "reason": self.reason,
            "label": study.label if study else None,
            "urgency": study.urgency if study else 0.0,
            "probabilities": study.probabilities if study else None,
            "flags": study.flags if study else [],
            "release": f"{self.release.name} {self.release.version}" if self.release else None,
            "release_identity": self.release.identity if self.release else None,
            "demo": bool(self.release and self.release.card.get("demo")),
            "state": self.state,
            "batch": self.batch_id,
            "unreadable_files": self.unreadable_files,
            "received_at": self.received_at.isoformat(),
            "read_at": study.read_at.isoformat() if study and study.read_at else None,
            "images": study.image_count if study else 0,
        }


@dataclass(frozen=True)
class Page:
    """A page of the list, the cursor of the next one, and how many rows each bucket has."""

    rows: Sequence[Row]
    next: str | None
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Segment:
    """A stretch of the list with one order of its own."""

    name: str
    bucket: Bucket
    where: ColumnElement[bool]
    oldest_first: bool  # else by urgency, highest first


def page(session: Session, settings: Settings, now: datetime, *, bucket: Bucket | None = None, unread: bool = True,
         after: str | None = None, limit: int = 50) -> Page:  # fmt: skip
    """Return one page of the unread list, or of everything; raises `Usage` for a cursor that is not ours.

    The cursor keeps the time of the first page, so that a study does not move between the pages of one reading.
    """
    cursor = _Cursor.parse(after) if after else _Cursor(now)
    chain = [one for one in _segments(settings, cursor.now, unread=unread) if bucket in (None, one.bucket)]
    names = [one.name for one in chain]
    start = names.index(cursor.segment) if cursor.segment in names else 0
    found: list[tuple[Segment, Study | Batch]] = []
    for segment in chain[start:]:
        key = cursor.key if segment.name == cursor.segment else None
        found += [(segment, one) for one in _segment(session, segment, key, limit + 1 - len(found), unread=unread)]
        if len(found) > limit:
            break
    shown, more = found[:limit], len(found) > limit
    following = _Cursor(cursor.now, shown[-1][0].name, _key(shown[-1][1])).text() if more else None
    rows = _rows(session, settings, now, [one for _, one in shown])
    return Page(rows, following, counts(session, settings, now, unread=unread))


def counts(session: Session, settings: Settings, now: datetime, *, unread: bool = True) -> dict[str, int]:
    """Count the rows of every bucket."""
    total = dict.fromkeys(Bucket, 0)
    for segment in _segments(settings, now, unread=unread):
        total[segment.bucket] += session.scalar(select(func.count()).select_from(Study).where(segment.where)) or 0
    total[Bucket.NOT_ANALYSED] += (
        session.scalar(select(func.count()).select_from(Batch).where(_unreadable(unread))) or 0
    )
    return {bucket.value: count for bucket, count in total.items()}


def _segments(settings: Settings, now: datetime, *, unread: bool) -> list[Segment]:
    limit = overdue_since(now, settings.max_wait_hours)
    on_list = Study.read_at.is_(None)
    listed = [on_list] if unread else []
    rest: list[ColumnElement[bool]] = [*listed]
    chain = []
    if limit is not None:
        late, fresh = and_(on_list, Study.received_at <= limit), Study.received_at > limit
        positive = Study.bucket == Bucket.POSITIVE
        chain = [
            Segment("overdue_positive", Bucket.OVERDUE, and_(late, positive), oldest_first=False),
            Segment("overdue", Bucket.OVERDUE, and_(late, ~positive), oldest_first=False),
        ]
        rest.append(fresh if unread else or_(fresh, ~on_list))
    for bucket in (Bucket.POSITIVE, Bucket.NOT_ANALYSED, Bucket.NORMAL):
        where = and_(*rest, Study.bucket == bucket)
        chain.append(Segment(bucket, bucket, where, oldest_first=bucket is Bucket.NOT_ANALYSED))
    return chain


def _segment(session: Session, segment: Segment, key: "_Key | None", limit: int, *,
             unread: bool) -> list[Study | Batch]:  # fmt: skip
    query = select(Study).where(segment.where).limit(limit)
    if segment.oldest_first:
        query = query.order_by(Study.received_at, Study.id)
    else:
        query = query.order_by(Study.urgency.desc(), Study.received_at, Study.id)
    if key is not None:
        later = or_(Study.received_at > key.received_at,
                    and_(Study.received_at == key.received_at, Study.id > key.id))  # fmt: skip
        less = or_(Study.urgency < key.urgency, and_(Study.urgency == key.urgency, later))
        query = query.where(later if segment.oldest_first else less)
    studies: list[Study | Batch] = list(session.scalars(query))
    if segment.bucket is not Bucket.NOT_ANALYSED:
        return studies
    loose = select(Batch).where(_unreadable(unread)).order_by(Batch.unreadable_since, Batch.id).limit(limit)
    if key is not None:
        loose = loose.where(or_(Batch.unreadable_since > key.received_at,
                                and_(Batch.unreadable_since == key.received_at, Batch.id > key.id)))  # fmt: skip
    both = merge(studies, session.scalars(loose), key=_age)
    return list(islice(both, limit))


def _unreadable(unread: bool) -> ColumnElement[bool]:
    some = Batch.unreadable_files > 0
    return and_(some, Batch.unreadable_read_at.is_(None)) if unread else some


def _rows(session: Session, settings: Settings, now: datetime, found: Sequence[Study | Batch]) -> list[Row]:
    ids = [one.id for one in found if isinstance(one, Study)]
    query = (
        select(Screening, Release)
        .outerjoin(Release, Release.id == Screening.release_id)
        .where(Screening.study_id.in_(ids), Screening.shadow.is_(False))
    )
    work = {screening.study_id: (screening.state, release) for screening, release in session.execute(query)}
    in_work = [study_id for study_id, (_, release) in work.items() if release is None]
    shown = results.releases_shown(session, in_work) if in_work else {}
    zone = ZoneInfo(settings.site_timezone)
    rows = []
    for one in found:
        if isinstance(one, Batch):
            since = one.unreadable_since or one.created_at
            reason = f"{files_in_words(one.unreadable_files)} of batch {one.name} could not be read"
            rows.append(Row(Bucket.NOT_ANALYSED, reason, since, one.id, unreadable_files=one.unreadable_files,
                            batch_name=one.name))  # fmt: skip
            continue
        bucket, reason = place(one.bucket, one.reason, one.received_at, now, settings.max_wait_hours, zone, one.read_at)
        state, release = work.get(one.id, (None, None))
        rows.append(Row(bucket, reason, one.received_at, one.batch_id, one, state, release or shown.get(one.id)))
    return rows


@dataclass(frozen=True)
class _Key:
    urgency: float
    received_at: datetime
    id: str


def _key(one: Study | Batch) -> _Key:
    if isinstance(one, Batch):
        return _Key(0.0, one.unreadable_since or one.created_at, one.id)
    return _Key(one.urgency, one.received_at, one.id)


def _age(one: Study | Batch) -> tuple[datetime, str]:
    key = _key(one)
    return key.received_at, key.id


@dataclass(frozen=True)
class _Cursor:
    now: datetime
    segment: str | None = None
    key: _Key | None = None

    def text(self) -> str:
        """Return the cursor as an opaque text; it holds no patient data."""
        key = self.key
        data = [self.now.timestamp(), self.segment]
        data += [key.urgency, key.received_at.isoformat(), key.id] if key else []
        return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> "_Cursor":
        """Read a cursor back."""
        try:
            data = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            stamp, segment, urgency, received_at, one = data
            key = _Key(float(urgency), datetime.fromisoformat(received_at), str(one))
            cursor = cls(datetime.fromtimestamp(float(stamp), UTC), str(segment), key)
        except (ValueError, TypeError, binascii.Error, OverflowError, OSError, RecursionError) as error:
            raise Usage("not a cursor of this list") from error
        zoned = key.received_at.utcoffset() is not None
        years = all(moment.year in YEARS for moment in (cursor.now, key.received_at))
        if not (zoned and years and math.isfinite(key.urgency) and key.id.isprintable()):
            raise Usage("not a cursor of this list")
        return cursor
