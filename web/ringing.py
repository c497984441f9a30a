"""Ringing for work that a page has just committed."""

from collections.abc import Iterable

import structlog

from cspine.errors import ServiceFault
from cspine.records.screenings import Ring
from web.services import services

log = structlog.get_logger(__name__)


def ring(rings: Iterable[Ring]) -> bool:
    """Ring once for each; false where the broker is down, and the sweep rings later."""
    bell = services().bell
    try:
        for one in rings:
            bell.ring(one.stage, one.lane, [one.screening_id])
    except ServiceFault as fault:
        log.warning("broker down, the sweep will ring later", reason=fault.reason.value)
        return False
    return True
