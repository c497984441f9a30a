"""What a child process works with: made in the child at its first task, never in the parent.

Connections do not survive a fork. The parent's stay with the parent; a child opens its own and never touches those.
"""

import itertools
import os
import time
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TypeVar

import structlog
from sqlalchemy.orm import Session

from cspine import failure
from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.decoding import limit_child
from cspine.errors import ServiceFault
from cspine.queue import EXPLAIN, Bell
from cspine.reasons import Reason
from cspine.records import endings, freeing
from cspine.records.claims import Held
from cspine.records.screenings import Ring
from cspine.settings import Settings
from cspine.states import Stage
from worker import writing
from worker.network import Network
from worker.parent import HOST, stages_of
from worker.reading import Reader

FIRST_PAUSE, MOST_PAUSE = 0.2, 5.0
EXPLAIN_NICE = 10  # maps on demand and replays give way to studies that wait
T = TypeVar("T")

log = structlog.get_logger(__name__)


class Runtime:
    """The connections of one child, and its network."""

    def __init__(self, settings: Settings, *, patience: float | None = None) -> None:
        """Prepare everything; the first use connects. A write outlasts a database that is away for `patience`."""
        self.settings = settings
        self.database, self.blobs, self.bell = Database.of(settings), BlobStore(settings.blobs), Bell(settings)
        self._patience = settings.outage_seconds if patience is None else patience
        self._doubtful = False
        self._reader: Reader | None = None
        self._turns = itertools.count(os.getpid())  # children begin at different ones: one that dies often is fair too

    def turn(self) -> int:
        """Return the number of the next claim, by which lanes take their turns."""
        return next(self._turns)

    @cached_property
    def network(self) -> Network:
        """The network of the active release."""
        return Network(self.settings, self.database, self.blobs, self.name(Stage.SCREEN))

    @property
    def reader(self) -> Reader:
        """Who reads blobs, and tells one that cannot be read from a store that is away."""
        if self._reader is None or self._reader.blobs is not self.blobs:
            self._reader = Reader(self.blobs)
        return self._reader

    def name(self, kind: str) -> str:
        """Return the name under which this process claims work: of a stage, or of what may wait (`explain`)."""
        return freeing.worker_name(HOST, kind, os.getppid(), os.getpid())

    def claim(self, kind: str, work: Callable[[Session], Held | None]) -> Held | None:
        """Claim in one transaction; after a fault of the database, whatever is open in our name is handed back first.

        A connection that breaks in the middle of a commit does not tell whether it was done: a claim that was would be
        held by us, who do not know it, until its lease runs out. And a debt of an earlier task is paid.
        """

        def anew(session: Session) -> Held | None:
            if self._doubtful:
                for claim in freeing.open_claims(session, self.name(kind)):
                    freeing.hand_back(session, claim.id)
            return work(session)

        held = self.write(anew)
        self._doubtful = False
        return held

    def write(self, work: Callable[[Session], T]) -> T:
        """Do something in one transaction, again where the database fails; it must bear being done twice."""
        end, pause = time.monotonic() + self._patience, FIRST_PAUSE
        while True:
            try:
                with self.database.write() as session:
                    return work(session)
            except ServiceFault:
                self._doubtful = True
                if time.monotonic() > end:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, MOST_PAUSE)

    def ring(self, rings: Iterable[Ring]) -> None:
        """Ring; where the broker is down, the sweep rings later."""
        try:
            for ring in rings:
                self.bell.ring(ring.stage, ring.lane, [ring.screening_id])
        except ServiceFault as fault:
            log.warning("broker down, the sweep will ring later", reason=fault.reason.value)

    def fail(self, held: Held, error: BaseException) -> None:
        """Record that an error ended the whole attempt."""
        release = str(held.release_id) if held.release_id else None
        described = failure.of_error(error, held.stage, release)
        failures = {member.screening_id: described for member in held.members}
        log.warning("attempt failed", stage=held.stage.value, reason=described.reason.value, place=described.place,
                    kind=type(error).__name__, studies=len(failures))  # fmt: skip
        writing.settle(self, held, lambda session, part: endings.settle(session, part, self.settings, failures))

    def crash(self, held: Held, reason: Reason) -> None:
        """Record that an attempt did not survive, although its process did."""
        log.warning("attempt did not survive", stage=held.stage.value, reason=reason.value, studies=len(held.members))
        self.ring(self.write(lambda session: freeing.crash(session, held.claim_id, self.settings, reason)))


_settings: Settings | None = None
_runtime: Runtime | None = None


def begin(settings: Settings, queues: list[str]) -> None:
    """Begin in a child that was just forked; nothing slow may happen here."""
    global _settings, _runtime
    _settings, _runtime = settings, None
    if stages_of(queues) == [Stage.PREPARE]:
        limit_child(settings)
    if EXPLAIN in queues:
        os.nice(EXPLAIN_NICE)


def current() -> Runtime:
    """Return this process's runtime, made now at the first call."""
    global _runtime
    if _runtime is None:
        _runtime = Runtime(_settings or Settings())
    return _runtime
