"""Batches: their ledgers, live; when they will be done; cancelling them."""

from web.batches import cancel, outlook  # noqa: F401  # their addresses
from web.batches.pages import blueprint

__all__ = ["blueprint"]
