"""The sweep: the steps of `worker/steps.py`, again and again, in one process or in any number of them at once."""

import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import structlog

from cspine import failure
from cspine.blobs import BlobStore
from cspine.database import Database, now
from cspine.embedded.pulse import Pulse
from cspine.errors import Contended, ServiceFault
from cspine.queue import Bell
from cspine.reasons import Reason
from cspine.records import heartbeats
from cspine.records.screenings import Ring
from cspine.settings import Settings
from cspine.states import Stage
from worker.parent import HOST
from worker.steps import STEPS, Step

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

    Anything that kept workers from renewing their leases is an outage: a database that was away, or a clock that was
    set. When it ended stands in the heartbeat, so that every sweep knows, one that begins now included.
    """

    settings: Settings
    database: Database
    bell: Bell
    steps: Sequence[Step] = STEPS
    counts: Counter[str] = field(default_factory=Counter)  # of the pass that runs
    _errors: dict[str, str] = field(default_factory=dict, init=False)  # by step: what kept it from being done
    _ran: dict[str, float] = field(default_factory=dict, init=False)  # by step, on the steady clock
    outage: datetime | None = field(default=None, init=False)  # when the last one ended, by the database's clock
    _away: bool = field(default=False, init=False)
    _last: tuple[datetime, float] | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """The name of this process among the heartbeats."""
        return f"{HOST[-80:]}:{KIND}:{os.getpid()}"

    @cached_property
    def _pulse(self) -> Pulse:
        return Pulse(self.settings)

    @cached_property
    def blobs(self) -> BlobStore:
        """The blob store, opened by the first step that asks for it."""
        return BlobStore(self.settings.blobs)

    def once(self) -> Swept:
        """Do one pass. Raises `ServiceFault` where the database is away, or where it was too busy to be asked the time.

        Without a broker it is done all the same.
        """
        self.counts.clear()
        self._pulse.beat()  # a database that is away is no reason to be started anew
        try:
            self._look_at_the_clock()
            for step in self.steps:
                if self._is_due(step):
                    self._do(step)
            with self.database.write() as session:
                heartbeats.beat(session, self.name, KIND, self._detail)
        except ServiceFault as fault:
            self._away |= not isinstance(fault, Contended)
            raise
        swept = Swept(self.counts["expired"], self.counts["due"], self.counts["rung"])
        if self.counts.total():
            log.info("swept", **{name.replace(" ", "_"): count for name, count in self.counts.items() if count})
        return swept

    def end(self) -> None:
        """Say that this process has ended in order."""
        self._pulse.end()
        with self.database.write() as session:
            heartbeats.gone(session, self.name)

    def _is_due(self, step: Step) -> bool:
        return time.monotonic() - self._ran.get(step.name, float("-inf")) >= step.every_seconds

    def _do(self, step: Step) -> None:
        """Do a step and ring for what it found; its error keeps no other step from running, a database away does."""
        self._pulse.beat()
        self._ran[step.name] = time.monotonic()
        try:
            self._ring(step.run(self))
        except ServiceFault as fault:
            if fault.reason is Reason.DATABASE_UNAVAILABLE:
                raise
            log.warning("a step could not be done", step=step.name, reason=fault.reason.value)
            self._errors[step.name] = fault.reason.value
        except Exception as error:  # noqa: BLE001  # one broken step shall not stop leases, retries and bells
            where = failure.of_error(error, Stage.PREPARE).place
            log.error("a step is broken", step=step.name, kind=type(error).__name__, place=where)
            self._errors[step.name] = f"{type(error).__name__} at {where}"
        else:
            self._errors.pop(step.name, None)

    def _ring(self, rings: Sequence[Ring]) -> None:
        queues: dict[tuple[Stage, str], list[int]] = {}
        for ring in rings:
            queues.setdefault((ring.stage, ring.lane), []).append(ring.screening_id)
        for (stage, lane), ids in queues.items():
            self.bell.ring(stage, lane, ids)

    @property
    def _detail(self) -> dict[str, Any] | None:
        detail: dict[str, Any] = {heartbeats.STEPS: dict(self._errors)} if self._errors else {}
        if self.outage is not None:
            detail[heartbeats.OUTAGE] = self.outage.isoformat()
        return detail or None

    def _look_at_the_clock(self) -> None:
        """Ask the database for the time, and compare its clock with one that nobody sets."""
        with self.database.read() as session:
            moment, steady = now(session), time.monotonic()
            seen = heartbeats.last_outage(session)
        if self._last is not None:
            drift = (moment - self._last[0]).total_seconds() - (steady - self._last[1])
            if abs(drift) > self.settings.lease_seconds / 3:
                log.warning("a clock was set", seconds=round(drift))
                self._away = True
        if self._away:
            self.outage, self._away = moment, False
        elif seen is not None and (self.outage is None or seen > self.outage):
            self.outage = seen
        self._last = moment, steady
