"""Logging of the services: one record is one line of JSON on stderr, without secrets or the words of exceptions.

A library's exception may quote what stands in a header; only its type is logged.
"""

import logging
import re
import sys

import structlog

from cspine.settings import Settings

QUOTE_HEADERS = ("py.warnings", "pydicom")  # their words quote what stands in a header
SECRETS = re.compile(r"(/signin/|\?)[^\s'\"]*")  # a sign-in token, a query
CHATTY = ("celery.worker.strategy", "celery.app.trace", "alembic.runtime.migration")  # a line for every task


class OneLine(logging.Handler):
    """Writes what libraries log as our own records: the first line, and no exception's message."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        first = SECRETS.sub(r"\1...", record.getMessage().partition("\n")[0][:500])
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        if kind and record.name == "celery.app.trace":  # its first line quotes the exception
            first = "a task ended with an error"
        structlog.get_logger(record.name).log(record.levelno, first, **({"kind": kind} if kind else {}))


def to_stderr() -> None:
    """Send the few log lines of a command to stderr, since stdout is for what was asked for."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))


def configure(settings: Settings) -> None:
    """Configure logging for this process and those forked from it."""
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
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
