"""One study: its pictures, its answer, where the answer comes from."""

from web.studies.pages import pages

__all__ = ["pages"]
