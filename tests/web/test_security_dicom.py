"""security.md, "DICOM": lines 17, 18 and 21 to 24, from the form to the page. Line 19 is in `tests/architecture`."""

import re
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from flask import Flask
from sqlalchemy import select

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.reasons import Reason
from cspine.settings import Settings
from cspine.tables import ReceivedFile, Study
from tests.cspine.decoding import objects
from tests.cspine.decoding.objects import dicom, element, ramp
from tests.web import wire
from tests.web.conftest import Browser, Server
from tests.web.test_upload import body_of, form, send
from worker import prepare, tasks
from worker.runtime import Runtime

pytestmark = pytest.mark.services

NAME = b"\x10\0\x10\0PN"  # where patient data begin: private elements of group 9 stand before it
SECRET = "Zzyzx^Quux"


@pytest.fixture
def own(settings: Settings) -> Iterator[Runtime]:
    """Give the runtime of a prepare child."""
    runtime = Runtime(settings, patience=0.0)
    yield runtime
    runtime.database.dispose()


def files(database: Database) -> dict[str, ReceivedFile]:
    with database.read() as session:
        return {row.name: row for row in session.scalars(select(ReceivedFile))}


def prepared(own: Runtime) -> None:
    """Do what a prepare child does, until nothing is due."""
    while held := prepare.claim(own):
        tasks.attempt(own, held, prepare.run)


def with_private(private: bytes, **attributes: object) -> bytes:
    data = dicom(ramp(), **attributes)
    at = data.index(NAME)
    return data[:at] + private + data[at:]


@pytest.mark.parametrize("program", [b"MZ\x90\0", b"\x7fELF\2\1\1", b"#!/bin/sh\n"])
def test_line_17_a_program_in_the_preamble_is_flagged_and_its_picture_read(
    reader: Browser, database: Database, own: Runtime, program: bytes
) -> None:
    send(reader, (program + dicom(ramp())[len(program) :], "a.dcm"))
    prepared(own)
    row = files(database)["a.dcm"]
    assert (row.disposition, row.decoded) == ("accepted", True)
    assert "executable_preamble" in row.flags


def nested(levels: int) -> bytes:
    sequence = struct.pack("<HH2sHL", 0x9, 0x1010, b"SQ", 0, 0xFFFFFFFF)
    return (sequence + struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)) * levels


def deflated_bomb() -> bytes:
    data = dicom(ramp(), objects.DEFLATED)
    at = data.index(b"1.2.840.10008.1.2.1.99") + 22
    packer = zlib.compressobj(wbits=-15)
    pieces = [packer.compress(element(0x00091010, "UN", bytes(2**24))) for _ in range(8)]
    return data[:at] + b"".join(pieces) + packer.flush()


BOUNDED = {
    "oversize length": (with_private(struct.pack("<HH2sHL", 0x9, 0x1010, b"UN", 0, 0xFFFFFFF0)), "truncated"),
    "2000 nested": (with_private(nested(2000)), "nesting_too_deep"),
    "17 PB": (dicom(ramp(), Rows=65535, Columns=65535, NumberOfFrames=2**22), "too_many_pixels|bad_geometry|truncated"),
    "deflate bomb": (deflated_bomb, "decompression_bomb"),
    "constant": (dicom(np.full((64, 48), 7, np.uint16)), "blank_image"),
    "empty": (b"", "empty_file"),
}


@pytest.mark.parametrize("case", BOUNDED)
def test_line_18_what_is_out_of_bounds_ends_by_name(
    reader: Browser, database: Database, own: Runtime, case: str
) -> None:
    made, reasons = BOUNDED[case]
    assert send(reader, (made() if callable(made) else made, "a.dcm")).status_code in {303, 422}
    prepared(own)
    row = files(database)["a.dcm"]
    assert {row.reason, *row.flags} & set(reasons.split("|"))


