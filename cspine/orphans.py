"""Orphan blobs: what lies in the store and no row names, because a process died between writing one and the other.

Removing one that somebody needs would lose a study, so that each must pass four gates: no row named it when the walk
began; by the store's own clock it is older than the grace period, which is longer than any upload or attempt; the store
and the database agree about the time; and no row names it now, asked by its name. A process that walks again and again
also waits until it has seen it twice, the grace period apart on a clock that nobody sets, before it removes it.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import structlog
from numpy.typing import NDArray

from cspine.blobs import BlobStore, Found
from cspine.database import Database, now
from cspine.errors import Usage
from cspine.records import blob_names
from cspine.settings import Settings

CLOCKS = timedelta(minutes=10)  # by which store and database may disagree
NEVER = datetime.min.replace(tzinfo=UTC)
TOGETHER = 500
COUNT_SECONDS = 3600.0  # from the end of one walk to the begin of the next: /metrics tells what it counted
COUNTED = timedelta(days=1)  # after which a blob counts as an orphan where none is removed

log = structlog.get_logger(__name__)


@dataclass
class Walk:
    """What one walk over the store found."""

    blobs: int = 0
    size: int = 0  # bytes
    orphans: list[str] = field(default_factory=list)  # old enough, and named by no row
    orphan_bytes: int = 0
    moment: datetime = NEVER  # by the store's clock
    clocks_agree: bool = False


class Names:
    """The names that rows have, by 8 bytes each: two that look alike keep an orphan, and never lose a blob."""

    def __init__(self) -> None:
        """Begin with none."""
        self._parts: list[NDArray[np.uint64]] = []
        self._sorted: NDArray[np.uint64] = np.empty(0, np.uint64)

    def add(self, names: Iterable[str]) -> None:
        """Take more names."""
        self._parts.append(np.fromiter(map(_short, names), np.uint64))

    def close(self) -> None:
        """Be ready to be asked."""
        self._sorted = np.unique(np.concatenate(self._parts)) if self._parts else self._sorted
        self._parts.clear()

    def __contains__(self, name: str) -> bool:
        """Say whether a row has this name, or one that looks like it."""
        value = np.uint64(_short(name))
        place = int(np.searchsorted(self._sorted, value))
        return place < len(self._sorted) and bool(self._sorted[place] == value)


def old(found: Found, moment: datetime, grace: timedelta) -> bool:
    """Say whether a blob has lain there for longer than anybody takes from writing it to naming it in a row."""
    return moment - found.written > grace


def walk(database: Database, blobs: BlobStore, grace: timedelta, result: Walk) -> Iterator[None]:
    """Walk over the whole store and fill the result; stops to breathe now and then, and removes nothing.

    The names are read first: a blob that is old enough was named before that, or never will be.
    """
    names = Names()
    for column in range(len(blob_names.NAMED)):
        after, more = None, True
        while more:
            with database.read() as session:
                page, after = blob_names.pages(session, column, after)
            names.add(page)
            more = after is not None
            yield
    names.close()
    result.moment = blobs.clock()
    with database.read() as session:
        result.clocks_agree = abs(result.moment - now(session)) < CLOCKS
    for place in blobs.places():
        for found in blobs.walk(place):
            result.blobs, result.size = result.blobs + 1, result.size + found.size
            if found.key not in names and old(found, result.moment, grace):
                result.orphans.append(found.key)
                result.orphan_bytes += found.size
        yield


def remove(database: Database, blobs: BlobStore, keys: Iterable[str]) -> int:
    """Delete those of some orphans that no row names now either, and return how many these were."""
    gone, left = 0, sorted(keys)
    while left:
        some, left = left[:TOGETHER], left[TOGETHER:]
        with database.read() as session:
            named = blob_names.named(session, some)
        for key in some:
            if key not in named:
                blobs.delete(key)
                gone += 1
    return gone


def clean(database: Database, blobs: BlobStore, settings: Settings, *, dry_run: bool) -> tuple[Walk, int]:
    """Walk once over the whole store because a person asks, and remove what may be removed; return what was found.

    Raises `Usage` where orphans are never removed, or where the clocks do not agree.
    """
    if not settings.orphan_hours:
        raise Usage("CSPINE_ORPHAN_HOURS is 0: orphans are never removed")
    grace, found = timedelta(hours=settings.orphan_hours), Walk()
    for _ in walk(database, blobs, grace, found):
        pass
    if dry_run:
        return found, 0
    if not found.clocks_agree:
        raise Usage("the blob store and the database disagree about the time; nothing was removed")
    gone = remove(database, blobs, found.orphans)
    blobs.abandon(found.moment - grace)
    return found, gone


@dataclass
class Watch:
    """The walks of a process that goes on: one in an hour, a little at a time; it counts where none is removed, too."""

    settings: Settings
    database: Database
    blobs: BlobStore
    steady: Callable[[], float] = time.monotonic
    _walk: Walk = field(default_factory=Walk)
    _steps: Iterator[None] | None = None
    _next: float = float("-inf")
    _seen: dict[str, float] = field(default_factory=dict)  # orphans of the last walk, and when they were first seen

    def go_on(self, seconds: float) -> int:
        """Walk on for so many seconds, and at the end of a walk remove what may be removed; return how many."""
        if self._steps is None:
            if self.steady() < self._next:
                return 0
            self._walk = Walk()
            self._steps = walk(self.database, self.blobs, self._grace, self._walk)
        ends = self.steady() + seconds
        try:
            for _ in self._steps:
                if self.steady() >= ends:
                    return 0
        except BaseException:
            self._steps = None  # a walk that broke off says nothing
            raise
        self._steps, self._next = None, self.steady() + min(COUNT_SECONDS, self._grace.total_seconds() / 2)
        return self._end()

    @property
    def _grace(self) -> timedelta:
        return timedelta(hours=self.settings.orphan_hours) or COUNTED

    def _end(self) -> int:
        """Note what this walk counted, and remove what an earlier one saw too, long enough ago, if at all."""
        moment, found = self.steady(), self._walk
        self._seen = {key: self._seen.get(key, moment) for key in found.orphans}
        with self.database.write() as session:
            blob_names.note(session, blob_bytes=found.size, blobs=found.blobs, blobs_orphaned=len(found.orphans))
        if not self.settings.orphan_hours:
            return 0
        if not found.clocks_agree:
            log.warning("store and database disagree about the time: no orphan is removed")
            return 0
        ripe = [key for key, since in self._seen.items() if moment - since >= self._grace.total_seconds()]
        gone = remove(self.database, self.blobs, ripe)
        self.blobs.abandon(found.moment - self._grace)
        for key in ripe:
            del self._seen[key]
        return gone


def _short(name: str) -> int:
    """Return the first 8 of a key's 16 random bytes; a name that is none of the store's own has a hash in its place."""
    digits = name[:2] + name[3:17]
    try:
        return int(digits, 16)
    except ValueError:
        return hash(name) & (2**64 - 1)
