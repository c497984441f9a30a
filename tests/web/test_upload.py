"""Upload: one form is one job, however it is sent; what is refused is refused before it is stored."""

import io
import re
import zipfile
from typing import Any

import numpy as np
import pytest
from flask import Flask
from PIL import Image as Picture
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.errors import ServiceFault
from cspine.queue import Bell
from cspine.reasons import Reason
from cspine.settings import Settings
from cspine.tables import Audit, Batch, ReceivedFile, Study, Submission
from tests.web.conftest import AddUser, Browser, signed_in
from web import create_app
from web.upload.receive import Received

pytestmark = pytest.mark.services

NONCE = re.compile(r'name="nonce" value="([^"]+)"')
RAW = "multipart/form-data; boundary=x"
JSON = {"Accept": "application/json"}


def picture(seed: int = 1) -> bytes:
    """Return a PNG that is unlike that of any other seed."""
    pixels = np.random.default_rng(seed).integers(0, 255, (120, 100), np.uint8)
    buffer = io.BytesIO()
    Picture.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def archive(**entries: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in entries.items():
            file.writestr(f"{name}.png", data)
    return buffer.getvalue()


def form(browser: Browser) -> dict[str, str]:
    """Open the upload page and return the hidden fields of its form."""
    text = browser.get("/upload").text
    found = NONCE.search(text)
    assert found
    return {"csrf_token": browser.token("/upload"), "nonce": found[1]}


def send(
    browser: Browser, *files: tuple[bytes, str], fields: dict[str, str] | None = None, **options: Any
) -> TestResponse:
    """Send a form with these files; fields stand before files, as browsers send them."""
    data: dict[str, Any] = dict(fields or form(browser))
    data["files"] = [(io.BytesIO(content), name) for content, name in files]
    return browser.client.post("/upload", data=data, content_type="multipart/form-data", **options)


def body_of(fields: dict[str, str], *files: tuple[bytes, str]) -> bytes:
    """Write a form's body by hand, with the boundary x."""
    parts = [f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
             for name, value in fields.items()]  # fmt: skip
    for content, name in files:
        parts.append(f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode())
        parts.append(content + b"\r\n")
    return b"".join(parts) + b"--x--\r\n"


def count(database: Database, table: type) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def finished(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count(Submission.finished_at))) or 0


def test_the_form_works_without_script(reader: Browser) -> None:
    text = reader.get("/upload").text
    assert 'method="post"' in text
    assert 'enctype="multipart/form-data"' in text
    assert 'type="file" name="files" id="files" multiple required' in text
    assert '<option value="urgent">' in text
    assert form(reader)["nonce"] != form(reader)["nonce"]


def test_one_picture_by_itself_leads_to_its_study(reader: Browser, database: Database) -> None:
    answer = send(reader, (picture(), "neck.png"))
    with database.read() as session:
        study = session.scalars(select(Study)).one()
        file = session.scalars(select(ReceivedFile)).one()
        audit = session.scalars(select(Audit).where(Audit.action == "upload")).one()
    assert (answer.status_code, answer.location) == (303, f"/studies/{study.id}")
    assert (file.name, file.disposition, file.kind) == ("neck.png", "accepted", "png")
    assert (audit.actor, audit.subject, audit.detail) == ("rita", study.batch_id, {"accepted": 1})
    page = reader.get(answer.location).text
    assert "received:" not in page
    assert "neck.png" in page


def test_the_same_picture_again_leads_to_the_same_study(reader: Browser, database: Database) -> None:
    first = send(reader, (picture(), "a.png"))
    second = send(reader, (picture(), "b.png"))
    assert second.location == first.location
    assert count(database, Study) == 1
    assert "1 received before" in reader.get(second.location).text


def test_files_and_an_archive_lead_to_the_batch(reader: Browser, database: Database) -> None:
    fields = form(reader) | {"batch": " Night of Monday ", "lane": "urgent"}
    answer = send(reader, (picture(1), "a.png"), (archive(b=picture(2), c=picture(1)), "d.zip"), (b"text", "e.png"),
                  fields=fields)  # fmt: skip
    with database.read() as session:
        batch = session.scalars(select(Batch)).one()
        rows = {row.name: row.disposition for row in session.scalars(select(ReceivedFile))}
    assert (batch.name, batch.lane, batch.created_by) == ("Night of Monday", "urgent", "rita")
    assert answer.location == f"/batches/{batch.id}"
    assert rows == {"a.png": "accepted", "d.zip!b.png": "accepted", "d.zip!c.png": "duplicate", "e.png": "rejected"}
    assert "4 files received: 2 accepted, 1 received before, 1 could not be read." in reader.get(answer.location).text


