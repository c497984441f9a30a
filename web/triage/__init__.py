"""The triage list."""

from web.triage.pages import blueprint

__all__ = ["blueprint"]
