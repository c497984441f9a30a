"""Celery's prefork pool, which notices at once that a child was killed.

A dying child's pipe closes a moment before the child can be reaped. Celery looks in that moment, finds it alive and
looks again only after five seconds, in which its study would wait and its place would be empty.
"""

from typing import Any

from celery.concurrency.asynpool import AsynPool
from celery.concurrency.prefork import TaskPool

LOOK_AGAIN_SECONDS = 0.05


class _Pool(AsynPool):  # type: ignore[misc]  # Celery has no types
    def _event_process_exit(self, hub: Any, proc: Any) -> None:
        super()._event_process_exit(hub, proc)
        self._await_exit(hub, proc)

    def _await_exit(self, hub: Any, proc: Any) -> None:
        if any(one is proc for one in self._pool):
            self.maintain_pool()
            hub.call_later(LOOK_AGAIN_SECONDS, self._await_exit, hub, proc)


class Pool(TaskPool):  # type: ignore[misc]
    """The prefork pool."""

    Pool = _Pool
