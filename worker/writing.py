"""Writing what a claim came to: all members in one transaction, and where that fails each by itself.

What one member brings, a row that the database refuses or a fault of ours that only its data meet, shall cost its
company nothing. A fault of a service is nobody's and passes through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog
from sqlalchemy.orm import Session

from cspine import failure
from cspine.database import named_faults
from cspine.errors import ServiceFault
from cspine.records import claims, endings
from cspine.records.claims import Held, LeaseLost
from cspine.states import Outcome

if TYPE_CHECKING:
    from worker.runtime import Runtime

T = TypeVar("T")
Write = Callable[[Session, Held], T]  # writes what was found for the members of a claim, or of a part of it; settles it

log = structlog.get_logger(__name__)


def ahead(own: Runtime, held: Held, work: Callable[[Session], T]) -> T | None:
    """Write in the middle of a run; null where it must be left to the end, since several fail together."""
    try:
        return own.write(work)
    except (ServiceFault, LeaseLost, MemoryError):
        raise
    except Exception as error:
        if len(held.members) == 1:
            raise
        log.warning("nothing is stored before the end", stage=held.stage.value, kind=type(error).__name__)
        return None


def settle(own: Runtime, held: Held, write: Write[T]) -> list[T]:
    """Write and settle all members together; where that fails each by itself, so that only the one at fault fails."""
    try:
        return [own.write(lambda session: write(session, held))]
    except (ServiceFault, LeaseLost, MemoryError):
        raise
    except Exception as error:
        if len(held.members) == 1:
            raise
        log.warning("each study is written by itself", stage=held.stage.value, kind=type(error).__name__)
    return own.write(lambda session: _each(session, own, held, write))


def _each(session: Session, own: Runtime, held: Held, write: Write[T]) -> list[T]:
    """Settle one member after the other, in an order of locks that is everybody's: all screenings come first.

    One of which not even the failure can be written stays in the claim, whose lease runs out.
    """
    claims.kept(session, held)
    written: list[T] = []
    whole = True
    for member in held.members:
        one = replace(held, members=(member,), part=True)
        outcome = _apart(session, partial(write, session, one))
        if not isinstance(outcome, Exception):
            written.append(outcome)
            continue
        described = failure.of_error(outcome, held.stage, str(held.release_id) if held.release_id else None)
        log.warning("study failed", stage=held.stage.value, reason=described.reason.value, place=described.place,
                    kind=type(outcome).__name__)  # fmt: skip
        failures = {member.screening_id: described}
        again = _apart(session, partial(endings.settle, session, one, own.settings, failures))
        if isinstance(again, Exception):
            log.error("not even its failure can be written", stage=held.stage.value, kind=type(again).__name__)
            whole = False
    if whole:
        endings.close(session, held.claim_id, Outcome.SUPERSEDED)
    return written


def _apart(session: Session, work: Callable[[], T]) -> T | Exception:
    """Do something that is undone alone where it fails; return what it gives or its error, raise a service's fault."""
    try:
        with named_faults(), session.begin_nested():
            return work()
    except (ServiceFault, LeaseLost, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  # recorded for the study that it belongs to
        return error
