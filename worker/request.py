"""What the parent learns of a task: that its child was killed or hung, upon which its claim is freed at once."""

from typing import Any

from celery import Task as CeleryTask
from celery.exceptions import WorkerLostError
from celery.worker.request import Request as CeleryRequest

from cspine.reasons import Reason
from worker import parent

MEMORY_STATUS = 70  # a child that ends for want of memory, which may not even suffice to record it


class Request(CeleryRequest):  # type: ignore[misc]  # Celery has no types
    """A task in a child process, seen from the parent."""

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Free the claim of a child that is about to be killed for taking too long."""
        super().on_timeout(soft, timeout)
        if not soft:
            parent.free(self.worker_pid, Reason.TIMED_OUT, timeout)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """Free the claim of a child that is gone; its message is gone with it."""
        super().on_failure(exc_info, send_failed_event, return_ok)
        if issubclass(exc_info.type, (WorkerLostError, SystemExit)):  # billiard wraps the exception itself
            starved = f"exitcode {MEMORY_STATUS} " in f"{exc_info.exception} "
            parent.free(self.worker_pid, Reason.OUT_OF_MEMORY if starved else Reason.WORKER_CRASH)


class Task(CeleryTask):  # type: ignore[misc]
    """A task whose requests are ours."""

    abstract = True
    Request = Request
