"""The lease of a running attempt: a thread renews it, and says when it was lost."""

import threading
from types import TracebackType

import structlog

from cspine.database import Database
from cspine.errors import ServiceFault
from cspine.records import claims
from cspine.records.claims import Held, LeaseLost
from cspine.settings import Settings

log = structlog.get_logger(__name__)


class Lease:
    """Renews a claim's lease while the block runs."""

    def __init__(self, settings: Settings, database: Database, held: Held) -> None:
        """Keep what is held; the thread starts with the block."""
        self._settings, self._database, self._held = settings, database, held
        self._done, self._lost = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def __enter__(self) -> "Lease":
        """Start renewing."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop renewing; a renewal in hand may end by itself."""
        self._done.set()

    def insist(self) -> None:
        """Raise `LeaseLost` where somebody else has freed the claim: what is left of the work would be for nothing."""
        if self._lost.is_set():
            raise LeaseLost("the claim has ended")

    def _renew(self) -> None:
        while not self._done.wait(self._settings.lease_renew_seconds):
            try:
                with self._database.write() as session:
                    if not claims.renew(session, self._held.claim_id, self._settings):
                        self._lost.set()
                        return
            except ServiceFault as fault:
                log.warning("lease not renewed", reason=fault.reason.value)
