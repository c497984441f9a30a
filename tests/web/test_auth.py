"""Signing in and out: sessions, one-time addresses, passwords, throttling, the audit of it."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from cspine.database import Database
from cspine.records import people
from cspine.records.people import Purpose, Role
from cspine.settings import Settings
from cspine.tables import Audit, User
from tests.web.conftest import PASSWORD, TOKEN, AddUser, Browser
from web import create_app
from web.auth import passwords

pytestmark = pytest.mark.services

MINUTES = timedelta(minutes=15)


def audited(database: Database) -> list[tuple[str, str]]:
    with database.read() as session:
        return [(row.actor, row.action) for row in session.scalars(select(Audit).order_by(Audit.id))]


def test_every_page_asks_a_stranger_to_sign_in(stranger: Browser) -> None:
    for path in ("/", "/upload", "/batches", "/failures", "/studies/x", "/batches/x", "/account", "/nothing"):
        answer = stranger.get(path)
        assert answer.status_code == 302, path
        assert answer.location.startswith("/login?next=")


def test_a_strangers_script_gets_401(stranger: Browser) -> None:
    answer = stranger.get("/studies/x/state", headers={"Accept": "application/json"})
    assert answer.status_code == 401
    assert answer.json == {"error": "Your session has ended."}


def test_login_by_password(stranger: Browser, add_user: AddUser, database: Database) -> None:
    add_user("rita", Role.READER)
    answer = stranger.login("rita", target="/login?next=/batches")
    assert (answer.status_code, answer.location) == (303, "/batches")
    assert "rita" in stranger.get("/").text
    assert audited(database) == [("rita", "login")]


def test_the_session_is_new_at_login_and_dead_after_logout(app: Flask, stranger: Browser, add_user: AddUser) -> None:
    add_user("rita", Role.READER)
    stranger.get("/login")
    before = stranger.client.get_cookie("cspine")
    stranger.login("rita")
    during = stranger.client.get_cookie("cspine")
    assert before and during and before.value != during.value
    stranger.post("/logout")
    assert stranger.get("/").status_code == 302
    thief = app.test_client()
    thief.set_cookie("cspine", during.value)
    assert thief.get("/").status_code == 302


def test_logging_out_leaves_other_sessions_of_the_user(app: Flask, stranger: Browser, add_user: AddUser) -> None:
    add_user("rita", Role.READER)
    other = Browser(app)
    stranger.login("rita")
    other.login("rita")
    stranger.post("/logout")
    assert other.get("/").status_code == 200


def test_a_user_who_is_no_longer_active_has_no_session(stranger: Browser, add_user: AddUser,
                                                       database: Database) -> None:  # fmt: skip
    user_id = add_user("rita", Role.READER)
    stranger.login("rita")
    with database.write() as session:
        session.execute(update(User).where(User.id == user_id).values(active=False))
    assert stranger.get("/").status_code == 302
    assert stranger.login("rita").status_code == 401


@pytest.mark.parametrize("name", ["rita", "nobody", ""])
def test_the_answer_is_the_same_for_a_wrong_password_and_an_unknown_user(
    name: str, stranger: Browser, add_user: AddUser, database: Database
) -> None:
    add_user("rita", Role.READER)
    answer = stranger.login(name, "wrong password")
    assert answer.status_code == 401
    assert "The name or the password is not right." in answer.text
    assert audited(database) == [("rita" if name == "rita" else "unknown", "login_failed")]


def test_an_unknown_user_costs_a_verification_too(monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []
    nobody = passwords._nobody()

    class Hasher:
        def verify(self, kept: str, password: str) -> bool:
            verified.append(kept)
            return True

    monkeypatch.setattr(passwords, "_hasher", Hasher())
    assert passwords.fits("anything", None) is False
    assert verified == [nobody]


def test_login_is_throttled_after_failures_only(stranger: Browser, add_user: AddUser) -> None:
    add_user("rita", Role.READER)
    assert stranger.login("rita").status_code == 303
    token = stranger.token("/login")
    data = {"csrf_token": token, "name": "nobody", "password": "x"}
    codes = [stranger.client.post("/login", data=data).status_code for _ in range(12)]
    assert codes == [401] * 10 + [429] * 2
    answer = stranger.client.post("/login", data=data | {"name": "rita", "password": PASSWORD})
    assert answer.status_code == 429
    assert "Too many attempts" in answer.text
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "/\\evil.example", "\\\\evil.example", "https:evil.example", "https://evil.example",
     "javascript:alert(1)", "/\tx", "///evil.example", "evil", "http:///evil.example", " /x", "//[", "http://["],
)  # fmt: skip
def test_next_leads_to_our_own_pages_only(target: str, stranger: Browser, add_user: AddUser) -> None:
    add_user("rita", Role.READER)
    token = stranger.token("/login")
    answer = stranger.client.post("/login", query_string={"next": target},
                                  data={"csrf_token": token, "name": "rita", "password": PASSWORD})  # fmt: skip
    assert (answer.status_code, answer.location) == (303, "/")


def first_token(database: Database) -> str:
    with database.write() as session:
        token = people.first_admin(session, MINUTES)
    assert token
    return token


def test_the_first_admin_signs_in_once_by_a_one_time_address(stranger: Browser, app: Flask,
                                                             database: Database) -> None:  # fmt: skip
    path = f"/signin/{first_token(database)}"
    for _ in range(2):  # looking at it spends nothing
        page = stranger.get(path)
        assert page.status_code == 200
        assert "<button" in page.text
    answer = stranger.post(path, form=path)
    assert (answer.status_code, answer.location) == (303, "/")
    assert "Set a password" in stranger.get("/").text
    again = Browser(app)
    answer = again.post(path, form=path)
    assert answer.status_code == 401
    assert "used already" in answer.text
    assert audited(database) == [("admin", "login"), ("unknown", "login_failed")]


def test_a_one_time_address_ends_after_its_time(stranger: Browser, database: Database) -> None:
    with database.write() as session:
        token = people.first_admin(session, timedelta(seconds=-1))
    path = f"/signin/{token}"
    assert stranger.post(path, form=path).status_code == 401


def test_only_the_hash_of_a_token_is_kept(database: Database) -> None:
    token = first_token(database)
    with database.read() as session:
        assert people.holder(session, token, Purpose.SIGNIN) is not None
        assert people.holder(session, token, Purpose.SESSION) is None
        raw = session.connection().exec_driver_sql("SELECT * FROM token").all()
    assert token not in str(raw)


def test_there_is_no_first_admin_once_one_has_signed_in(stranger: Browser, database: Database) -> None:
    path = f"/signin/{first_token(database)}"
    second = first_token(database)  # as long as nobody has, a new start prints a new address
    stranger.post(path, form=path)
    with database.write() as session:
        assert people.first_admin(session, MINUTES) is None
    assert second


def test_there_is_no_first_admin_beside_an_admin_with_a_password(add_user: AddUser, database: Database) -> None:
    add_user("ada", Role.ADMIN)
    with database.write() as session:
        assert people.first_admin(session, MINUTES) is None


def test_setting_a_password_ends_the_other_sessions(app: Flask, stranger: Browser, add_user: AddUser) -> None:
    add_user("rita", Role.READER)
    other = Browser(app)
    stranger.login("rita")
    other.login("rita")
    new = "a longer password"
    wrong = stranger.post("/account", {"current": "wrong", "password": new, "again": new})
    assert wrong.status_code == 400
    assert "present password is not right" in wrong.text
    assert stranger.post("/account", {"current": PASSWORD, "password": "short", "again": "short"}).status_code == 400
    assert stranger.post("/account", {"current": PASSWORD, "password": new, "again": "other"}).status_code == 400
    assert stranger.post("/account", {"current": PASSWORD, "password": new, "again": new}).status_code == 303
    assert stranger.get("/").status_code == 200
    assert other.get("/").status_code == 302
    assert other.login("rita", new).status_code == 303


def test_logout_by_get_changes_nothing(reader: Browser) -> None:
    assert reader.get("/logout").status_code == 405
    assert reader.get("/").status_code == 200


def test_without_redis_signing_in_works_and_is_still_throttled(settings: Settings, database: Database,
                                                               add_user: AddUser) -> None:  # fmt: skip
    app = create_app(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    browser = Browser(app)
    add_user("rita", Role.READER)
    assert browser.login("rita").status_code == 303
    data = {"csrf_token": browser.token("/login"), "name": "nobody", "password": "x"}
    codes = [browser.client.post("/login", data=data).status_code for _ in range(11)]
    assert codes == [401] * 10 + [429]
    app.extensions["cspine"].database.dispose()


def test_over_https_a_form_needs_our_own_origin(settings: Settings, add_user: AddUser) -> None:
    app = create_app(settings.model_copy(update={"env": "production"}))
    client, site = app.test_client(), {"base_url": "https://screening.example"}
    add_user("rita", Role.READER)
    found = TOKEN.search(client.get("/login", **site).text)
    assert found
    data = {"csrf_token": found[1], "name": "rita", "password": PASSWORD}
    assert client.post("/login", data=data, **site).status_code == 400
    foreign = {"Referer": "https://evil.example/"}
    assert client.post("/login", data=data, headers=foreign, **site).status_code == 400
    own = {
        "Referer": "https://screening.example/",
        "Origin": "https://screening.example",
    }  # all that strict-origin sends
    answer = client.post("/login", data=data, headers=own, **site)
    assert answer.status_code == 303
    assert answer.headers["Strict-Transport-Security"]
    app.extensions["cspine"].database.dispose()
