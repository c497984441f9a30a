"""Headers, CSRF, foreign origins, escaping: the lines of security.md that concern every page."""

import re

import pytest
from flask import Flask
from sqlalchemy import select

from cspine.database import Database
from cspine.errors import ServiceFault, Usage
from cspine.reasons import Reason
from cspine.settings import Settings
from cspine.states import State
from cspine.tables import Screening, Study
from tests.cspine.records import makers
from tests.web.conftest import AddUser, Browser, signed_in
from web import create_app

pytestmark = pytest.mark.services

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}"


@pytest.fixture
def study_id(database: Database) -> str:
    """Make a failed study whose every text is an attack."""
    with database.write() as session:
        batch = makers.batch(session, name=EVIL, created_by=EVIL[:80])
        study = makers.study(session, batch, State.FAILED, patient_name=EVIL, patient_id=EVIL[:100],
                             study_description=EVIL, accession_number=EVIL[:100], station=EVIL[:100])  # fmt: skip
        makers.file(session, batch, study, name=EVIL)
        session.execute(Screening.__table__.update().values(fingerprint="f00d", reason="corrupt",  # type: ignore[attr-defined]
                                                            error_kind="permanent"))  # fmt: skip
        return study.id


def test_line_16_headers_of_a_page(reader: Browser) -> None:
    headers = reader.get("/").headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "strict-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["Cache-Control"] == "no-store"


def test_line_16_headers_stand_on_errors_and_on_static_files_too(stranger: Browser) -> None:
    for path in ("/login", "/nothing", "/healthz", "/static/cspine.css"):
        with stranger.get(path) as answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "Content-Security-Policy" in answer.headers


def test_line_16_no_page_holds_inline_script_style_or_another_host(reader: Browser, study_id: str) -> None:
    for path in ("/", f"/studies/{study_id}", "/upload", "/batches", "/failures", "/failures/studies",
                 "/account"):  # fmt: skip
        text = reader.get(path).text
        assert not re.search(r"<script(?![^>]* src=\"/static/)", text), path
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"", text), path
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", text), path


def test_cookie_flags(stranger: Browser, settings: Settings) -> None:
    cookie = stranger.get("/login").headers["Set-Cookie"]
    assert cookie.startswith("cspine=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    secure = create_app(settings.model_copy(update={"secure_cookies": True}))
    cookie = secure.test_client().get("/login").headers["Set-Cookie"]
    assert cookie.startswith("__Host-cspine=")
    assert "Secure" in cookie


@pytest.mark.parametrize("key", ["", "short", "change-me"])
def test_production_refuses_to_start_without_a_key_of_its_own(settings: Settings, key: str) -> None:
    with pytest.raises(Usage):
        create_app(settings.model_copy(update={"env": "production", "secret_key": key}))


CHANGES = ["/studies/{}/read", "/studies/{}/unread", "/failures/previews", "/failures/bulks/f00d/confirm",
           "/queue/pause", "/queue/resume", "/batches/x/cancel", "/batches/x/deadline", "/logout",
           "/upload", "/account", "/login"]  # fmt: skip


@pytest.mark.parametrize("path", CHANGES)
def test_a_change_without_a_token_is_refused(reader: Browser, study_id: str, path: str, database: Database) -> None:
    path = path.format(study_id)
    assert reader.client.post(path).status_code == 400
    assert reader.client.post(path, data={"csrf_token": "x"}).status_code == 400
    assert reader.client.post(path, data="{}", content_type="text/plain").status_code == 400
    with database.read() as session:
        assert session.scalars(select(Screening.state)).all() == ["failed"]
        assert session.scalars(select(Study.read_at)).all() == [None]
    assert reader.get("/").status_code == 200


def test_the_token_of_another_session_is_refused(reader: Browser, admin: Browser, study_id: str) -> None:
    answer = reader.client.post(f"/studies/{study_id}/read", data={"csrf_token": admin.token()})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, 303),
    ],
)
def test_a_change_from_another_origin_is_refused(reader: Browser, study_id: str, headers: dict[str, str],
                                                 code: int) -> None:  # fmt: skip
    assert reader.post(f"/studies/{study_id}/read", headers=headers).status_code == code


def test_a_get_changes_nothing(reader: Browser, study_id: str, database: Database) -> None:
    for path in CHANGES:
        reader.get(path.format(study_id))
    with database.read() as session:
        assert session.scalars(select(Screening.state)).all() == ["failed"]
        assert session.scalars(select(Study.read_at)).all() == [None]


def test_what_strangers_wrote_is_shown_as_text(reader: Browser, study_id: str, database: Database) -> None:
    with database.read() as session:
        batch_id = session.scalars(select(Study.batch_id)).one()
    for path in ("/", f"/studies/{study_id}", "/batches", f"/batches/{batch_id}", "/failures"):
        text = reader.get(path).text
        assert "&lt;script&gt;" in text, path
        assert "<script>alert" not in text, path
        assert "<img src=x" not in text, path
        assert "{{7*7}}" in text, path
        title = re.search(r"<title>(.*?)</title>", text)
        assert title and "script" not in title[1]


