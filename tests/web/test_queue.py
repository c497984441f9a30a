"""The queue's panel: what waits in each lane, pausing with a reason, resuming, and the banners."""

import pytest
from sqlalchemy import select

from cspine.database import Database
from cspine.errors import ServiceFault
from cspine.queue import Bell
from cspine.reasons import Reason
from cspine.records import pauses
from cspine.states import State
from cspine.tables import Audit, Screening
from tests.cspine.records import makers, work
from tests.web.conftest import Browser

pytestmark = pytest.mark.services


def paused(database: Database) -> dict[str, tuple[str, str]]:
    with database.read() as session:
        return {lane: (row.paused_by, row.reason) for lane, row in pauses.paused(session).items()}


def test_an_admin_pauses_a_lane_with_a_reason_and_resumes_it(admin: Browser, database: Database) -> None:
    answer = admin.post("/queue/pause", {"lane": "overnight", "reason": "the store is <full>"})
    assert (answer.status_code, answer.location) == (303, "/batches#queue")
    assert paused(database) == {"overnight": ("ada", "the store is <full>")}
    text = admin.get("/batches").text
    admin.post("/queue/pause", {"lane": "overnight", "reason": "another thing"})
    assert "Lane overnight was paused already by ada: the store is &lt;full&gt;" in admin.get("/batches").text
    assert paused(database) == {"overnight": ("ada", "the store is <full>")}
    assert "Lane overnight is paused" in text
    assert "the store is &lt;full&gt;" in text
    assert "by ada since" in text
    admin.post("/queue/resume", {"lane": "overnight"})
    assert paused(database) == {}
    text = admin.get("/batches").text
    assert "Lane overnight is resumed" in text
    assert 'class="banner"' not in text
    with database.read() as session:
        assert session.scalars(select(Audit.action).order_by(Audit.id)).all()[-2:] == ["pause", "resume"]


def test_what_is_resumed_is_rung_for(admin: Browser, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[tuple[str, str, int]] = []
    monkeypatch.setattr(Bell, "ring", lambda self, stage, lane, ids: rung.extend((stage, lane, id_) for id_ in ids))
    (prepare,) = work.make(database, 1, State.RECEIVED, lane="urgent")
    (screen,) = work.make(database, 1, State.READY, lane="normal")
    (paused_,) = work.make(database, 1, State.READY, lane="overnight")
    with database.write() as session:
        for lane in ("all", "overnight"):
            pauses.pause(session, lane, "new release", "ada")
    admin.post("/queue/resume", {"lane": "all"})
    assert sorted(rung) == [("prepare", "urgent", prepare), ("screen", "normal", screen)]
    admin.post("/queue/resume", {"lane": "overnight"})
    assert ("screen", "overnight", paused_) in rung


def test_a_broker_that_is_away_keeps_nobody_from_resuming(
    admin: Browser, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise ServiceFault("", Reason.BROKER_UNAVAILABLE)

    work.make(database, 1, State.READY)
    with database.write() as session:
        pauses.pause(session, "all", "new release", "ada")
    monkeypatch.setattr(Bell, "ring", away)
    assert admin.post("/queue/resume", {"lane": "all"}).status_code == 303
    assert paused(database) == {}
    assert "The message broker does not answer; the work is taken up" in admin.get("/batches").text


def test_everybody_sees_the_pause_on_the_list_and_on_the_batches(reader: Browser, database: Database) -> None:
    for path in ("/", "/batches"):
        assert "is paused" not in reader.get(path).text
    with database.write() as session:
        pauses.pause(session, "all", "new release", "ada")
        batch = makers.batch(session).id
    for path in ("/", "/batches", f"/batches/{batch}"):
        text = reader.get(path).text
        assert "The whole queue is paused" in text, path
        assert "new release" in text, path


def test_a_batch_tells_of_the_pause_of_its_own_lane_only(reader: Browser, database: Database) -> None:
    with database.write() as session:
        pauses.pause(session, "urgent", "reason one", "ada")
        pauses.pause(session, "normal", "reason two", "ada")
        batch = makers.batch(session, lane="normal").id
    text = reader.get(f"/batches/{batch}").text
    assert "reason two" in text
    assert "reason one" not in text


def test_a_reader_can_neither_pause_nor_resume(reader: Browser, database: Database) -> None:
    assert reader.post("/queue/pause", {"lane": "all", "reason": "because"}).status_code == 403
    with database.write() as session:
        pauses.pause(session, "all", "because", "ada")
    assert reader.post("/queue/resume", {"lane": "all"}).status_code == 403
    assert set(paused(database)) == {"all"}
    assert "/queue/resume" not in reader.get("/batches").text


def test_what_is_no_pause(admin: Browser, database: Database) -> None:
    assert admin.post("/queue/pause", {"lane": "morning", "reason": "x"}).status_code == 400
    assert admin.post("/queue/pause", {"lane": "urgent", "reason": " "}).status_code == 303
    assert "Not paused: a reason has" in admin.get("/batches").text
    admin.post("/queue/resume", {"lane": "urgent"})
    assert "Lane urgent was not paused." in admin.get("/batches").text
    assert paused(database) == {}
    assert admin.get("/queue/pause").status_code == 405


def test_what_waits_is_counted_by_lane(reader: Browser, database: Database) -> None:
    with database.write() as session:
        batch = makers.batch(session)
        for state in (State.RECEIVED, State.READY, State.SCREENING, State.WAITING, State.DONE, State.FAILED):
            makers.study(session, batch, state)
        session.add(Screening(study_id=makers.study(session, batch).id, state=State.READY, lane="normal", shadow=True,
                              created_at=makers.NIGHT, changed_at=makers.NIGHT))  # fmt: skip
    text = reader.get("/batches").text.split('data-lane="normal"')[1].split("</tr>")[0]
    numbers = [part.split("<")[0] for part in text.split('class="number">')[1:]]
    assert numbers == ["2", "1", "1"]
