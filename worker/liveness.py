"""Whether a worker consumes: it has free places, Redis answers, and the question for messages has been answered lately.

Celery is known to reconnect to Redis and never to consume again. What is asked here is the consumption itself, not
whether messages wait: on a second machine other workers would take them, and nobody would notice this one.
"""

import time
from collections.abc import Callable
from typing import Any

from celery.worker import state

from worker import transport

STUCK_SECONDS = 30.0


class Liveness:
    """What the parent knows of Celery's consumer; every method is called by one thread."""

    def __init__(self, consumer: Any, answers: Callable[[], bool]) -> None:
        """Keep Celery's consumer, null in tests of other things, and the function that asks whether Redis answers."""
        self._consumer, self._answers = consumer, answers
        self._free_since: float | None = None
        self._answering_since: float | None = None
        self._full = -1

    def look(self) -> str | None:
        """Look at the places, every few seconds; return why the process must end, or null."""
        free = self._has_free_places()
        if not free:
            self._free_since = None
        elif self._free_since is None:
            self._free_since = time.monotonic()
        progress = sum(state.total_count.values())
        if free or state.reserved_requests or state.active_requests:
            self._full = -1
        elif self._full == progress:
            # An acknowledgement that is lost with its connection keeps its place for ever: kombu then asks Redis for
            # nothing, and does not even notice that the connection is gone.
            return "acknowledgements were lost with their connection"
        else:
            self._full = progress
        return None

    def listen(self) -> str | None:
        """Ask Redis, every ten seconds or so; return why the process must end, or null."""
        if not self._answers():
            self._answering_since = None
        elif self._answering_since is None:
            self._answering_since = time.monotonic()
        if deaf(time.monotonic(), transport.heard(), self._answering_since, self._free_since):
            return "Redis answers and no message is asked for"
        return None

    def _has_free_places(self) -> bool:
        try:
            return self._consumer is None or bool(self._consumer.task_consumer.channel.qos.can_consume())
        except AttributeError:  # in the middle of a reconnection
            return True


def deaf(moment: float, heard: float, answering_since: float | None, free_since: float | None) -> bool:
    """Say whether a worker has had free places and a Redis that answers for half a minute, and has heard nothing.

    All in seconds of the steady clock; a null means that it is not so now.
    """
    if answering_since is None or free_since is None:
        return False
    return moment - max(heard, answering_since, free_since) > STUCK_SECONDS
