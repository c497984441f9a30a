"""The queue: what waits in each lane, and pausing and resuming it."""

from web.queue.pages import blueprint

__all__ = ["blueprint"]
