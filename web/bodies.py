"""Bodies of requests: a form is read whole, within limits of size and time, before anything looks at it.

A thread that waits for a slow sender serves nobody else. The server has no time limit of its own on reading, therefore
a deadline ends the reading side of the connection: whoever waits for more gets the end of the body.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from threading import Event, Timer
from typing import IO

from flask import Flask, abort, request
from flask_login import current_user
from werkzeug.exceptions import ClientDisconnected

CHUNK = 128 * 2**10
FORM_BYTES = 2**20
STRANGER_BYTES = 8 * 2**10  # a name, a password and a token
FORM_SECONDS = 5.0
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
STREAMED = {"upload.send"}  # read as they arrive


def init(app: Flask) -> None:
    """Read the forms of requests that are not refused by then."""
    app.before_request(read_form)


def read_form() -> None:
    """Read the body of a form; 408 where it does not come in time, 413 where it is too long."""
    if request.method in SAFE_METHODS or request.endpoint in STREAMED:
        return
    if not current_user.is_authenticated:
        request.max_content_length = STRANGER_BYTES
    with in_time(FORM_SECONDS):
        request.get_data()
    if any("\0" in value for _, value in request.form.items(multi=True)):
        abort(400)


@contextmanager
def in_time(seconds: float) -> Iterator[None]:
    """Read of the present request's body within the block; 408 where it does not come in time, 400 where it ends."""
    with deadline(seconds) as passed:
        try:
            yield
        except (ClientDisconnected, OSError):
            abort(408 if passed.is_set() else 400)
        if passed.is_set():  # the body ended because we ended it
            abort(408)


@contextmanager
def deadline(seconds: float) -> Iterator[Event]:
    """End the reading of the present request's body after so many seconds; the event says that it was so."""
    passed = Event()
    connection: socket.socket | None = request.environ.get("gunicorn.socket")
    with closing_reads(connection, seconds, passed) if connection else nullcontext():
        yield passed


@contextmanager
def closing_reads(
    connection: socket.socket, seconds: float, passed: Event | None = None
) -> Iterator[Callable[[], None]]:
    """Close the reading side of a connection after so many seconds, unless the block ends or calls it off."""

    def close() -> None:
        if passed is not None:
            passed.set()
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RD)

    timer = Timer(seconds, close)
    timer.daemon = True
    timer.start()
    try:
        yield timer.cancel
    finally:
        timer.cancel()


def drain(body: IO[bytes], most: int, seconds: float) -> None:
    """Read away what is still coming, within limits: a browser shows no answer to a body that nobody reads."""
    with deadline(seconds) as passed, suppress(OSError, ClientDisconnected):
        while most > 0 and not passed.is_set() and (piece := body.read(min(CHUNK, most))):
            most -= len(piece)