@pytest.mark.parametrize("uid", ["../../etc/passwd", "1.2/3.4", "1.2\\..\\3", "1." * 40 + "1", "<script>", "1.2;rm"])
def test_line_21_a_uid_is_no_part_of_a_path_and_no_key(
    reader: Browser, database: Database, own: Runtime, blobs: BlobStore, settings: Settings, uid: str
) -> None:
    answer = send(reader, (dicom(ramp(), StudyInstanceUID=uid, SeriesInstanceUID=uid, SOPInstanceUID=uid), "a.dcm"))
    prepared(own)
    with database.read() as session:
        study = session.scalars(select(Study)).one()
    assert re.fullmatch(r"[0-9.]{1,64}", study.study_uid)
    assert "bad_uid" in files(database)["a.dcm"].flags
    assert answer.location == f"/studies/{study.id}"
    for path in settings.var.rglob("*"):
        assert not path.is_file() or re.fullmatch(r"[0-9a-f]{30}(\.png|\.jpg)?", path.name), path
    assert len(list(blobs.keys())) == 4
    assert reader.get(f"/studies/{study.study_uid}").status_code == 404, "a study is asked for by our own id"


def test_line_22_private_and_encapsulated_values_are_never_rendered(
    reader: Browser, database: Database, own: Runtime
) -> None:
    mark = b"<b>private-mark</b> "
    private = element(0x00090010, "LO", b"ACME") + element(0x00091001, "LO", mark) + element(0x00091002, "UN", mark)
    answer = send(reader, (with_private(private, MIMETypeOfEncapsulatedDocument="text/html",
                                        EncapsulatedDocument=mark), "a.dcm"))  # fmt: skip
    prepared(own)
    for path in (answer.location, "/", "/batches", f"{answer.location}/state"):
        assert "private-mark" not in reader.get(path).text, path


def test_line_23_no_log_line_and_no_error_page_holds_patient_data(reader: Browser, server: Server) -> None:
    secret = {"PatientName": SECRET, "PatientID": "Qq4711qQ\r\nforged", "StudyDescription": "Xyzzy neck"}
    good, bad = dicom(ramp(), **secret), dicom(ramp(), StudyDate="no date", **secret)[:-300]
    body = body_of(form(reader), (good, f"{SECRET}.dcm"), (bad, "Qq4711qQ.dcm"), (b"<html>", "Xyzzy.dcm"))
    assert wire.ask(server, [wire.head(reader, "/upload", f"Content-Length: {len(body)}"), body]) == 303
    for path in (f"/nothing?name={SECRET}", f"/studies/x?image={SECRET}", f"/batches/x?after={SECRET}"):
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{wire.cookie(reader)}\r\n"
        with wire.connect(server) as connection:
            connection.sendall(head.encode())
            page = b"".join(iter(lambda: connection.recv(2**16), b""))
        assert page.startswith(b"HTTP/1.1 404")
        assert b"Zzyzx" not in page
    paths = {record.get("path") for record in wire.records(server)}  # each line is one record
    assert {"/upload", "/nothing"} <= paths
    for word in ("Zzyzx", "Quux", "Qq4711qQ", "Xyzzy", "forged"):
        assert word not in server[2].read_text()


@pytest.mark.parametrize(
    ("sop_class", "modality"),
    [("1.2.840.10008.5.1.4.1.1.104.1", "DOC"), ("1.2.840.10008.5.1.4.1.1.88.11", "SR")],
)
def test_line_24_a_document_is_never_opened_in_the_page(
    app: Flask, reader: Browser, database: Database, sop_class: str, modality: str
) -> None:
    document = dicom(None, SOPClassUID=sop_class, Modality=modality, MIMETypeOfEncapsulatedDocument="application/pdf",
                     EncapsulatedDocument=b"%PDF-1.7 <script>")  # fmt: skip
    for data, name in ((dicom(ramp()), "a.dcm"), (document, "report.dcm")):
        send(reader, (data, name))
    row = files(database)["report.dcm"]
    assert (row.disposition, row.reason) == ("not_an_image", Reason.NON_IMAGE_OBJECT.value)
    study_id = files(database)["a.dcm"].study_id
    page = reader.get(f"/studies/{study_id}").text
    assert not re.search(r"<(?:iframe|embed|object)", page)
    answer = reader.get(f"/studies/{study_id}/files/{row.id}/original")
    assert answer.status_code == 404 or answer.headers["Content-Disposition"].startswith("attachment")
