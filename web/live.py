"""Live pages: an event stream that says what changed, ends after a while, and goes on where it stopped.

A stream holds one thread of the web server, therefore it is short (the browser reconnects with Last-Event-ID) and only
so many run at once; beyond that a page asks by itself now and then.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from threading import BoundedSemaphore
from typing import Any

from flask import Flask, Response, abort, current_app, request

from cspine.errors import ServiceFault
from cspine.settings import Settings

EXTENSION = "cspine_streams"
LOOK_SECONDS = 1.0
SILENT_SECONDS = 4.0  # a comment now and then shows whether the browser is still there


def init(app: Flask, settings: Settings) -> None:
    """Allow streams on half of the threads."""
    app.extensions[EXTENSION] = BoundedSemaphore(max(1, settings.web_threads // 2))


def stream(settings: Settings, look: Callable[[], dict[str, Any]]) -> Response:
    """Answer with an event whenever what `look` sees has changed since the event that the browser saw last."""
    slots: BoundedSemaphore = current_app.extensions[EXTENSION]
    if not slots.acquire(blocking=False):
        abort(503)
    body = _events(look, request.headers.get("Last-Event-ID", ""), settings.stream_seconds)
    response = Response(body, mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})
    response.call_on_close(slots.release)
    return response


def _events(look: Callable[[], dict[str, Any]], seen: str, seconds: float) -> Iterator[str]:
    end = time.monotonic() + seconds
    spoken = time.monotonic()
    yield "retry: 1000\n\n"
    while True:
        try:
            text = json.dumps(look())
        except ServiceFault:
            return  # the browser comes back
        version = hashlib.sha256(text.encode()).hexdigest()[:16]
        if version != seen:
            seen, spoken = version, time.monotonic()
            yield f"id: {version}\ndata: {text}\n\n"
        elif time.monotonic() - spoken > SILENT_SECONDS:
            spoken = time.monotonic()
            yield ": still here\n\n"
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(LOOK_SECONDS, left))