def test_the_name_of_a_batch_is_cleaned_and_cut_to_its_column(reader: Browser, database: Database) -> None:
    send(reader, (picture(), "a.png"), fields=form(reader) | {"batch": "Night\0\u202e" + "x" * 300})
    with database.read() as session:
        name = session.scalars(select(Batch.name)).one()
    assert (name.isprintable(), name[:7], len(name)) == (True, "Night��", 200)


def test_files_that_cannot_be_read_are_refused_with_their_reasons_and_stand_in_the_ledger(reader: Browser) -> None:
    answer = send(reader, (b"<html>", "x.dcm"), (b"", "y.dcm"))
    assert answer.status_code == 422
    for reason in (Reason.UNSUPPORTED_TYPE, Reason.EMPTY_FILE):
        assert reason.sentence in answer.text
    (address,) = re.findall(r'href="(/batches/[^"]+)"', answer.text)
    assert Reason.UNSUPPORTED_TYPE.sentence in reader.get(address).text
    assert send(reader, (b"<html>", "again.dcm")).status_code == 422
    told = send(reader, (b"%PDF-1.7", "z.png"), headers=JSON)
    assert (told.status_code, told.json["reasons"]) == (422, ["unsupported_type"])
    assert told.json["location"].startswith("/batches/")


def test_one_readable_file_among_others_is_an_upload(reader: Browser) -> None:
    assert send(reader, (b"<html>", "x.dcm"), (picture(), "a.png")).status_code == 303


def test_a_script_gets_the_address_as_json(reader: Browser, database: Database) -> None:
    answer = send(reader, (picture(), "a.png"), headers=JSON)
    with database.read() as session:
        assert answer.json == {"location": f"/studies/{session.scalars(select(Study.id)).one()}"}


def test_a_double_click_is_one_job(reader: Browser, database: Database) -> None:
    fields = form(reader)
    first = send(reader, (picture(1), "a.png"), (picture(2), "b.png"), fields=fields)
    second = send(reader, (picture(1), "a.png"), (picture(2), "b.png"), fields=fields)
    assert first.location == second.location
    assert count(database, ReceivedFile) == 2
    assert count(database, Batch) == 1


def test_no_file_is_said_and_makes_no_batch(reader: Browser, database: Database) -> None:
    for options in ({}, {"headers": JSON}):
        answer = send(reader, (b"", ""), **options)
        assert answer.status_code == 400
        assert "Choose at least one file." in answer.text
    assert count(database, Batch) == 0


def test_without_a_token_nothing_is_read(reader: Browser, database: Database) -> None:
    for fields in ({"nonce": "n" * 22}, {"csrf_token": "x", "nonce": "n" * 22}, form(reader) | {"nonce": ""},
                   form(reader) | {"lane": "express"}):  # fmt: skip
        assert send(reader, (picture(), "a.png"), fields=fields).status_code == 400
    assert count(database, ReceivedFile) == 0


def test_a_token_after_the_files_comes_too_late(reader: Browser, database: Database) -> None:
    fields = form(reader)
    late = body_of({"nonce": fields["nonce"]}, (picture(), "a.png"))[: -len(b"--x--\r\n")]
    late += body_of({"csrf_token": fields["csrf_token"]})
    assert reader.client.post("/upload", data=late, content_type=RAW).status_code == 400
    assert count(database, ReceivedFile) == 0


@pytest.fixture
def small(settings: Settings, database: Database, add_user: AddUser) -> Browser:
    """A reader of an installation that takes little: 40 kB, 3 files, 20 kB each."""
    limits = {"max_upload_bytes": 40_000, "max_upload_files": 3, "max_file_bytes": 20_000}
    app = create_app(settings.model_copy(update=limits))
    return signed_in(app, database, add_user("rita", "reader"))


def test_too_many_bytes_are_413_for_people_and_scripts(small: Browser, database: Database) -> None:
    big = b"x" * 50_000
    page = send(small, (big, "a.png"))
    assert page.status_code == 413
    assert "More bytes or more files were sent than this installation accepts." in page.text
    assert send(small, (big, "a.png"), headers=JSON).json == {"error": page.text.split("<p>")[1].split("<")[0]}
    assert count(database, ReceivedFile) == 0


