"""The batch pages: ledger, files, and the event stream."""

import json
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update
from werkzeug.test import TestResponse

from cspine.database import Database
from cspine.settings import Settings
from cspine.states import Disposition, State
from cspine.tables import Batch, ReceivedFile, Screening
from tests.cspine.records import makers
from tests.web.conftest import AddUser, Browser, signed_in
from web import create_app, live

pytestmark = pytest.mark.services


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """End every stream after its first look."""
    return settings.model_copy(update={"stream_seconds": 0.01, "web_threads": 2})


@pytest.fixture
def batch(database: Database) -> str:
    """Make a batch with a file in each of several buckets; return its id."""
    with database.write() as session:
        batch = makers.batch(session, name="night", created_by="rita")
        done = makers.study(session, batch)
        makers.study(session, batch, State.FAILED)
        makers.study(session, batch, State.READY)
        makers.file(session, batch, done, disposition=Disposition.DUPLICATE, original=False, sha256="1" * 64)
        makers.file(session, batch, disposition=Disposition.REJECTED, reason="truncated", name="cut.dcm")
        makers.file(session, batch, disposition=Disposition.NOT_AN_IMAGE, reason="non_image_object")
        return batch.id


def events(answer: TestResponse) -> list[dict[str, Any]]:
    """Return the events of a stream as id and data."""
    found = []
    for block in answer.text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in fields:
            found.append({"id": fields["id"], "data": json.loads(fields["data"])})
    return found


def test_the_list_has_every_ledger(reader: Browser, batch: str) -> None:
    text = reader.get("/batches").text
    assert "by rita" in text
    assert 'data-count="received">6<' in text
    assert 'data-count="waiting">1<' in text
    assert "balanced" in text
    assert "NOT BALANCED" not in text


def test_the_ledger_and_the_files_of_a_batch(reader: Browser, batch: str) -> None:
    text = reader.get(f"/batches/{batch}").text
    counts = {"analysed": 1, "duplicate": 1, "not_an_image": 1, "rejected": 1, "failed": 1, "quarantined": 0,
              "cancelled": 0, "waiting": 1, "received": 6}  # fmt: skip
    for name, count in counts.items():
        assert f'data-count="{name}">{count}<' in text, name
    assert "cut.dcm" in text
    assert "The file ends before its picture does; send it again from the source." in text
    assert 'role="alert" data-alarm hidden' in text
    assert "An aid for reading order, not a diagnosis." in text


def test_a_study_without_a_usable_image_can_be_tried_again(reader: Browser, database: Database) -> None:
    """Its file was rejected, so that the ledger counts nothing that failed."""
    with database.write() as session:
        own = makers.batch(session)
        makers.study(session, own)
        study = makers.study(session, own, State.FAILED)
        of_study = update(ReceivedFile).where(ReceivedFile.study_id == study.id)
        session.execute(of_study.values(disposition=Disposition.REJECTED, reason="no_usable_image"))
        other = makers.study(session, makers.batch(session, name="other"), State.FAILED)
        batch_id, others = own.id, other.batch_id
    counts = reader.get(f"/batches/{batch_id}/ledger").json
    assert counts is not None
    assert (counts["failed"], counts["rejected"], counts["given_up"]) == (0, 1, 1)
    text = reader.get(f"/batches/{batch_id}").text
    assert '<div id="retry" class="actions">' in text
    assert f'href="/failures?batch={batch_id}"><span data-given-up>1</span>' in text
    with database.write() as session:
        session.execute(update(Screening).where(Screening.study_id == study.id).values(state=State.DONE))
    assert '<div id="retry" class="actions" hidden>' in reader.get(f"/batches/{batch_id}").text
    assert "hidden" not in reader.get(f"/batches/{others}").text.split('id="retry"')[1].split(">")[0]


def test_a_ledger_that_does_not_balance_is_a_red_banner(reader: Browser, batch: str, database: Database) -> None:
    with database.write() as session:
        row = makers.file(session, session.get_one(Batch, batch))  # accepted, but of no study: lost
        assert row.study_id is None
    text = reader.get(f"/batches/{batch}").text
    assert 'role="alert" data-alarm>' in text
    assert "NOT BALANCED" in reader.get("/batches").text


def test_files_are_paged(reader: Browser, batch: str, database: Database) -> None:
    with database.write() as session:
        own = session.get_one(Batch, batch)
        for number in range(120):
            makers.file(session, own, name=f"file{number:03}.png", disposition=Disposition.REJECTED)
    first = reader.get(f"/batches/{batch}").text
    assert "file093.png" in first
    assert "file094.png" not in first
    following = first.split('rel="next" href="')[1].split('"')[0]
    second = reader.get(following).text
    assert "file094.png" in second
    assert "file119.png" in second
    assert 'rel="next"' not in second


def test_batches_are_paged(reader: Browser, database: Database) -> None:
    with database.write() as session:
        for number in range(60):
            makers.batch(session, name=f"batch{number:02}", created_at=makers.NIGHT + timedelta(minutes=number))
    first = reader.get("/batches").text
    assert "batch59" in first
    assert "batch09" not in first
    second = reader.get(first.split('rel="next" href="')[1].split('"')[0]).text
    assert "batch09" in second
    assert "batch00" in second


def test_the_stream_says_the_ledger_and_goes_on_where_it_stopped(
    reader: Browser, batch: str, database: Database
) -> None:
    answer = reader.get(f"/batches/{batch}/events", buffered=True)
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    first = events(answer)
    assert [event["data"]["waiting"] for event in first] == [1]
    seen = {"Last-Event-ID": first[0]["id"]}
    assert events(reader.get(f"/batches/{batch}/events", headers=seen, buffered=True)) == []
    with database.write() as session:
        session.execute(update(Screening).where(Screening.state == State.READY).values(state=State.DONE))
    again = events(reader.get(f"/batches/{batch}/events", headers=seen, buffered=True))
    assert [(event["data"]["waiting"], event["data"]["analysed"]) for event in again] == [(0, 2)]


def test_the_stream_of_the_list_holds_no_names(reader: Browser, batch: str) -> None:
    (event,) = events(reader.get("/batches/events", buffered=True))
    (counts,) = event["data"]["batches"]
    assert counts["id"] == batch
    assert counts["received"] == 6
    assert "batch" not in counts
    assert reader.get("/batches/ledgers").json == event["data"]


def test_beyond_its_share_of_threads_a_stream_is_refused_and_the_ledger_still_answers(
    settings: Settings, database: Database, add_user: AddUser, batch: str
) -> None:
    app: Flask = create_app(settings)  # two threads: one stream
    browser = signed_in(app, database, add_user("rita", "reader"))
    slots = app.extensions[live.EXTENSION]
    slots.acquire()
    assert browser.get(f"/batches/{batch}/events").status_code == 503
    assert browser.get(f"/batches/{batch}/ledger").status_code == 200
    slots.release()
    for _ in range(3):  # a stream that ended gives its place back
        assert browser.get(f"/batches/{batch}/events", buffered=True).text.startswith("retry:")
    app.extensions["cspine"].database.dispose()


def test_odd_addresses(reader: Browser, batch: str) -> None:
    assert reader.get("/batches?before=nothing").status_code == 404
    assert reader.get(f"/batches/{batch}?after=x").status_code == 200
    assert reader.get(f"/batches/{batch}?after=-1").status_code == 200
