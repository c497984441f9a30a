"""Retrying and discarding in bulk: a preview that freezes the members, one confirmation, and sending by and by.

Each step is a transaction of its own, so that a hundred thousand members lock nobody out for long, and whatever
process begins it, the sweep ends it.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.errors import Retriable, ServiceFault, Usage
from cspine.queue import MOST_BELLS
from cspine.reasons import Reason
from cspine.records import bulk, bulk_moves, freezing
from cspine.records.audit import written
from cspine.records.bulk import BulkView
from cspine.records.screenings import Ring
from cspine.records.selections import Selection
from cspine.settings import Settings

LOOK_SECONDS = 2.0  # that a person waits for files to be looked up in the store
FIRST = 10  # members whose files are looked up before those of the others
BITE = 1000  # members whose files are in hand at once
MOST_FILES = 10_000  # of a bite; what is beyond is not looked up, and the preview says so
MOST_PLACES = 100_000  # members whose turn may come at all
STEP_SECONDS = 5.0  # of one pass of the sweep, whose other steps wait meanwhile
STALE = timedelta(hours=24)  # a preview that nobody has confirmed is removed

log = structlog.get_logger(__name__)
Send = Callable[[Sequence[Ring]], object]


@dataclass(frozen=True)
class Confirmed:
    """What became of a confirmation."""

    first: bool  # false: somebody confirmed it before, and nothing was done
    view: BulkView


def preview(database: Database, blobs: BlobStore, settings: Settings, action: str, selection: Selection, actor: str,
            reason: str | None = None) -> str:  # fmt: skip
    """Freeze a selection, look up its files in the blob store, and return the id of the preview.

    Raises `Usage` where the reason of a discard is none that can be kept and shown, and where a group or a batch is
    named of which nothing was given up; then nothing is kept.
    """
    if action == bulk_moves.DISCARD:
        reason = written(reason)
    with database.write() as session:
        bulk_id = freezing.freeze(session, action, selection, actor, reason)
        named = "group" if selection.fingerprint is not None else "batch" if selection.batch is not None else None
        if named is not None and not bulk.selected(session, bulk_id):
            raise Usage(f"nothing of this {named} has failed or is quarantined")
    if action == bulk_moves.RETRY:
        _look(database, blobs, bulk_id)
    return bulk_id


def confirm(database: Database, send: Send, settings: Settings, bulk_id: str, actor: str) -> Confirmed:
    """Confirm a preview and send the first of it; raises `Usage` where there is none of this id."""
    with database.write() as session:
        first = bulk_moves.confirm(session, bulk_id, actor)
    if first:
        with database.write() as session:
            rings = bulk_moves.advance(session, bulk_id, settings).rings
        send(few(rings))
    with database.read() as session:
        seen = bulk.view(session, bulk_id, settings)
    if seen is None:
        raise Usage("it was removed")
    return Confirmed(first, seen)


def finish(database: Database, send: Send, settings: Settings, bulk_id: str) -> None:
    """Send all that may be sent now, chunk by chunk; what waits for a canary goes on waiting."""
    more = True
    while more:
        with database.write() as session:
            moved = bulk_moves.advance(session, bulk_id, settings)
        send(few(moved.rings))
        more = moved.more


def forget(database: Database, bulk_id: str) -> None:
    """Remove a preview that was only looked at."""
    with database.write() as session:
        bulk_moves.forget(session, bulk_id)


def step(database: Database, settings: Settings) -> list[Ring]:
    """Move on what is under way, for some seconds at most; the sweep's part. Returns what is to be rung for."""
    ends = time.monotonic() + STEP_SECONDS
    with database.read() as session:
        under_way, stale = bulk_moves.moving(session), bulk_moves.stale(session, STALE)
    for bulk_id in stale:
        forget(database, bulk_id)
    rings: list[Ring] = []
    for bulk_id in under_way:
        more = True
        while more and time.monotonic() < ends:
            with database.write() as session:
                moved = bulk_moves.advance(session, bulk_id, settings)
            rings += moved.rings
            more = moved.more
    return few(rings)


def few(rings: Sequence[Ring]) -> list[Ring]:
    """Return as many bells of each lane as its queue may hold: they wake workers, and do not count the work."""
    found: list[Ring] = []
    for place in dict.fromkeys((ring.stage, ring.lane) for ring in rings):
        found += [ring for ring in rings if (ring.stage, ring.lane) == place][:MOST_BELLS]
    return found


def _look(database: Database, blobs: BlobStore, bulk_id: str) -> None:
    """Look up the members' files: all of them, or as many as there is time for, of the first and then at random.

    A folder answers for tens of thousands within the time, an object store for some dozens.
    """
    with database.read() as session:
        places, files = freezing.size(session, bulk_id)
    ends, looked, gone = time.monotonic() + LOOK_SECONDS, 0, set()
    for position, key in _files(database, bulk_id, places):
        if time.monotonic() > ends:
            break
        try:
            there = _exists(blobs, key)
        except Retriable as fault:  # the preview stands all the same, and says how many were looked up
            log.warning("the store does not answer, its files are not looked up", reason=fault.reason.value)
            break
        looked += 1
        if not there:
            gone.add(position)
    with database.write() as session:
        freezing.note_inputs(session, bulk_id, files, looked, sorted(gone))


def _files(database: Database, bulk_id: str, places: int) -> Iterator[tuple[int, str]]:
    """Give files to be looked up, each with its member's place; never more of them at once than one bite."""
    for bite in _bites(bulk_id, places):
        with database.read() as session:
            found = freezing.inputs(session, bulk_id, bite, MOST_FILES)
        yield from sorted((position, key) for position, key in found)


def _bites(bulk_id: str, places: int) -> Iterator[Sequence[int]]:
    """Give places, those that are looked at together: the first, then the others at random."""
    yield range(min(FIRST, places))
    others = range(FIRST, places)
    chosen = random.Random(bulk_id).sample(others, min(len(others), MOST_PLACES))  # noqa: S311  # a sample, no secret
    yield from (chosen[start : start + BITE] for start in range(0, len(chosen), BITE))


def _exists(blobs: BlobStore, key: str) -> bool:
    """Say whether a file is there; raises `ServiceFault` where that cannot be said, since the whole store is away."""
    if blobs.exists(key):
        return True
    if blobs.folder is not None and not blobs.folder.is_dir():
        raise ServiceFault("the store itself is not there", Reason.STORAGE_UNAVAILABLE)
    return False
