"""Batches: their ledgers, live."""

from web.batches.pages import blueprint

__all__ = ["blueprint"]
