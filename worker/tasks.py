"""The tasks: an id in, one claim, one pipeline, nothing out. The one place that catches broadly, to record it."""

import os
from collections.abc import Callable

import structlog

from cspine.errors import ServiceFault
from cspine.queue import EXPLAIN_TASK, TASKS
from cspine.reasons import Reason
from cspine.records.claims import Held, LeaseLost
from cspine.states import Stage
from worker import explain as explaining
from worker import prepare as preparation
from worker import runtime
from worker import screen as screening
from worker.app import app, settings
from worker.lease import Lease
from worker.runtime import Runtime

MEMORY_STATUS = 70
Claim = Callable[[Runtime, int], Held | None]
Pipeline = Callable[[Runtime, Held, Lease], None]

log = structlog.get_logger(__name__)


@app.task(name=TASKS[Stage.PREPARE], time_limit=settings.prepare_seconds)  # type: ignore[untyped-decorator]
def prepare(screening_id: int) -> None:
    """Decode the files of one study."""
    perform(preparation.claim, preparation.run, screening_id)


@app.task(name=TASKS[Stage.SCREEN], time_limit=settings.screen_seconds)  # type: ignore[untyped-decorator]
def screen(screening_id: int) -> None:
    """Analyse one study, and others that are ready, in one batch."""
    perform(screening.claim, screening.run, screening_id)


@app.task(name=EXPLAIN_TASK, time_limit=settings.explain_seconds)  # type: ignore[untyped-decorator]
def explain(explanation_id: int) -> None:
    """Make one saliency map that a person asked for."""
    try:
        explaining.run(runtime.current(), explanation_id)
    except ServiceFault as fault:
        log.error("nothing could be recorded", reason=fault.reason.value)
    except MemoryError:
        os._exit(MEMORY_STATUS)  # the parent frees the map


def perform(claim: Claim, pipeline: Pipeline, screening_id: int) -> None:
    """Claim, run, and record whatever ends the run; a fault of the database is left to lease and sweep."""
    own = runtime.current()
    try:
        held = claim(own, screening_id)
        if held is not None:
            attempt(own, held, pipeline)
    except ServiceFault as fault:
        log.error("nothing could be recorded", reason=fault.reason.value)
    except MemoryError:
        os._exit(MEMORY_STATUS)  # what is left of this process would fail the next study too


def attempt(own: Runtime, held: Held, pipeline: Pipeline) -> None:
    """Run a pipeline on what is held, and renew the lease meanwhile."""
    try:
        with Lease(own.settings, own.database, held) as lease:
            pipeline(own, held, lease)
    except LeaseLost:
        log.warning("superseded: nothing was written", stage=held.stage.value)
    except MemoryError:
        own.crash(held, Reason.OUT_OF_MEMORY)
        raise
    except Exception as error:  # noqa: BLE001  # whatever it is, the study ends in a named state
        own.fail(held, error)
