"""What `/readyz` looks at; no patient data, and no more of a fault than the name of what is at fault."""

import time
from threading import Lock
from typing import Any

from sqlalchemy.orm import Session

from cspine import release_store
from cspine.errors import CspineError, ServiceFault
from cspine.reasons import Reason
from cspine.records import heartbeats, progress, releases
from cspine.tables import Release
from web.services import Services

Check = dict[str, Any]

KINDS = ("sweep", "prepare", "screen")
VERIFIED_SECONDS = 60.0  # a sound release is not read again sooner

_verified: dict[str, float] = {}
_lock = Lock()


def examine(own: Services) -> dict[str, Check]:
    """Return a check of each part, by name."""
    checks = {"broker": _check(own.bell.alive(), Reason.BROKER_UNAVAILABLE)}
    try:
        with own.database.read() as session:
            checks |= _workers(session)
            moves = not progress.stalled(session, own.settings)
            checks["work"] = _check(moves, words="work is due, and no attempt ended lately")
            active = releases.active(session)
    except ServiceFault as fault:
        return checks | {"database": _check(False, fault.reason)}
    return checks | {"database": _check(True), "release": _release(own, active)}


def _workers(session: Session) -> dict[str, Check]:
    checks = {kind: _check(heartbeats.alive(session, kind), words="no process is alive") for kind in KINDS}
    fault = heartbeats.fault(session)
    if fault is not None:
        checks["worker"] = _check(False, fault.reason, fault.detail)
    if broken := heartbeats.broken_steps(session):
        words = ", ".join(f"{name} ({why})" for name, why in sorted(broken.items()))
        checks["sweep_steps"] = _check(False, words=f"not done in the last pass: {words}")
    return checks


def _release(own: Services, active: Release | None) -> Check:
    """Verify the sums of the active release's files, in a copy of our own."""
    if active is None:
        return _check(False, Reason.NO_RELEASE)
    with _lock:
        if time.monotonic() - _verified.get(active.identity, -VERIFIED_SECONDS) < VERIFIED_SECONDS:
            return _check(True)
        try:
            release_store.fetch(own.blobs, active.identity, own.settings.var / "cache" / "web")
        except CspineError as error:
            return _check(False, error.reason, error.detail)
        _verified[active.identity] = time.monotonic()
    return _check(True)


def _check(ready: bool, reason: Reason | None = None, words: str = "") -> Check:
    if ready:
        return {"ready": True}
    found = {"ready": False, "reason": reason.value if reason else None, "detail": words}
    return {name: value for name, value in found.items() if value not in {None, ""}}
