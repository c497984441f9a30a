"""security.md, "Served files": lines 13 to 16. What is given back to a browser can neither run nor be guessed."""

import hashlib
import io
import re
import urllib.request

import numpy as np
import pytest
from flask import Flask
from PIL import Image as Picture
from sqlalchemy import select, update

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.decoding import decode, previews
from cspine.reasons import Reason
from cspine.settings import Settings
from cspine.tables import Audit, ReceivedFile
from tests.cspine.decoding.objects import dicom, ramp
from tests.cspine.records import makers
from tests.web import wire
from tests.web.conftest import Browser, Server
from tests.web.test_upload import picture, send
from web.studies import originals

pytestmark = pytest.mark.services

PROGRAM = b"MZ\x90\0 a program in the preamble"
FILM = PROGRAM.ljust(128, b"\x90") + dicom(ramp(), PatientName="Doe^Jane", PatientID="4711")[128:]
MEBIBYTE = 2**20


@pytest.fixture
def film(reader: Browser, database: Database) -> ReceivedFile:
    """Upload a film with a program in its preamble."""
    return uploaded(reader, database, FILM, "Doe_Jane.dcm")


def uploaded(browser: Browser, database: Database, data: bytes, name: str) -> ReceivedFile:
    assert send(browser, (data, name)).status_code == 303
    with database.read() as session:
        return session.scalars(select(ReceivedFile).order_by(ReceivedFile.id.desc()).limit(1)).one()


def address(file: ReceivedFile) -> str:
    return f"/studies/{file.study_id}/files/{file.id}/original"


def test_line_13_the_original_is_saved_under_a_name_of_ours_with_a_zeroed_preamble(
    reader: Browser, film: ReceivedFile, blobs: BlobStore
) -> None:
    answer = reader.get(address(film))
    assert answer.status_code == 200
    assert answer.data == bytes(128) + FILM[128:]
    headers = answer.headers
    assert headers["Content-Disposition"] == f'attachment; filename="cspine-{film.study_id}-{film.id}.dcm"'
    assert headers["Content-Type"] == "application/dicom"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert int(headers["Content-Length"]) == len(FILM)
    assert blobs.get(film.blob_key or "") == FILM, "what is stored stays as it came"
    assert film.sha256 == hashlib.sha256(FILM).hexdigest()
    assert "executable_preamble" in film.flags


@pytest.mark.parametrize(
    ("data", "name", "suffix"),
    [(picture(), "x.html", "png"), (picture() + b"<html><script>alert(1)</script>", "x.svg", "png")],
)
def test_line_13_a_picture_is_saved_as_bytes_of_no_kind(
    reader: Browser, database: Database, data: bytes, name: str, suffix: str
) -> None:
    file = uploaded(reader, database, data, name)
    answer = reader.get(address(file))
    assert answer.data == data
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="cspine-{file.study_id}-{file.id}.{suffix}"'


def test_line_13_without_a_preamble_nothing_is_zeroed(reader: Browser, database: Database) -> None:
    data = dicom(ramp())[132:]
    file = uploaded(reader, database, data, "bare.dcm")
    assert file.kind == "dicom"
    assert reader.get(address(file)).data == data


def test_line_13_who_saved_what_is_in_the_audit(reader: Browser, film: ReceivedFile, database: Database) -> None:
    reader.get(address(film))
    with database.read() as session:
        row = session.scalars(select(Audit).where(Audit.action == "download")).one()
    assert (row.actor, row.subject, row.detail) == ("rita", film.study_id, {"file": film.id})


def test_line_13_the_original_needs_a_session_and_its_own_study(
    stranger: Browser, reader: Browser, film: ReceivedFile, database: Database
) -> None:
    assert stranger.get(address(film)).status_code == 302
    assert stranger.get(address(film), headers={"Accept": "application/json"}).status_code == 401
    with database.write() as session:
        other = makers.study(session, makers.batch(session, name="other"))
        unkept = makers.file(session, session.get_one(makers.Batch, other.batch_id), other, blob_key=None)
    for study, file in ((other.id, film.id), (other.id, unkept.id), (film.study_id, film.id + 999), ("x", film.id)):
        assert reader.get(f"/studies/{study}/files/{file}/original").status_code == 404
    with database.read() as session:
        assert session.scalars(select(Audit).where(Audit.action == "download")).all() == []


def test_line_13_a_rejected_file_of_the_study_is_given_too(
    reader: Browser, film: ReceivedFile, database: Database
) -> None:
    with database.write() as session:
        session.execute(update(ReceivedFile).values(disposition="rejected", reason="corrupt"))
    assert reader.get(address(film)).status_code == 200
    page = reader.get(f"/studies/{film.study_id}").text
    assert address(film) in page
    assert Reason.CORRUPT.sentence in page


