"""The names of blobs in SQL: which rows name one, and what the sweep last saw of the store.

A blob is somebody's as long as any of these columns names it, whatever state the study is in: a failed, quarantined or
cancelled one can be retried, and then needs its files.
"""

from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from cspine.records import notes
from cspine.tables import Explanation, Image, ReceivedFile, Study

Column = InstrumentedAttribute[Any]
NAMED: tuple[tuple[Column, tuple[Column, ...]], ...] = (  # the key by which a table is paged, its columns that name
    (ReceivedFile.id, (ReceivedFile.blob_key,)),
    (Image.id, (Image.canonical_key, Image.preview_key, Image.thumbnail_key)),
    (Study.id, (Study.thumbnail_key,)),
    (Explanation.id, (Explanation.blob_key,)),
)
PAGE = 20_000  # rows
TOGETHER = 500  # names in one question
SEEN = "blob store"  # the note of the last walk


def pages(session: Session, column: int, after: Any = None) -> tuple[list[str], Any]:
    """Return a page of the names in one table, and where the next one begins; null at the end."""
    key, columns = NAMED[column]
    query = select(key, *columns).order_by(key).limit(PAGE)
    rows = session.execute(query if after is None else query.where(key > after)).all()
    return [name for row in rows for name in row[1:] if name is not None], rows[-1][0] if len(rows) == PAGE else None


def named(session: Session, keys: Collection[str]) -> set[str]:
    """Return those of some names that a row names; it reads each table once, so ask for few and seldom."""
    found: set[str] = set()
    for some in _chunks(sorted(keys)):
        for _, columns in NAMED:
            for column in columns:
                found.update(session.scalars(select(column).where(column.in_(some))))
    return found


def note(session: Session, **figures: int) -> None:
    """Keep the figures of a walk over the whole store, for a day."""
    notes.keep(session, SEEN, figures)


def seen(session: Session) -> dict[str, int]:
    """Return the figures of the last walk; none where there was none within a day."""
    return {name: int(value) for name, value in (notes.kept(session, SEEN) or {}).items()}


def _chunks(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), TOGETHER):
        yield keys[start : start + TOGETHER]
