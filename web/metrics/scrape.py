"""A scrape: SQL, broker and disk are asked when somebody asks us, at most once in some seconds.

Nothing is counted in this process's memory but what SQL would say again, so that it does not matter which of several
web processes answers, nor how often they are started anew. A part that is away leaves its metrics out and says
`cspine_up` 0; the others are there.
"""

import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from sqlalchemy.orm import Session

from cspine import broker, lanes
from cspine.database import now
from cspine.errors import ServiceFault
from cspine.records import blob_names, measures, pauses, releases, tallies
from cspine.records.heartbeats import FRESH_SECONDS
from cspine.states import Lane, Stage
from web.metrics.families import counter, gauge, histogram
from web.services import Services

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
CACHE_SECONDS = 5.0
IDENTITY = 12  # characters that tell one release from another
SWEEP = "sweep"


@dataclass(eq=False)
class Scrape:
    """The figures of one application, kept for some seconds."""

    own: Services
    _lock: Lock = field(default_factory=Lock)
    _text: bytes = b""
    _until: float = 0.0

    def text(self) -> bytes:
        """Return the figures; who comes while they are collected waits for the same ones."""
        with self._lock:
            if time.monotonic() >= self._until:
                registry = CollectorRegistry(auto_describe=False)
                registry.register(self)
                self._text = generate_latest(registry)
                self._until = time.monotonic() + CACHE_SECONDS
            return self._text

    def collect(self) -> Iterator[Metric]:
        """Give every metric; the registry asks."""
        up, took = {}, {}
        for part, ask in (("database", self._database), ("broker", self._broker)):
            began = time.perf_counter()
            try:
                yield from list(ask())
            except ServiceFault:
                up[part] = 0.0
            else:
                up[part] = 1.0
            took[part] = time.perf_counter() - began
        yield from self._disks()
        yield gauge("up", (([part], value) for part, value in up.items()))
        yield gauge("scrape_seconds", (([part], value) for part, value in took.items()))

    def _database(self) -> Iterator[Metric]:
        with self.own.database.read() as session:
            yield from self._queue(session)
            yield from _answers(session)
            yield from _processes(session)
            yield from _store(session)
            yield from _past(session)

    def _queue(self, session: Session) -> Iterator[Metric]:
        found = {(one.stage, one.lane): one for one in measures.due(session)}
        places = [(stage, lane) for stage in Stage for lane in Lane]  # all of them: a series that is away is no zero
        yield gauge("queue_studies", ((key, found[key].studies if key in found else 0) for key in places))
        yield gauge("queue_oldest_age_seconds", ((key, found[key].oldest if key in found else 0) for key in places))
        closed = pauses.closed_lanes(session)
        taken = lanes.open_lanes(now(session), self.own.settings, closed)
        yield gauge("lane_open", (([lane], float(lane in taken)) for lane in Lane))
        yield gauge("lane_paused", (([lane], float(lane in closed)) for lane in Lane))
        yield gauge("screenings", ((one.labels, one.count) for one in measures.states(session)))

    def _broker(self) -> Iterable[Metric]:
        state = broker.look(self.own.settings)
        return (
            gauge("broker_messages", (([queue], count) for queue, count in state.messages.items())),
            gauge("broker_memory_bytes", [((), state.memory)]),
            gauge("broker_memory_limit_bytes", [((), state.limit)]),
        )

    def _disks(self) -> Iterator[Metric]:
        """Give the room on this host's disks; what lies elsewhere is measured there."""
        places = {"var": self.own.settings.var.absolute(), "blobs": self.own.blobs.folder}
        found = {name: shutil.disk_usage(_existing(path)) for name, path in places.items() if path}
        yield gauge("disk_free_bytes", (([name], usage.free) for name, usage in found.items()))
        yield gauge("disk_bytes", (([name], usage.total) for name, usage in found.items()))


def _answers(session: Session) -> Iterator[Metric]:
    yield gauge("unanswered_studies", ((one.labels, one.count) for one in measures.unanswered(session)))
    yield gauge("files_set_aside", ((one.labels, one.count) for one in measures.set_aside(session)))
    yield gauge("batches_unbalanced", [((), measures.unbalanced(session))])
    unread = measures.unread(session)
    yield gauge("unread_studies", (([one.bucket], one.studies) for one in unread))
    yield gauge("unread_oldest_age_seconds", (([one.bucket], one.oldest) for one in unread))


def _processes(session: Session) -> Iterator[Metric]:
    alive = measures.alive(session, FRESH_SECONDS)
    yield gauge("processes", (([one.kind], one.processes) for one in alive))
    yield gauge("heartbeat_age_seconds", (([one.kind], one.last) for one in alive))
    yield gauge("processes_with_fault", ((one.labels, one.count) for one in measures.faults(session, FRESH_SECONDS)))
    yield gauge("sweep_age_seconds", (((), one.last) for one in alive if one.kind == SWEEP))
    active = releases.active(session)
    name = [((active.name, active.version, active.identity[:IDENTITY]), 1.0)] if active else []
    yield gauge("release_info", name)


def _store(session: Session) -> Iterator[Metric]:
    seen = blob_names.seen(session)
    for name in ("blob_bytes", "blobs", "blobs_orphaned"):
        yield gauge(name, [((), seen[name])] if name in seen else [])


def _past(session: Session) -> Iterator[Metric]:
    """Give the counters; none of them while the sweep has much to count, so that none ever goes back."""
    tally = tallies.load(session).complete(session)
    if tally is None:
        return
    yield counter("files_received", [((), tally.files)])
    yield counter("files_received_bytes", [((), tally.kept_bytes)])
    yield counter("attempts", tally.attempts.ended.items())
    yield counter("attempts_ended", tally.attempts.outcomes.items())
    yield counter("retries", (([stage], tally.attempts.again[stage]) for stage in Stage))
    yield counter("leases_expired", (([stage], tally.attempts.expired[stage]) for stage in Stage))
    yield histogram("claim_duration_seconds", (([stage], one) for stage, one in tally.claims.seconds.items()))
    yield histogram("claim_studies", (([stage], one) for stage, one in tally.claims.studies.items()))


def _existing(path: Path) -> Path:
    """Return the folder, or the nearest above it that is there: one that is not made yet lies on that disk."""
    return next(place for place in (path, *path.parents) if place.exists())
