"""The lease of a running attempt: a thread renews it, says when it was lost, and pays what the attempt owes.

An attempt that ends while the database is away can write neither its result nor its failure. Its claim is a debt, which
the thread hands back as soon as the database answers: an outage counts as nobody's attempt.
"""

import threading
import time
from contextlib import suppress
from types import TracebackType

import structlog

from cspine.database import Database
from cspine.errors import ServiceFault
from cspine.queue import Bell
from cspine.records import claims, freeing
from cspine.records.claims import Held, LeaseLost
from cspine.settings import Settings

MOST_PAUSE = 5.0

log = structlog.get_logger(__name__)


class Lease:
    """Renews a claim's lease while the block runs."""

    def __init__(self, settings: Settings, database: Database, held: Held) -> None:
        """Keep what is held; the thread starts with the block."""
        self._settings, self._database, self._held = settings, database, held
        self._done, self._lost, self._owes = threading.Event(), threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def __enter__(self) -> "Lease":
        """Start renewing."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop renewing; a renewal in hand may end by itself. After a fault of a service the claim is a debt."""
        self._owes = isinstance(error, ServiceFault)
        self._done.set()

    def insist(self) -> None:
        """Raise `LeaseLost` where somebody else has freed the claim: what is left of the work would be for nothing."""
        if self._lost.is_set():
            raise LeaseLost("the claim has ended")

    def _run(self) -> None:
        self._renew()
        pause = min(self._settings.lease_renew_seconds, MOST_PAUSE)
        while self._owes and not self._hand_back():
            time.sleep(pause)

    def _hand_back(self) -> bool:
        try:
            with self._database.write() as session:
                rings = freeing.hand_back(session, self._held.claim_id)
        except ServiceFault:
            return False
        log.warning("handed back after an outage", stage=self._held.stage.value, studies=len(self._held.members))
        with suppress(ServiceFault):  # without a broker the sweep rings
            for ring in rings[:1]:  # one bell is enough: it is passed on as long as there is work
                Bell(self._settings).ring(ring.stage, ring.lane, [ring.screening_id])
        return True

    def _renew(self) -> None:
        while not self._done.wait(self._settings.lease_renew_seconds):
            try:
                with self._database.write() as session:
                    if not claims.renew(session, self._held.claim_id, self._settings):
                        self._lost.set()
                        return
            except ServiceFault as fault:
                log.warning("lease not renewed", reason=fault.reason.value)
