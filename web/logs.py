"""Logging: one record is one line of JSON on stderr, without queries, tokens or patient data."""

import logging
import re
import sys

import structlog

from cspine.settings import Settings

SECRET_PATHS = ("/signin/",)
SECRETS = re.compile(r"(/signin/|\?)[^\s'\"]*")
QUOTE_HEADERS = ("py.warnings", "pydicom")  # their words quote what stands in a header


class OneLine(logging.Handler):
    """Writes what libraries log as our own records: the first line, and no exception's message."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        first = record.getMessage().partition("\n")[0]
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        extra = {"kind": kind} if kind else {}
        structlog.get_logger(record.name).log(record.levelno, SECRETS.sub(r"\1...", first), **extra)


def configure(settings: Settings) -> None:
    """Configure logging for the web process."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.captureWarnings(capture=True)
    logging.basicConfig(handlers=[OneLine()], level=level, force=True)
    for name in QUOTE_HEADERS:
        logging.getLogger(name).disabled = True


def safe_path(path: str) -> str:
    """Return a path as it may be logged: without its query, and without a sign-in token."""
    path = path.partition("?")[0]
    for prefix in SECRET_PATHS:
        if path.startswith(prefix):
            return f"{prefix}..."
    return path[:200]
