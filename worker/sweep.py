"""The sweep: expired leases, due retries, and bells that nobody rang or that were lost. Any number may run at once."""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from cspine.database import Database, now
from cspine.errors import ServiceFault
from cspine.queue import Bell
from cspine.reasons import Reason
from cspine.records import explanations, freeing, heartbeats
from cspine.records import sweep as records
from cspine.records.screenings import Ring
from cspine.settings import Settings
from cspine.states import Lane, Stage
from worker.parent import HOST

KIND = "sweep"

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Swept:
    """What one pass did."""

    expired: int = 0
    due: int = 0
    rung: int = 0


@dataclass
class Sweep:
    """The sweep of one process.

    Leases are let be for the length of one after anything that kept workers from renewing theirs: a database that was
    away, or a clock that was set.
    """

    settings: Settings
    database: Database
    bell: Bell
    _patient_until: float = field(default=0.0, init=False)
    _last: tuple[datetime, float] | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """The name of this process among the heartbeats."""
        return f"{HOST[-80:]}:{KIND}:{os.getpid()}"

    def once(self) -> Swept:
        """Do one pass. Raises `ServiceFault` where the database is away; without a broker it is done all the same."""
        try:
            self._look_at_the_clock()
            expired, rings = self._expire()
            with self.database.write() as session:
                due = records.due(session, self.settings)
            rung = self._ring([*rings, *due]) + self._ring_for_maps()
            with self.database.write() as session:
                heartbeats.beat(session, self.name, KIND)
        except ServiceFault:
            self._last = None
            self._be_patient()
            raise
        swept = Swept(expired, len(due), rung)
        if swept != Swept():
            log.info("swept", expired=swept.expired, due=swept.due, rung=swept.rung)
        return swept

    def end(self) -> None:
        """Say that this process has ended in order."""
        with self.database.write() as session:
            heartbeats.gone(session, self.name)

    def _look_at_the_clock(self) -> None:
        """Compare the database's clock with one that nobody sets."""
        with self.database.read() as session:
            moment, steady = now(session), time.monotonic()
        if self._last is not None:
            drift = (moment - self._last[0]).total_seconds() - (steady - self._last[1])
            if abs(drift) > self.settings.lease_seconds / 3:
                log.warning("a clock was set", seconds=round(drift))
                self._be_patient()
        self._last = moment, steady

    def _be_patient(self) -> None:
        self._patient_until = time.monotonic() + self.settings.lease_seconds

    def _expire(self) -> tuple[int, list[Ring]]:
        if time.monotonic() < self._patient_until:
            return 0, []
        with self.database.read() as session:
            claim_ids = freeing.expired(session, self.settings)
        rings: list[Ring] = []
        for claim_id in claim_ids:
            with self.database.write() as session:
                rings += freeing.expire(session, claim_id, self.settings)
        return len(claim_ids), rings

    def _ring_for_maps(self) -> int:
        """Free maps whose worker is gone, and ring for those and for all that wait where the queue is empty."""
        with self.database.write() as session:
            freed = explanations.expire(session)
        try:
            self.bell.ask(freed)
            if freed or self.bell.asked():
                return 0
            with self.database.read() as session:
                lost = explanations.unrung(session, timedelta(seconds=self.settings.sweep_seconds))
            self.bell.ask(lost)
        except ServiceFault as fault:
            if fault.reason is not Reason.BROKER_UNAVAILABLE:
                raise
            return 0  # said already, and done at the next pass
        return len(lost)

    def _ring(self, rings: Iterable[Ring]) -> int:
        """Ring for these, and for the oldest work of every lane whose queue is empty."""
        rung = 0
        try:
            for ring in rings:
                self.bell.ring(ring.stage, ring.lane, [ring.screening_id])
            age = timedelta(seconds=self.settings.sweep_seconds)
            for stage in Stage:
                for lane in Lane:
                    if self.bell.depth(stage, lane) == 0:
                        with self.database.read() as session:
                            lost = [ring.screening_id for ring in records.unrung(session, stage, lane, age)]
                        self.bell.ring(stage, lane, lost)
                        rung += len(lost)
        except ServiceFault as fault:
            if fault.reason is not Reason.BROKER_UNAVAILABLE:
                raise
            log.warning("broker down, it rings at the next pass", reason=fault.reason.value)
        return rung