def test_line_15_unknown_ids_are_404_and_say_nothing(reader: Browser) -> None:
    for path in ("/studies/nothing", "/studies/nothing/state", "/studies/nothing/thumbnail", "/batches/nothing",
                 "/studies/nothing/images/1/preview", "/batches/nothing/ledger", "/batches/nothing/events",
                 "/studies/..%2f..%2fetc%2fpasswd", "/static/../web/__init__.py", "/nothing"):  # fmt: skip
        answer = reader.get(path)
        assert answer.status_code == 404, path
        assert "Nothing here" in answer.text


def test_an_unexpected_error_shows_and_logs_no_data(reader: Browser, app: Flask, monkeypatch: pytest.MonkeyPatch,
                                                    capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    def broken(*_: object, **__: object) -> None:
        raise ValueError("Doe^Jane")

    monkeypatch.setattr("web.triage.pages.triage.page", broken)
    answer = reader.get("/")
    assert answer.status_code == 500
    assert "Something went wrong here" in answer.text
    for text in (answer.text, capsys.readouterr().out):
        assert "Doe" not in text
        assert "Traceback" not in text


@pytest.mark.parametrize(
    ("fault", "code"), [(ServiceFault("gone", Reason.DATABASE_UNAVAILABLE), 503), (RuntimeError("bug"), 500)]
)
def test_a_database_that_fails_while_it_says_who_asks_is_answered_with_a_page(
    reader: Browser, monkeypatch: pytest.MonkeyPatch, fault: Exception, code: int
) -> None:
    def broken(*_: object) -> None:
        raise fault

    monkeypatch.setattr("web.auth.people.people.holder", broken)
    for path in ("/", "/batches", "/studies/x", "/nothing", "/login"):
        answer = reader.get(path)
        assert answer.status_code == code, path
        assert "<h1>" in answer.text
    assert reader.get("/", headers={"Accept": "application/json"}).status_code == code
    assert reader.client.post("/logout").status_code == code
    monkeypatch.undo()
    assert reader.get("/").status_code == 200  # the session is not lost


def test_a_body_too_large_for_a_form_is_413(reader: Browser) -> None:
    answer = reader.client.post("/logout", data={"csrf_token": "x" * (2**20 + 1)})
    assert answer.status_code == 413


def test_forwarded_headers_count_from_as_many_proxies_as_are_trusted(settings: Settings, database: Database,
                                                                     add_user: AddUser) -> None:  # fmt: skip
    user = add_user("rita", "reader")
    heads = {"X-Forwarded-For": "9.9.9.9", "X-Forwarded-Proto": "https"}
    for proxies, strict in ((0, False), (1, True)):
        app = create_app(settings.model_copy(update={"trusted_proxies": proxies}))
        answer = signed_in(app, database, user).get("/", headers=heads)
        assert ("Strict-Transport-Security" in answer.headers) is strict
        app.extensions["cspine"].database.dispose()


def test_every_thread_has_a_connection_to_the_database(app: Flask, settings: Settings) -> None:
    assert app.extensions["cspine"].database.engine.pool.size() == settings.web_threads


HUGE = "1" + "0" * 22


@pytest.mark.parametrize(
    "path",
    ["/studies/%00", "/studies/%00/state", "/batches/%00", "/batches?before=%00", "/?after=%00", "/signin/%00",
     "/login?next=%00", "/static/%00", "/studies/x?image=%00"],
)  # fmt: skip
def test_an_address_with_nul_in_it_is_refused(reader: Browser, path: str) -> None:
    assert reader.get(path).status_code == 400


def test_a_change_with_nul_in_it_is_refused(reader: Browser, study_id: str) -> None:
    assert reader.post("/failures/bulks/%00/confirm").status_code == 400
    assert reader.post(f"/studies/{study_id}/read", {"back": "\0"}).status_code == 400
    assert reader.post("/login", {"name": "a\0b", "password": "x"}, form="/account").status_code == 400


def test_numbers_that_no_row_has_are_sane(reader: Browser, study_id: str, database: Database) -> None:
    with database.read() as session:
        batch_id = session.scalars(select(Study.batch_id)).one()
    for path in ("preview", "thumbnail", "saliency"):
        assert reader.get(f"/studies/{study_id}/images/{HUGE}/{path}").status_code == 404
    assert reader.get(f"/studies/{study_id}?image={HUGE}").status_code == 200
    for after in (HUGE, f"-{HUGE}", "-1", "9" * 5000):
        assert reader.get(f"/batches/{batch_id}?after={after}").status_code == 200


def test_a_way_back_that_is_no_address_leads_to_the_list(reader: Browser, study_id: str) -> None:
    answer = reader.post(f"/studies/{study_id}/read", {"back": "//["})
    assert (answer.status_code, answer.location) == (303, "/")
