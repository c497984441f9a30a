"""Whether the process lives, and whether the installation can work."""

from web.health.pages import blueprint

__all__ = ["blueprint"]
