"""Messages that nobody of ours wrote: each is set aside, and the worker consumes on."""

import base64
import json
from typing import Any

import pytest

from cspine.queue import EXPLAIN_TASK, MOST_SET_ASIDE, SET_ASIDE, TASKS, Bell, connect, queue_name
from cspine.settings import Settings
from cspine.states import Lane, Stage
from tests.worker import services
from tests.worker.services import wait, worker
from worker.transport import read

pytestmark = pytest.mark.services
OURS = {*TASKS.values(), EXPLAIN_TASK, "celery.chord"}
QUEUE = queue_name(Stage.PREPARE, Lane.NORMAL)


def message(body: object = ([1], {}, {}), *, raw: str | None = None, **changes: Any) -> bytes:
    """Return a message as Celery writes it, with some parts changed or, where they are null, taken out."""
    parts: dict[str, Any] = {
        "body": base64.b64encode(json.dumps(body).encode()).decode() if raw is None else raw,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": TASKS[Stage.PREPARE], "id": "1"},
        "properties": {"body_encoding": "base64", "delivery_tag": "1",
                       "delivery_info": {"exchange": "", "routing_key": QUEUE}},
    }  # fmt: skip
    parts |= changes
    return json.dumps({name: part for name, part in parts.items() if part is not None}).encode()


HEADERS = {"task": TASKS[Stage.PREPARE], "id": "1"}
FOREIGN = {
    "no JSON": b"Dr Who",
    "no text": b"\xff\xfe\x00",
    "deep": b"[" * 100_000,
    "a number": b"5",
    "a list": b"[]",
    "an empty object": b"{}",
    "no properties": message(properties=None),
    "no address": message(properties={"body_encoding": "base64", "delivery_tag": "1"}),
    "no headers": message(headers=None),
    "an unknown task": message(headers=HEADERS | {"task": "cspine.report"}),
    "a task of Celery's own": message(headers=HEADERS | {"task": "celery.chord"}),
    "a task that is no name": message(headers=HEADERS | {"task": 5}),
    "no id": message(headers=HEADERS | {"id": None}),
    "in a hundred years": message(headers=HEADERS | {"eta": "2126-01-01T00:00:00+00:00"}),
    "a pickle": message(**{"content-type": "application/x-python-serialize"}),
    "another encoding": message(**{"content-encoding": "utf-7"}),
    "no base64": message(raw="x"),
    "a body that is no text": message(raw="////"),
    "a body that is a number": message(5),
    "a body of two parts": message(([1], {})),
    "a name as an argument": message((["Doe^John"], {}, {})),
    "a truth as an argument": message(([True], {}, {})),
    "an argument beyond any id": message(([2**63], {}, {})),
    "options": message(([1], {"x": 1}, {})),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_none_of_ours_is_refused_with_a_reason(name: str) -> None:
    assert read(FOREIGN[name], OURS)[1]


def test_what_celery_sends_is_ours(settings: Settings) -> None:
    with services.broker(settings) as bell:
        bell.ring(Stage.PREPARE, Lane.NORMAL, [7])
        bell.ask([8])
        with connect(settings) as client:
            sent = [client.lindex(name, 0) for name in (QUEUE, "explain")]
    assert [read(payload, OURS)[1] for payload in sent] == [None, None]
    assert [read(payload, ())[1] for payload in sent] == ["unknown task"] * 2


def test_a_worker_sets_foreign_messages_aside_and_goes_on(settings: Settings) -> None:
    """Before, most of these ended the worker, and one with a body that is a number each worker after it too."""
    with services.broker(settings) as bell, connect(settings) as client, worker(settings) as running:
        client.lpush(QUEUE, *FOREIGN.values())
        wait(lambda: client.llen(SET_ASIDE) == len(FOREIGN))
        client.lpush(SET_ASIDE, *[b"earlier"] * MOST_SET_ASIDE)
        client.lpush(QUEUE, b"5")
        wait(lambda: client.llen(SET_ASIDE) == MOST_SET_ASIDE)
        bell.ring(Stage.PREPARE, Lane.NORMAL, [1])
        wait(lambda: Bell(settings).depth(Stage.PREPARE) == 0 and not client.exists("unacked"))
        assert running.popen.poll() is None
        assert "Doe" not in running.log.read_text()
