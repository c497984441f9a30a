"""Failures: what has no answer and why, and trying it again."""

from web.failures.pages import pages

__all__ = ["pages"]
