"""security.md, "Upload": lines 1 to 4, 7 and 10 to 12, through the form. What a server under load does is in
`test_security_load.py`."""

import io
import re
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from cspine.database import Database
from cspine.settings import Settings
from cspine.tables import Batch, ReceivedFile
from tests.cspine.decoding.objects import dicom, ramp
from tests.cspine.test_archives import packed
from tests.web.conftest import AddUser, Browser, signed_in
from tests.web.test_upload import RAW, archive, body_of, count, form, picture, send
from web import create_app

pytestmark = pytest.mark.services

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"  # in two: scanners read this too
STRANGERS = {
    "html": b"<!doctype html><html><script>alert(1)</script></html>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "js": b"alert(document.cookie)",
    "php": b"<?php system($_GET['c']); ?>",
    "exe": b"MZ\x90\0" + bytes(300),
    "elf": b"\x7fELF" + bytes(300),
    "pdf": b"%PDF-1.7\n" + b"x" * 300,
}


def files(database: Database) -> dict[str, ReceivedFile]:
    with database.read() as session:
        return {row.name: row for row in session.scalars(select(ReceivedFile))}


def stored(settings: Settings) -> list[Path]:
    """Return every file of the installation but its database, which lies elsewhere in tests."""
    return [path for path in settings.var.rglob("*") if path.is_file()]


@pytest.mark.parametrize("kind", STRANGERS)
@pytest.mark.parametrize("ending", ["png", "dcm"])
def test_line_01_content_decides_and_not_the_name(
    reader: Browser, database: Database, settings: Settings, kind: str, ending: str
) -> None:
    send(reader, (STRANGERS[kind], f"film.{ending}"))
    row = files(database)[f"film.{ending}"]
    assert (row.disposition, row.reason, row.blob_key) == ("rejected", "unsupported_type", None)
    assert stored(settings) == []


NAMES = {
    "02": ["x.dcm.php", "x.php%00.dcm", "x.dcm;.html", ".htaccess", "x.dcm.", "x.dcm ", "x.dcm::$DATA"],
    "04": ["../../x.png", "..\\..\\x.png", "/etc/x.png", "C:\\x.png", "a%0D%0Ab.png", "x" * 4096 + ".png",
           "\u202egnp.exe", "😀", "..", "a\tb\x7f.png"],
}  # fmt: skip


def shown_and_nothing_more(reader: Browser, database: Database, settings: Settings, name: str) -> None:
    answer = send(reader, (picture(), name))
    assert answer.status_code == 303
    (row,) = files(database).values()
    assert row.name and len(row.name) <= 1000 and row.name.isprintable()
    assert row.blob_key and re.fullmatch(r"[0-9a-f]{2}/[0-9a-f]{30}", row.blob_key)
    assert all(re.fullmatch(r"[0-9a-f]{30}", path.name) for path in stored(settings))
    assert reader.get(answer.location).status_code == 200


@pytest.mark.parametrize("name", NAMES["02"])
def test_line_02_a_name_with_a_second_ending_is_shown_and_nothing_more(
    reader: Browser, database: Database, settings: Settings, name: str
) -> None:
    shown_and_nothing_more(reader, database, settings, name)


@pytest.mark.parametrize("name", NAMES["04"])
def test_line_04_a_name_that_climbs_or_hides_is_shown_and_nothing_more(
    reader: Browser, database: Database, settings: Settings, name: str
) -> None:
    shown_and_nothing_more(reader, database, settings, name)


def test_line_04_nul_in_a_name_is_not_shown_and_what_is_no_text_is_refused(reader: Browser, database: Database) -> None:
    for name, code in ((b"a\0b.png", 303), (b"a\xff\xfe.png", 400)):
        body = body_of(form(reader), (picture(), "NAME")).replace(b"NAME", name)
        assert reader.client.post("/upload", data=body, content_type=RAW).status_code == code
    assert list(files(database)) == ["a\ufffdb.png"]


def test_line_03_the_kind_that_the_browser_says_is_not_asked_for(reader: Browser, database: Database) -> None:
    data: dict[str, Any] = form(reader) | {"files": (io.BytesIO(dicom(ramp())), "film.html", "text/html")}
    reader.client.post("/upload", data=data, content_type="multipart/form-data")
    row = files(database)["film.html"]
    assert (row.disposition, row.kind) == ("accepted", "dicom")


def lying() -> bytes:
    """Return an archive whose entry says that it is shorter than it is."""
    return marked(archive(a=bytes(10**5)), 22, 24, (100).to_bytes(4, "little"))


def marked(data: bytes, local: int, central: int, value: bytes = b"\1") -> bytes:
    """Write over a field of an archive's only entry, in the header before it and in the directory."""
    changed = bytearray(data)
    for at in (local, data.index(b"PK\1\2") + central):
        changed[at : at + len(value)] = value
    return bytes(changed)


