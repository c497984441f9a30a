"""Replays: a batch once more by a candidate release, compared and promoted."""

from web.replays.pages import blueprint

__all__ = ["blueprint"]
