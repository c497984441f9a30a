"""The broker as it stands: how many messages wait in each queue, and how much memory it uses of how much."""

from dataclasses import dataclass

from redis.exceptions import RedisError

from cspine.errors import ServiceFault
from cspine.queue import EXPLAIN, REPLAY, connect, queues_of
from cspine.reasons import Reason
from cspine.settings import Settings
from cspine.states import Stage


@dataclass(frozen=True)
class Broker:
    """What the broker said."""

    messages: dict[str, int]  # by queue
    memory: int  # bytes in use
    limit: int  # bytes; 0: none


def look(settings: Settings) -> Broker:
    """Ask the broker, in one round trip; raises `ServiceFault` where it does not answer."""
    names = [name for stage in Stage for name in queues_of(stage)] + [EXPLAIN, REPLAY]
    try:
        with connect(settings) as client, client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.llen(name)
            pipe.info("memory")
            *lengths, memory = pipe.execute()
    except (RedisError, OSError) as error:
        raise ServiceFault(type(error).__name__, Reason.BROKER_UNAVAILABLE) from error
    return Broker(dict(zip(names, lengths, strict=True)), int(memory["used_memory"]), int(memory["maxmemory"]))
