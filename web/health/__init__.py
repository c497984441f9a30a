"""Whether the process lives, and whether the installation can work."""

from web.health.pages import pages

__all__ = ["pages"]
