"""The tasks: a bell in, one claim, one pipeline, nothing out. The one place that catches broadly, to record it.

A bell only wakes: what is claimed is what is due by the lanes' turns, whatever id the message carries. Where something
was claimed the bell is passed on, so that it wakes whoever is free next; where there was nothing it ends here.
"""

import os
from collections.abc import Callable

import structlog

from cspine.errors import ServiceFault
from cspine.queue import EXPLAIN_TASK, REPLAY_TASK, TASKS
from cspine.reasons import Reason
from cspine.records.claims import Held, LeaseLost
from cspine.records.screenings import Ring
from cspine.states import Stage
from worker import explain as explaining
from worker import idle, runtime
from worker import prepare as preparation
from worker import replay as replaying
from worker import screen as screening
from worker.app import app, settings
from worker.lease import Lease
from worker.request import MEMORY_STATUS
from worker.runtime import Runtime

Claim = Callable[[Runtime], Held | None]
Pipeline = Callable[[Runtime, Held, Lease], None]

log = structlog.get_logger(__name__)


@app.task(name=TASKS[Stage.PREPARE], time_limit=settings.prepare_seconds)  # type: ignore[untyped-decorator]
def prepare(_bell: int) -> None:
    """Decode the files of what is due."""
    perform(preparation.claim, preparation.run)


@app.task(name=TASKS[Stage.SCREEN], time_limit=settings.screen_seconds)  # type: ignore[untyped-decorator]
def screen(_bell: int) -> None:
    """Analyse the studies that are due in one batch."""
    perform(screening.claim, screening.run)


@app.task(name=EXPLAIN_TASK, time_limit=settings.explain_seconds)  # type: ignore[untyped-decorator]
def explain(explanation_id: int) -> None:
    """Make one saliency map that a person asked for."""
    try:
        explaining.run(runtime.current(), explanation_id)
    except ServiceFault as fault:
        log.error("nothing could be recorded", reason=fault.reason.value)
    except MemoryError:
        os._exit(MEMORY_STATUS)  # the parent frees the map


@app.task(name=REPLAY_TASK, time_limit=settings.screen_seconds)  # type: ignore[untyped-decorator]
def replay(_bell: int) -> None:
    """Let a candidate analyse shadows, where nothing else is due."""
    idle.wake()
    perform(replaying.claim, replaying.run)
    idle.rest(settings.explain_idle_seconds)


def perform(claim: Claim, pipeline: Pipeline) -> None:
    """Claim, pass the bell on, run, and record whatever ends the run; a silent database is left to lease and sweep."""
    own = runtime.current()
    try:
        held = claim(own)
        if held is not None:
            own.ring([Ring(held.stage, held.members[0].lane, held.members[0].screening_id)])
            attempt(own, held, pipeline)
    except ServiceFault as fault:
        log.error("nothing could be recorded", reason=fault.reason.value)
    except MemoryError:
        os._exit(MEMORY_STATUS)  # what is left of this process would fail the next study too


def attempt(own: Runtime, held: Held, pipeline: Pipeline) -> None:
    """Run a pipeline on what is held, and renew the lease meanwhile."""
    with Lease(own.settings, own.database, held) as lease:
        try:
            pipeline(own, held, lease)
        except LeaseLost:
            log.warning("superseded: nothing was written", stage=held.stage.value)
        except MemoryError:
            own.crash(held, Reason.OUT_OF_MEMORY)
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the study ends in a named state
            own.fail(held, error)
