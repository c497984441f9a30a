"""The triage list."""

from web.triage.pages import pages

__all__ = ["pages"]
