"""The bell: names of queues and tasks, and the sender of messages that carry one id and nothing else.

SQL is the truth. A bell wakes a worker and does not count: whoever hears it claims what is due, whatever its message
says, and passes it on where there was any, so that one bell brings all workers to a backlog of any size. Losing a
message loses nothing, since the sweep rings again for what nobody holds.
"""

from collections.abc import Iterable
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from cspine.errors import ServiceFault
from cspine.reasons import Reason
from cspine.settings import Settings
from cspine.states import SHADOW, Lane, Stage

TASKS = {Stage.PREPARE: "cspine.prepare", Stage.SCREEN: "cspine.screen"}
EXPLAIN = "explain"  # the queue of maps on demand, whose messages carry the id of an explanation
EXPLAIN_TASK = "cspine.explain"
REPLAY = "replay"  # the queue of shadow screenings, which the workers of `explain` consume when no map is asked for
REPLAY_TASK = "cspine.replay"
TASK_PREFIX = "cspine."  # a message for any other task is none of ours
SET_ASIDE = "set_aside"  # a list of the last messages that were none of ours, the newest first
MOST_SET_ASIDE = 100
SOCKET_NOTE = "broker.socket"  # in `var`: where the embedded broker listens
SOCKET_TIMEOUT = 5.0
MOST_BELLS = 4  # in one queue; more would wake nobody sooner
ONE_TRY = {"max_retries": 1, "interval_start": 0, "interval_step": 0}  # a person waits; the sweep rings later


def queue_name(stage: Stage, lane: str) -> str:
    """Return the queue of a stage and a lane, such as `prepare.urgent`; shadows have one of their own."""
    return REPLAY if lane == SHADOW else f"{stage}.{lane}"


def queues_of(stage: Stage) -> list[str]:
    """Return the queues of a stage, the most urgent first."""
    return [queue_name(stage, lane) for lane in Lane]


def broker_url(settings: Settings) -> str:
    """Return Celery's address of the broker; raises `ServiceFault` where the embedded one does not run."""
    if settings.redis_url:
        return settings.redis_url
    return f"redis+socket://{_socket(settings)}"


def connect(settings: Settings) -> Redis:
    """Return a client of the broker's Redis, not yet connected."""
    options: dict[str, Any] = {"socket_timeout": SOCKET_TIMEOUT, "socket_connect_timeout": SOCKET_TIMEOUT}
    if settings.redis_url:
        return Redis.from_url(settings.redis_url, **options)
    return Redis(unix_socket_path=str(_socket(settings)), **options)


def _socket(settings: Settings) -> Path:
    try:
        return Path((settings.var / SOCKET_NOTE).read_text().strip())
    except FileNotFoundError as error:
        raise ServiceFault("the embedded broker does not run", Reason.BROKER_UNAVAILABLE) from error


def configure(app: Celery, settings: Settings) -> None:
    """Give a Celery application the wire format and the timeouts that sender and worker share."""
    transport = {
        "visibility_timeout": settings.visibility_seconds,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": 30,
        "socket_connect_timeout": SOCKET_TIMEOUT,
        "queue_order_strategy": "priority",  # urgent before normal before overnight
    }
    app.conf.update(
        broker_transport_options=transport,
        visibility_timeout=settings.visibility_seconds,
        accept_content=["json"],
        task_serializer="json",
        result_serializer="json",
        task_ignore_result=True,
        result_backend=None,
        task_publish_retry=False,
        broker_connection_timeout=SOCKET_TIMEOUT,
        task_default_queue=queue_name(Stage.PREPARE, Lane.NORMAL),
        timezone="UTC",
        enable_utc=True,
    )


class Bell:
    """The sender; one object of a process, connecting at its first use."""

    def __init__(self, settings: Settings) -> None:
        """Keep the settings; nothing is opened."""
        self._settings = settings

    @cached_property
    def _client(self) -> Redis:
        return connect(self._settings)

    @cached_property
    def _app(self) -> Celery:
        app = Celery("cspine", broker=broker_url(self._settings), set_as_current=False)
        configure(app, self._settings)
        app.conf.broker_transport_options |= ONE_TRY
        return app

    def ring(self, stage: Stage, lane: str, screening_ids: Iterable[int]) -> None:
        """Wake workers for work that was committed: a message for each screening, unless the queue has enough.

        Raises `ServiceFault` (broker_unavailable) where the broker does not take them; the sweep rings later.
        """
        ids = list(islice(screening_ids, MOST_BELLS))
        if ids:
            room = MOST_BELLS - self.depth(stage, lane)
            task = REPLAY_TASK if lane == SHADOW else TASKS[stage]
            self._send(task, queue_name(stage, lane), ids[: max(0, room)])

    def ask(self, explanation_ids: Iterable[int]) -> None:
        """Send one message for each explanation; raises `ServiceFault` as `ring` does."""
        self._send(EXPLAIN_TASK, EXPLAIN, explanation_ids)

    def _send(self, task: str, queue: str, ids: Iterable[int]) -> None:
        ids = list(ids)
        if not ids:
            return
        try:
            with self._app.producer_or_acquire() as producer:
                for id_ in ids:
                    self._app.send_task(task, args=[id_], queue=queue, producer=producer, retry=False)
        except (OperationalError, RedisError, OSError) as error:
            self._forget()
            raise ServiceFault(type(error).__name__, Reason.BROKER_UNAVAILABLE) from error

    def depth(self, stage: Stage, lane: str | None = None) -> int:
        """Count the messages of a stage (and lane) that no worker has taken yet; raises `ServiceFault`."""
        return self._length(queues_of(stage) if lane is None else [queue_name(stage, lane)])

    def asked(self) -> int:
        """Count the messages of the queue `explain`; raises `ServiceFault`."""
        return self._length([EXPLAIN])

    def _length(self, names: Iterable[str]) -> int:
        try:
            return sum(int(self._client.llen(name)) for name in names)
        except (RedisError, OSError) as error:
            self._forget()
            raise ServiceFault(type(error).__name__, Reason.BROKER_UNAVAILABLE) from error

    def _forget(self) -> None:
        """Connect anew at the next use: the embedded broker may come back at another address."""
        self.__dict__.pop("_app", None)
        if client := self.__dict__.pop("_client", None):
            client.close()

    def alive(self) -> bool:
        """Say whether the broker answers."""
        try:
            with connect(self._settings) as client:
                return bool(client.ping())
        except (RedisError, OSError, ServiceFault):
            return False
