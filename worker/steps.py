"""What the sweep does, as a table: a step for each kind of thing that nobody else would notice.

A step runs in transactions of its own, asks for nothing of the steps before it, and bears being run by two sweeps at
once. It returns what is to be rung for once it has committed. What it did it counts in `own.counts`. It may raise
`ServiceFault`; any other error of it is logged and shown in the sweep's heartbeat, and the steps after it run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from cspine import lanes, retrying
from cspine.database import now
from cspine.orphans import Watch
from cspine.queue import EXPLAIN
from cspine.records import balance, explanations, freeing, heartbeats, pauses, shadows, tallies
from cspine.records import sweep as records
from cspine.records.screenings import Ring
from cspine.states import SHADOW, Stage

if TYPE_CHECKING:
    from worker.sweep import Sweep

LEDGER_SECONDS = 1.5  # of one pass
TALLY_SECONDS = 2.0
WALK_SECONDS = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Step:
    """One step: its name in logs and heartbeat, how often it runs, and what it does."""

    name: str
    every_seconds: float  # 0: at each pass
    run: Callable[[Sweep], list[Ring]]


def leases(own: Sweep) -> list[Ring]:
    """Free the claims whose lease has run out, each in a transaction of its own."""
    with own.database.read() as session:
        outage = own.outage
        if outage is not None and now(session) < outage + timedelta(seconds=own.settings.lease_seconds):
            return []  # their holders have not had the time to renew them
        claim_ids = freeing.expired(session, own.settings)
    rings: list[Ring] = []
    for claim_id in claim_ids:
        with own.database.write() as session:
            rings += freeing.expire(session, claim_id, own.settings, outage)
    own.counts["expired"] += len(claim_ids)
    return rings


def retries(own: Sweep) -> list[Ring]:
    """Take what has waited long enough back to work."""
    with own.database.write() as session:
        due = records.due(session, own.settings)
    own.counts["due"] += len(due)
    return due


def lost_bells(own: Sweep) -> list[Ring]:
    """Ring for the oldest work of every open lane whose queue is empty; raises `ServiceFault` without a broker."""
    age = timedelta(seconds=own.settings.sweep_seconds)
    rings: list[Ring] = []
    with own.database.read() as session:
        open_ = lanes.open_lanes(now(session), own.settings, pauses.closed_lanes(session))
    for stage in Stage:
        for lane in open_:
            if own.bell.depth(stage, lane) == 0:
                with own.database.read() as session:
                    rings += records.unrung(session, stage, lane, age)
    own.counts["rung"] += len(rings)
    return rings


def maps(own: Sweep) -> list[Ring]:
    """Free maps whose worker is gone, and ring for those and for all that wait where their queue is empty."""
    with own.database.write() as session:
        freed = explanations.expire(session)
    own.bell.ask(freed)
    if freed or own.bell.asked():
        return []
    with own.database.read() as session:
        lost = explanations.unrung(session, timedelta(seconds=own.settings.sweep_seconds))
    own.bell.ask(lost)
    own.counts["rung"] += len(lost)
    return []


def bulks(own: Sweep) -> list[Ring]:
    """Move bulk retries and discards on: what a canary has set free, and what a page began and did not end."""
    return retrying.step(own.database, own.settings)


def replays(own: Sweep) -> list[Ring]:
    """Ring for shadows where nothing else is due and their queue is empty, once for each worker that takes them."""
    with own.database.read() as session:
        workers = len(heartbeats.fresh(session, EXPLAIN))
        due = shadows.due(session, own.settings, workers) if workers else []
    if not due or own.bell.depth(Stage.SCREEN, SHADOW):
        return []
    own.counts["rung"] += len(due)
    return due


def ledgers(own: Sweep) -> list[Ring]:
    """Check the ledgers whose turn it is, for a second or two at most, and record those that do not balance."""
    ends = time.monotonic() + LEDGER_SECONDS
    with own.database.read() as session:
        batch_ids = balance.due(session)
    counts = []
    for batch_id in batch_ids:
        with own.database.read() as session:
            counts.append(balance.count(session, batch_id))
        if time.monotonic() > ends:
            break
    if counts:
        with own.database.write() as session:
            for one in balance.note(session, counts):
                level = log.warning if one.balanced else log.error
                level("ledger", batch=one.batch_id, balanced=one.balanced, received=one.received, **one.buckets)
    return []


def tally(own: Sweep) -> list[Ring]:
    """Count what has settled since the last time, for the counters of /metrics."""
    ends = time.monotonic() + TALLY_SECONDS
    with own.database.read() as session:
        counted = tallies.load(session)
    more = True
    while more and time.monotonic() < ends:
        with own.database.read() as session:
            more = counted.advance(session)
    with own.database.write() as session:
        tallies.save(session, counted)
    return []


class OrphanBlobs:
    """Walks over the blob store, a little in each pass, and removes what no row has named for long."""

    def __init__(self) -> None:
        """Begin with the first pass."""
        self._watch: Watch | None = None

    def __call__(self, own: Sweep) -> list[Ring]:
        """Walk on; what was seen so far is remembered for this sweep alone."""
        if self._watch is None or self._watch.database is not own.database:
            self._watch = Watch(own.settings, own.database, own.blobs)
        own.counts["orphan blobs"] += self._watch.go_on(WALK_SECONDS)
        return []


STEPS = (
    Step("leases", 0, leases),
    Step("retries", 0, retries),
    Step("bulks", 0, bulks),
    Step("lost bells", 0, lost_bells),
    Step("maps", 0, maps),
    Step("replays", 0, replays),
    Step("ledgers", 60, ledgers),
    Step("tally", 60, tally),
    Step("orphan blobs", 0, OrphanBlobs()),
)
