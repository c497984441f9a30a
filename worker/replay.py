"""Replay: shadow screenings by a candidate release, in the worker of what may wait, when nothing else is due.

The candidate lies in no process that screens for people. A candidate that cannot be loaded stops its own replay; one
that fails, hangs or kills its child costs shadows their attempts and nobody else anything. It runs on the processor,
with the low priority of this worker; a GPU is left to those that screen.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.orm import Session

from cspine.errors import Permanent, ServiceFault
from cspine.queue import EXPLAIN
from cspine.records import endings, results, shadows
from cspine.records.claims import CPU, Held
from cspine.records.endings import Settled
from cspine.records.shadows import Turn
from worker import idle, screen, writing
from worker.lease import Lease
from worker.network import Holder, Unfit, forget_networks, unnamed
from worker.runtime import Runtime

if TYPE_CHECKING:
    from models.runtime.release import Release as Loaded

log = structlog.get_logger(__name__)


class Candidate(Holder):
    """A release that screens nobody yet, on the processor."""

    def _by_tensorflow(self, folder: Path, device: str) -> Loaded:
        import tensorflow as tf

        tf.config.set_visible_devices([], "GPU")
        return super()._by_tensorflow(folder, device)


_candidate: Candidate | None = None
_loaded: int | None = None  # the release in memory, by its row


def claim(own: Runtime) -> Held | None:
    """Claim shadows of the replay whose turn it is; null where other work is due, or the candidate cannot be loaded."""
    with own.database.read() as session:
        turn = shadows.turn(session, own.settings)
    if turn is None or not _load(own, turn):
        return None
    name = own.name(EXPLAIN)
    return own.claim(EXPLAIN, lambda session: shadows.claim(session, turn.replay_id, name, own.settings))


def run(own: Runtime, held: Held, lease: Lease) -> None:
    """Analyse the claimed shadows, and write what the candidate says where nobody is shown it."""
    assert _candidate is not None
    assert held.release_id is not None
    release_id = held.release_id
    found = screen.examine(own, _candidate, held, lease)

    def write(session: Session, part: Held) -> Settled:
        settled = endings.settle(session, part, own.settings, found.failures, found.left(part))
        results.add(session, part, settled.kept + settled.returned, found.answers, shown=False)
        shadows.answered(session, settled.succeeded, release_id)
        return settled

    own.ring(screen.returned(writing.settle(own, held, write)))


def _load(own: Runtime, turn: Turn) -> bool:
    """Have the candidate in memory; false, with the reason kept beside the replay, where that cannot be.

    The load is counted before it begins: what kills this process then is stopped after a few times.
    """
    global _candidate, _loaded
    if _loaded == turn.release.id:
        return True
    if not own.write(lambda session: shadows.begin_load(session, turn.replay_id)):
        return False
    _loaded = None
    if _candidate is None:
        _candidate = Candidate(own.settings, own.blobs)
    idle.hold()
    _candidate.hold(turn.release)
    try:
        _candidate.on(CPU)
    except ServiceFault:
        own.write(lambda session: shadows.spare(session, turn.replay_id))
        raise
    except Exception as error:  # noqa: BLE001  # a person reads it beside the replay
        _candidate.let_go()
        forget_networks()
        said = error if isinstance(error, Permanent) else unnamed(turn.release, error)
        words, final = f"{said.detail} ({said.reason.value})", isinstance(error, Unfit)
        log.warning("a candidate cannot be loaded", release=turn.release.identity[:12], reason=said.reason.value)
        own.write(lambda session: shadows.not_loaded(session, turn.replay_id, words, final=final))
        return False
    own.write(lambda session: shadows.loaded(session, turn.replay_id))
    _loaded = turn.release.id
    return True
