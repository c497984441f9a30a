"""One study: its pictures, its answer, where the answer comes from."""

from web.studies import explanations  # noqa: F401  # its addresses
from web.studies.originals import init
from web.studies.pages import blueprint

__all__ = ["blueprint", "init"]
