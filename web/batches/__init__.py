"""Batches: their ledgers, live."""

from web.batches.pages import pages

__all__ = ["pages"]