def test_too_many_files_are_413(small: Browser) -> None:
    assert send(small, *[(picture(i)[:9000], f"{i}.png") for i in range(4)]).status_code == 413


def test_too_many_or_too_large_fields_are_413(reader: Browser) -> None:
    many = form(reader) | {f"field{i}": "x" for i in range(50)}
    assert send(reader, (picture(), "a.png"), fields=many).status_code == 413
    large = body_of(form(reader) | {"batch": "x" * 600_000}, (picture(), "a.png"))
    assert reader.client.post("/upload", data=large, content_type=RAW).status_code == 413


def test_a_file_that_is_too_large_is_in_the_ledger_and_its_neighbours_go_on(small: Browser, database: Database) -> None:
    answer = send(small, (b"x" * 25_000, "big.png"), (picture()[:5000], "cut.png"))
    assert answer.status_code == 303
    with database.read() as session:
        rows = {row.name: row.reason for row in session.scalars(select(ReceivedFile))}
    assert rows["big.png"] == "too_large"
    assert "cut.png" in rows


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
                                  "multipart/form-data; boundary="])  # fmt: skip
def test_what_is_no_form_is_400(reader: Browser, kind: str) -> None:
    assert reader.client.post("/upload", data=b"a=b", content_type=kind).status_code == 400


def test_a_transfer_that_breaks_off_keeps_what_had_arrived_and_can_be_sent_again(reader: Browser,
                                                                               database: Database) -> None:  # fmt: skip
    body = body_of(form(reader), (picture(1), "a.png"), (picture(2), "b.png"))
    assert reader.client.post("/upload", data=body[:-500], content_type=RAW).status_code == 400
    assert count(database, ReceivedFile) == 1
    assert finished(database) == 0
    assert reader.client.post("/upload", data=body, content_type=RAW).status_code == 303
    assert finished(database) == 1
    assert count(database, Study) == 2


def test_a_full_disk_is_507_in_words(reader: Browser, monkeypatch: pytest.MonkeyPatch, database: Database) -> None:
    def full(*_: object, **__: object) -> None:
        raise ServiceFault("OSError", Reason.STORAGE_FULL)

    monkeypatch.setattr(BlobStore, "put", full)
    page = send(reader, (picture(), "a.png"))
    assert page.status_code == 507
    assert Reason.STORAGE_FULL.sentence in page.text
    assert send(reader, (picture(), "a.png"), headers=JSON).json == {"error": Reason.STORAGE_FULL.sentence}
    assert finished(database) == 0


def test_an_upload_that_the_server_did_not_survive_is_taken_when_it_is_sent_again(
    reader: Browser, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = form(reader)
    with monkeypatch.context() as killed:  # after the form's row and before its first file, nothing more is run
        killed.setattr("web.upload.pages.receive", lambda *_: Received())
        send(reader, (picture(), "a.png"), fields=fields)
    assert count(database, Submission) == 1
    answer = send(reader, (picture(), "a.png"), fields=fields)
    with database.read() as session:
        assert answer.location == f"/studies/{session.scalars(select(Study.id)).one()}"
    assert count(database, Batch) == 1


def test_without_a_broker_it_succeeds_and_says_that_work_is_waiting(settings: Settings, database: Database,
                                                                    add_user: AddUser) -> None:  # fmt: skip
    app = create_app(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    browser = signed_in(app, database, add_user("rita", "reader"))
    answer = send(browser, (picture(), "a.png"))
    assert answer.status_code == 303
    text = browser.get(answer.location).text
    assert Reason.BROKER_UNAVAILABLE.sentence in text
    assert "waiting for a worker to decode it" in text


def test_the_bell_rings_once_for_a_study(reader: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[int] = []
    monkeypatch.setattr(Bell, "ring", lambda self, stage, lane, ids: rung.extend(ids))
    send(reader, (picture(), "a.png"))
    assert len(rung) == 1


def test_beyond_their_share_of_threads_uploads_are_told_to_wait(app: Flask, reader: Browser) -> None:
    slots = app.extensions["cspine_uploads"].slots
    taken = 0
    while slots.acquire(blocking=False):
        taken += 1
    assert taken == app.extensions["cspine"].settings.web_threads // 4
    assert send(reader, (picture(), "a.png")).status_code == 503
    for _ in range(taken):
        slots.release()
    assert send(reader, (picture(), "a.png")).status_code == 303
