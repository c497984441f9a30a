"""Failures: what has no answer and why; trying it again, or discarding it, in bulk and with a preview."""

from web.failures import bulks  # noqa: F401  # its addresses
from web.failures.pages import blueprint

__all__ = ["blueprint"]