ARCHIVES = {  # made by the test that needs one: the module is imported in each process of the tests
    "slip": (lambda: packed({"../../x.png": picture(), "a.png": picture(2)}), "archive_traversal"),
    "absolute": (lambda: packed({"/etc/x.png": picture()}), "archive_traversal"),
    "link": (lambda: packed({"a.png": b"/etc/passwd"}, external_attr=(stat.S_IFLNK | 0o777) << 16),
             "archive_traversal"),
    "bomb": (lambda: packed({"a.png": bytes(80 * 2**20)}), "archive_bomb"),
    "encrypted": (lambda: marked(packed({"a.png": picture()}), 6, 8), "archive_encrypted"),
    "entries": (lambda: packed({f"{number}": b"" for number in range(2500)}, zipfile.ZIP_STORED),
                "archive_too_many_entries"),
}  # fmt: skip


@pytest.mark.parametrize("case", ARCHIVES)
def test_line_07_an_unsound_archive_is_refused_as_a_whole(
    settings: Settings, database: Database, add_user: AddUser, case: str
) -> None:
    app = create_app(settings.model_copy(update={"max_archive_entries": 2400}))
    make, reason = ARCHIVES[case]
    send(signed_in(app, database, add_user("rita", "reader")), (make(), "night.zip"))
    assert {name: row.reason for name, row in files(database).items()} == {"night.zip": reason}
    assert stored(settings) == []


@pytest.mark.parametrize(("inner", "reason"), [(archive(b=picture()), "archive_nested"), (lying(), None)])
def test_line_07_an_unsound_entry_is_refused_alone(
    reader: Browser, database: Database, inner: bytes, reason: str | None
) -> None:
    data = packed({"good.png": picture(9), "bad.png": inner}) if reason else inner
    send(reader, (data, "night.zip"))
    rows = files(database)
    if reason:
        assert {name: row.reason for name, row in rows.items()} == {
            "night.zip!good.png": None, "night.zip!bad.png": reason}  # fmt: skip
    assert all(row.size <= 2**16 or row.disposition != "accepted" for row in rows.values())


def test_line_10_what_is_uploaded_lies_outside_the_web_root_for_its_owner_alone(
    app: Flask, reader: Browser, database: Database, settings: Settings
) -> None:
    send(reader, (picture(), "a.png"))
    (file,) = stored(settings)
    folders = [folder for folder in file.parents if settings.var in folder.parents]
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700] * 2
    assert not file.stat().st_mode & 0o111
    assert app.static_folder and Path(app.static_folder) not in file.parents
    key = f"{file.parent.name}/{file.name}"
    for path in (f"/{key}", f"/var/blobs/{key}", f"/blobs/{key}", f"/static/{key}", f"/static/../../var/blobs/{key}",
                 f"/uploads/{key}", "/static/..%2f..%2fvar%2fsecret_key"):  # fmt: skip
        assert reader.get(path).status_code == 404, path


class Counting(io.BytesIO):
    """A body that knows how far it was read."""


def test_line_11_a_stranger_is_refused_before_the_body_is_read(stranger: Browser, database: Database) -> None:
    body = Counting(b"x" * 1000)
    answer = stranger.client.post("/upload", input_stream=body, content_length=10**9, content_type=RAW)
    assert answer.status_code == 401
    assert body.tell() == 0
    assert count(database, Batch) == 0


def test_line_11_more_uploads_than_a_person_may_send_are_429(
    settings: Settings, database: Database, add_user: AddUser
) -> None:
    app = create_app(settings.model_copy(update={"max_uploads_per_hour": 2}))
    rita = signed_in(app, database, add_user("rita", "reader"))
    assert [send(rita, (picture(seed), "a.png")).status_code for seed in range(4)] == [303, 303, 429, 429]
    refused = send(rita, (picture(9), "a.png"), headers={"Accept": "application/json"})
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 60
    assert count(database, ReceivedFile) == 2
    assert rita.get("/").status_code == 200
    ada = signed_in(app, database, add_user("ada", "reader"))
    assert send(ada, (picture(3), "a.png")).status_code == 303, "each person has a share of her own"


def test_line_12_a_test_virus_is_an_unsupported_file_like_any_other(
    reader: Browser, database: Database, settings: Settings
) -> None:
    send(reader, (packed({"film.dcm": dicom(ramp()), "eicar.com": EICAR, "eicar.dcm": EICAR + b" "}), "study.zip"))
    rows = files(database)
    assert {name: (row.disposition, row.reason) for name, row in rows.items()} == {
        "study.zip!film.dcm": ("accepted", None),
        "study.zip!eicar.com": ("rejected", "unsupported_type"),
        "study.zip!eicar.dcm": ("rejected", "unsupported_type"),
    }
    assert len(stored(settings)) == 1
