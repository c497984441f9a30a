"""Failures: what has no answer and why, and trying it again."""

from web.failures.pages import blueprint

__all__ = ["blueprint"]
