"""gunicorn, started from code: one process of many threads, with an access log that holds no query and no token."""

import logging
import socket
from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import TConn, ThreadWorker

from cspine.settings import Settings
from web import create_app
from web.bodies import CHUNK, closing_reads
from web.logs import safe_path

TIMEOUT_SECONDS = 60
GRACE_SECONDS = 2
BACKLOG = 256
HEADER_SECONDS = 10.0
PART_SECONDS = 0.2

log = structlog.get_logger("web")


class Log(Logger):  # type: ignore[misc]
    """gunicorn's log, written by the root logger as every other."""

    def setup(self, cfg: Config) -> None:
        """Need no handlers of gunicorn's own."""
        self.cfg = cfg
        self.error_log.propagate = True
        self.error_log.setLevel(logging.WARNING)

    @property
    def access_log_enabled(self) -> bool:
        """Say that requests are logged."""
        return True

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """Write one request: method, path without query, status, bytes, milliseconds."""
        log.info("request", method=environ.get("REQUEST_METHOD"), path=safe_path(environ.get("PATH_INFO", "")),
                 status=int(str(resp.status).split()[0]), bytes=getattr(resp, "sent", None),
                 ms=round(request_time.total_seconds() * 1000))  # fmt: skip


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threads, which wait neither for the headers of a request nor for a body that nobody has read.

    By itself gunicorn reads such a body for seconds, and then waits for its sender in the one thread that accepts.
    """

    def handle(self, conn: TConn) -> Any:
        """Read a request and answer it."""
        with closing_reads(conn.sock, HEADER_SECONDS) as conn.headers_came:
            goes_on = super().handle(conn)
        if not goes_on:
            _part_from(conn.sock)
        return goes_on

    def handle_request(self, req: Any, conn: TConn) -> Any:
        """Answer a request whose headers have come."""
        conn.headers_came()
        goes_on = super().handle_request(req, conn)
        unread = getattr(req.body.reader, "length", None)  # null for a body in chunks, which may have more to come
        return goes_on and unread == 0


def _part_from(connection: socket.socket) -> None:
    """Close both directions; who is still sending has a moment to see the answer first."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(PART_SECONDS)
        connection.recv(CHUNK)
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)


class Server(BaseApplication):  # type: ignore[misc]
    """The web server of these settings."""

    def __init__(self, settings: Settings) -> None:
        """Keep the settings; the application is made in the worker process."""
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's options."""
        settings = self._settings
        options = {
            "bind": f"{settings.host}:{settings.port}",
            "workers": 1,
            "worker_class": Worker,
            "threads": settings.web_threads,
            "timeout": TIMEOUT_SECONDS,
            "graceful_timeout": GRACE_SECONDS,
            "backlog": BACKLOG,
            "accesslog": "-",
            "logger_class": Log,
            "control_socket_disable": True,
            "proc_name": "cspine-web",
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Make the application."""
        return create_app(self._settings)