def test_line_13_an_original_that_is_gone_is_a_page_that_says_so(
    reader: Browser, film: ReceivedFile, blobs: BlobStore
) -> None:
    blobs.delete(film.blob_key or "")
    answer = reader.get(address(film))
    assert answer.status_code == 404
    assert Reason.BLOB_MISSING.sentence in answer.text
    assert reader.get(address(film)).status_code == 404, "the place is free again"


def test_line_13_the_page_shows_each_file_and_says_what_is_taken_out(reader: Browser, film: ReceivedFile) -> None:
    page = reader.get(f"/studies/{film.study_id}").text
    for words in ("Doe_Jane.dcm", film.sha256 or "", Reason.EXECUTABLE_PREAMBLE.sentence, address(film),
                  "the first 128 bytes of a DICOM file, where a program can hide"):  # fmt: skip
        assert words in page, words


def test_line_13_beyond_their_share_of_threads_downloads_are_told_to_wait(
    app: Flask, reader: Browser, film: ReceivedFile
) -> None:
    slots = app.extensions[originals.EXTENSION]
    taken = [slots.acquire(blocking=False) for _ in range(app.extensions["cspine"].settings.web_threads // 4)]
    assert all(taken)
    assert reader.get(address(film)).status_code == 503
    slots.release()
    for _ in range(3):
        with reader.get(address(film)) as answer:
            assert answer.status_code == 200


def test_line_13_a_large_original_takes_no_memory(
    reader: Browser, film: ReceivedFile, server: Server, settings: Settings
) -> None:
    size = 300 * MEBIBYTE
    with (settings.var / "blobs" / (film.blob_key or "")).open("r+b") as blob:
        blob.truncate(size)  # a hole at its end costs no disk
    name, _, value = wire.cookie(reader).strip().partition(": ")
    request = urllib.request.Request(server[0] + address(film), headers={name: value})
    before = wire.peak(server)
    with urllib.request.urlopen(request) as answer:
        received = sum(len(piece) for piece in iter(lambda: answer.read(MEBIBYTE), b""))
    assert received == size
    assert wire.peak(server) - before < 32 * MEBIBYTE


def test_line_14_a_picture_is_served_encoded_anew(
    reader: Browser, database: Database, blobs: BlobStore, settings: Settings
) -> None:
    data = picture() + b"<html><script>alert(1)</script></html>"
    with database.write() as session:
        study = makers.study(session, makers.batch(session))
        made, _ = previews(decode(io.BytesIO(data), "x.png", settings).frames[0])
        file = makers.file(session, session.get_one(makers.Batch, study.batch_id), study)
        image = makers.image(session, study, file, preview_key=blobs.put_bytes(made, ".jpg"))
    answer = reader.get(f"/studies/{study.id}/images/{image.id}/preview")
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert b"script" not in answer.data
    assert answer.data.startswith(b"\xff\xd8")
    assert answer.data.endswith(b"\xff\xd9")
    assert np.asarray(Picture.open(io.BytesIO(answer.data))).shape == (120, 100)


CLIMBS = ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/etc/passwd",
          "%2fetc%2fpasswd", "1.2/3.4", "1.2%2f3.4", "-1", "1e3", "x"]  # fmt: skip


@pytest.mark.parametrize("climb", CLIMBS)
def test_line_15_a_path_parameter_reaches_no_file(reader: Browser, film: ReceivedFile, climb: str) -> None:
    own = f"/studies/{film.study_id}"
    for path in (f"/studies/{climb}", f"/studies/{climb}/thumbnail", f"/studies/{climb}/files/{film.id}/original",
                 f"{own}/files/{climb}/original", f"{own}/images/{climb}/preview", f"{own}/images/{climb}/saliency",
                 f"/batches/{climb}", f"/static/{climb}"):  # fmt: skip
        answer = reader.get(path, follow_redirects=True)  # werkzeug makes one slash of two
        assert answer.status_code == 404, path
        assert "root:" not in answer.text


def test_line_15_a_path_that_is_not_made_tidy_by_a_client_reaches_no_file(reader: Browser, server: Server) -> None:
    for path in ("/static/../../../etc/passwd", "/../../etc/passwd", "//etc/passwd", "/static/%2e%2e/__init__.py"):
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{wire.cookie(reader)}\r\n"
        assert wire.ask(server, [head.encode()]) == 404, path


def test_line_16_no_address_on_a_page_holds_patient_data(reader: Browser, film: ReceivedFile) -> None:
    for path in ("/", f"/studies/{film.study_id}", "/batches", "/failures", "/upload"):
        for found in re.findall(r"""(?:href|src|action|data-[a-z]+)="([^"]*)\"""", reader.get(path).text):
            assert not re.search(r"Doe|Jane|4711|1\.2\.826", found), (path, found)
