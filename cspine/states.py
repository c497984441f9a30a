"""The states of a screening and the moves between them, as a table (design, section 3)."""

from enum import StrEnum


class State(StrEnum):
    """Where a screening (one study under one release) stands."""

    RECEIVED = "received"  # stored, and waiting for a prepare worker
    PREPARING = "preparing"  # a prepare worker holds a lease on it and decodes its files
    READY = "ready"  # its pictures lie in the blob store; waiting for a screen worker
    SCREENING = "screening"  # a screen worker holds a lease on it
    DONE = "done"  # it has a result
    WAITING = "waiting"  # it will be tried again at next_try_at
    FAILED = "failed"  # given up with a reason code, until a person retries it
    QUARANTINED = "quarantined"  # it killed or hung its worker too often; it runs alone when a person retries it
    CANCELLED = "cancelled"  # a person discarded it or cancelled its batch


RECEIVED, PREPARING, READY = State.RECEIVED, State.PREPARING, State.READY
SCREENING, DONE, WAITING = State.SCREENING, State.DONE, State.WAITING
FAILED, QUARANTINED, CANCELLED = State.FAILED, State.QUARANTINED, State.CANCELLED

TRANSITIONS: dict[State, frozenset[State]] = {
    RECEIVED: frozenset({PREPARING, CANCELLED}),
    PREPARING: frozenset({READY, RECEIVED, WAITING, FAILED, QUARANTINED, CANCELLED}),
    READY: frozenset({SCREENING, RECEIVED, CANCELLED}),
    SCREENING: frozenset({DONE, READY, RECEIVED, WAITING, FAILED, QUARANTINED, CANCELLED}),
    DONE: frozenset({RECEIVED}),
    WAITING: frozenset({RECEIVED, READY, CANCELLED}),
    FAILED: frozenset({RECEIVED, CANCELLED}),
    QUARANTINED: frozenset({RECEIVED, CANCELLED}),
    CANCELLED: frozenset({RECEIVED}),
}

HELD = frozenset({PREPARING, SCREENING})  # under a lease
IN_WORK = frozenset({RECEIVED, PREPARING, READY, SCREENING, WAITING})  # the ledger's `waiting`
RETRIABLE = frozenset({FAILED, QUARANTINED, CANCELLED})  # a person may retry these
ENDED = frozenset({DONE, FAILED, QUARANTINED, CANCELLED})


def sources(target: State) -> frozenset[State]:
    """Return the states from which `target` may be reached in one move."""
    return frozenset(state for state, targets in TRANSITIONS.items() if target in targets)


class Stage(StrEnum):
    """The two kinds of work done on a screening."""

    PREPARE = "prepare"
    SCREEN = "screen"


class Lane(StrEnum):
    """How urgent a batch is."""

    URGENT = "urgent"
    NORMAL = "normal"
    OVERNIGHT = "overnight"


SHADOW = "shadow"  # the lane of a replay's screenings: below all others, and looked at by no query for a lane of people


class Disposition(StrEnum):
    """What became of a received file at ingest or at full decoding; the ledger's bucket follows from it."""

    ACCEPTED = "accepted"  # belongs to a study; the bucket is that of the study's screening
    DUPLICATE = "duplicate"
    NOT_AN_IMAGE = "not_an_image"
    REJECTED = "rejected"


class Outcome(StrEnum):
    """How an attempt ended."""

    RUNNING = "running"  # written before the run
    DONE = "done"
    FAILED = "failed"  # it raised an error; reason, kind, fingerprint and traceback say which
    CRASHED = "crashed"  # its process was killed
    EXPIRED = "expired"  # its lease ran out: frozen worker, lost host
    SUPERSEDED = "superseded"  # the study changed or was cancelled while it ran; nothing was written
    HANDED_BACK = "handed_back"  # the worker was asked to stop and gave it back


class ErrorKind(StrEnum):
    """Whether the same work is worth another try."""

    TRANSIENT = "transient"
    PERMANENT = "permanent"
    UNKNOWN = "unknown"
