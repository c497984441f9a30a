"""Kombu's Redis transport, which survives a message that nobody of ours wrote, and knows when it last heard of Redis.

Kombu trusts what lies in a queue. Bytes that are no JSON end the worker, and a body of another shape is put back when
the worker ends, so that it ends the next one too, for ever. Here such a message is set aside before Celery sees it.
"""

import base64
import binascii
import hashlib
import json
import time
from collections.abc import Collection
from queue import Empty
from typing import Any

import structlog
from celery import Celery
from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.transport import redis as kombu
from redis.exceptions import RedisError, ResponseError

from cspine.queue import MOST_SET_ASIDE, SET_ASIDE, TASK_PREFIX

PAUSE_SECONDS = 1.0

log = structlog.get_logger(__name__)
_heard = time.monotonic()
_app: Celery | None = None


def use(app: Celery) -> None:
    """Let every address of Redis be served by this transport in this process, for the tasks of this application."""
    global _app
    _app = app  # its tasks are asked for later: that would read its settings, and the broker's address with them
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"


def heard() -> float:
    """Return when Redis last answered the question for messages, on the steady clock; it does so each second."""
    return _heard


def read(payload: bytes, tasks: Collection[str]) -> tuple[Any, str | None]:
    """Return a message as Redis holds it, and what is wrong with it; null where it is one of ours."""
    try:
        message = json.loads(payload)
    except (ValueError, RecursionError):
        return None, "not JSON"
    return message, _objection(message, tasks)


def _objection(message: Any, tasks: Collection[str]) -> str | None:
    try:
        headers, properties = message["headers"], message["properties"]
        if not headers["task"].startswith(TASK_PREFIX) or headers["task"] not in tasks:
            return "unknown task"
        if headers.get("eta") is not None:
            return "a time to wait for"  # it would lie in the worker, unacknowledged, until then
        if (message["content-type"], message["content-encoding"]) != ("application/json", "utf-8"):
            return "not JSON"
        names = (headers["id"], properties["delivery_tag"], properties["delivery_info"]["routing_key"])
        if not all(isinstance(name, str) for name in names):
            return "no id"
        args, options, embedded = json.loads(_body(message))
        if not isinstance(args, list) or options != {} or not isinstance(embedded, dict):
            return "wrong arguments"
        if not all(type(one) is int and 0 <= one < 2**63 for one in args):
            return "wrong arguments"
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        return f"wrong shape ({type(error).__name__})"
    return None


def _body(message: dict[str, Any]) -> bytes:
    if message["properties"].get("body_encoding") != "base64":
        return str(message["body"]).encode()
    try:
        return base64.b64decode(message["body"], validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error


class QoS(kombu.QoS):
    """The messages that were taken and not acknowledged: each holds a place.

    An acknowledgement that breaks off with its connection keeps its place for ever in kombu. Where all places are kept
    so, or taken by long work, it asks Redis for nothing, and does not even notice that the connection is gone.
    """

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message; where that fails its place is free all the same, and it will be delivered again."""
        try:
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]
        except Exception:
            virtual.QoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]
            raise


class Channel(kombu.Channel):
    """A channel that hands on nothing of which it does not know that it is one of ours."""

    QoS = QoS

    def _brpop_read(self, **options: Any) -> bool:
        """Read the answer to BRPOP, as kombu does, and look at the message before anything is made of it."""
        global _heard
        try:
            try:
                answer = self.client.parse_response(self.client.connection, "BRPOP", **options)
            except self.connection_errors as error:
                self.client.connection.disconnect()  # the next turn of the loop connects again
                if isinstance(error, ResponseError):
                    time.sleep(PAUSE_SECONDS)  # it would hear the same at once
                raise
            _heard = time.monotonic()
            if not answer:
                raise Empty
            key, payload = (part.encode() if isinstance(part, str) else bytes(part) for part in answer)
            queue = key.decode().rsplit(self.sep, 1)[0]
            self._queue_cycle.rotate(queue)
            message, why = read(payload, _app.tasks if _app is not None else ())
            if why is None:
                self.connection._deliver(message, queue)
            else:
                self._set_aside(queue, why, payload)
            return True
        finally:
            self._in_poll: Any = None
            self._flush_brpop_reauth()  # type: ignore[no-untyped-call]

    def _set_aside(self, queue: str, why: str, payload: bytes) -> None:
        """Keep the message where somebody may look at it, among the last few; nothing of it goes to the log."""
        digest = hashlib.sha256(payload).hexdigest()[:16]
        log.error("a message was set aside", queue=queue, why=why, bytes=len(payload), sha256=digest)
        try:
            with self.conn_or_acquire() as client:
                client.lpush(SET_ASIDE, payload)
                client.ltrim(SET_ASIDE, 0, MOST_SET_ASIDE - 1)
        except RedisError as error:
            log.warning("it could not be kept", kind=type(error).__name__)


class Transport(kombu.Transport):
    """The Redis transport with our channel.

    A Redis that refuses to work (out of memory, a replica, still loading) is away like one that does not answer: the
    worker waits for it. To Celery it is an error that ends the worker, its children and whatever they hold.
    """

    Channel = Channel
    connection_errors = (*kombu.Transport.connection_errors, ResponseError)
