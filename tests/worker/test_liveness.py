"""Liveness: a worker that has places and a Redis, and does not ask for messages, is stuck."""

import time
from types import SimpleNamespace

import pytest
from celery.worker import state as celery_state

from worker import liveness, transport
from worker.liveness import STUCK_SECONDS, Liveness, deaf


@pytest.mark.parametrize(("heard", "answering_since", "free_since", "expected"), [
    (0.0, 0.0, 0.0, True),
    (90.0, 0.0, 0.0, False),  # it heard of Redis ten seconds ago
    (0.0, 90.0, 0.0, False),  # Redis is back since ten seconds
    (0.0, 0.0, 90.0, False),  # it had no place until ten seconds ago
    (0.0, None, 0.0, False),  # Redis is away
    (0.0, 0.0, None, False),  # every place is taken by work
])  # fmt: skip
def test_who_has_heard_nothing_for_half_a_minute_is_deaf(
    heard: float, answering_since: float | None, free_since: float | None, expected: bool
) -> None:
    assert STUCK_SECONDS == 30.0
    assert deaf(100.0, heard, answering_since, free_since) is expected


def consumer(*, free: bool) -> SimpleNamespace:
    """Return what of Celery's consumer is looked at."""
    qos = SimpleNamespace(can_consume=lambda: free)
    return SimpleNamespace(task_consumer=SimpleNamespace(channel=SimpleNamespace(qos=qos)))


def test_a_worker_that_asks_for_nothing_ends_once_redis_has_answered_for_half_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steady, later = time.monotonic, 0.0
    monkeypatch.setattr(liveness.time, "monotonic", lambda: steady() + later)
    monkeypatch.setattr(transport, "_heard", steady())
    answers = False
    own = Liveness(consumer(free=True), lambda: answers)
    for later in (0.0, 100.0):  # noqa: B007  # the clock reads it
        assert own.look() is None
        assert own.listen() is None, "Redis is away: there is nothing to hear"
    answers = True
    assert own.listen() is None, "it has a while to connect"
    later = 131.0
    assert own.listen() is not None
    monkeypatch.setattr(transport, "_heard", steady() + later)
    assert own.listen() is None


def test_places_that_are_taken_by_nothing_end_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Liveness(consumer(free=False), lambda: True)
    assert own.look() is None
    assert own.look() is not None
    busy = Liveness(consumer(free=False), lambda: True)
    monkeypatch.setattr(celery_state, "active_requests", {object()})
    assert [busy.look() for _ in range(3)] == [None] * 3
    assert busy.listen() is None
