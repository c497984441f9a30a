"""Trying again and discarding: a preview that changes nothing, one confirmation, the canary, what is refused."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from cspine import retrying
from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.queue import Bell
from cspine.records import screenings
from cspine.settings import Settings
from cspine.states import Lane, Stage, State
from cspine.tables import Audit, Bulk, BulkMember, Screening
from tests.cspine.records import makers
from tests.web.conftest import Browser

pytestmark = pytest.mark.services

Fail = Callable[..., list[str]]
GROUP = "aaaa1111"


@pytest.fixture
def fail(database: Database, blobs: BlobStore) -> Fail:
    """Make studies that failed alike, with their files; return their ids."""

    def fail_(count: int, fingerprint: str = GROUP, batch: str = "night", keys: bool = True) -> list[str]:
        with database.write() as session:
            own = makers.batch(session, name=batch)
            ids = []
            for _ in range(count):
                study = makers.study(session, own, State.FAILED)
                screening = screenings.shown(session, study.id)
                assert screening
                screening.fingerprint, screening.reason, screening.error_kind = fingerprint, "timed_out", "unknown"
                if keys:
                    session.query(makers.ReceivedFile).filter_by(study_id=study.id).update(
                        {"blob_key": blobs.put_bytes(b"x")}
                    )
                ids.append(study.id)
            return ids

    return fail_


def states(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(Screening.state).order_by(Screening.id)))


def settle(database: Database, settings: Settings, state: State, reason: str | None = None) -> None:
    """Let everything that was sent back to work end in a state, and the sweep look at it."""
    with database.write() as session:
        for row in session.scalars(select(Screening).where(Screening.state == State.RECEIVED)):
            row.state, row.reason = state, reason
    retrying.step(database, settings)


def group(browser: Browser, **more: str) -> str:
    """Ask for a preview of the group; return its address."""
    answer = browser.post("/failures/previews", {"of": "group", "fingerprint": GROUP} | more)
    assert answer.status_code == 303
    return str(answer.location).split("?")[0]


def test_a_preview_tells_everything_and_changes_nothing(reader: Browser, fail: Fail, database: Database) -> None:
    fail(5)
    text = reader.get(group(reader)).text
    for words in ("all of group aaaa1111", "all 5 stored files are there", "1 first, as a canary.",
                  "The other 4 follow by themselves", "Expected work", "Try 1 first", "no release is active",
                  "Preview without a canary"):  # fmt: skip
        assert words in text, words
    assert '<span class="number">5</span> of 5 studies would be tried again' in text
    assert states(database) == [State.FAILED] * 5
    with database.read() as session:
        assert session.scalars(select(Audit.action).where(Audit.action == "retry")).all() == []


def test_files_that_are_gone_are_told(reader: Browser, fail: Fail, database: Database) -> None:
    fail(2)
    fail(1, batch="gone", keys=False)
    text = reader.get(group(reader)).text
    assert "1 of 3 studies lacks a stored file" in text


def test_the_canary_runs_first_and_the_rest_follows(reader: Browser, fail: Fail, database: Database,
                                                    settings: Settings) -> None:  # fmt: skip
    fail(5)
    page = group(reader)
    answer = reader.post(f"{page}/confirm")
    assert (answer.status_code, answer.location) == (303, page)
    assert sorted(states(database)) == [State.FAILED] * 4 + [State.RECEIVED]
    text = reader.get(page).text
    assert "1 of 5 runs first" in text
    assert "data-moving" in text
    first = reader.get(f"{page}/state").json
    assert first
    assert (first["state"], first["moving"]) == ("canary", True)
    assert first["version"] in text
    assert "A retry of this group is under way" in reader.get("/failures").text
    settle(database, settings, State.DONE)
    assert sorted(states(database)) == [State.DONE] + [State.RECEIVED] * 4
    settle(database, settings, State.DONE)
    text = reader.get(page).text
    assert '<span class="number">5</span> of 5 tried again have an answer' in text
    last = reader.get(f"{page}/state").json
    assert last
    assert (last["state"], last["moving"]) == ("done", False)
    assert last["version"] != first["version"]
    assert "Latest retries and discards" in reader.get("/failures").text


def test_a_canary_that_fails_stops_it_with_a_sentence(reader: Browser, fail: Fail, database: Database,
                                                      settings: Settings) -> None:  # fmt: skip
    fail(9)
    page = group(reader)
    reader.post(f"{page}/confirm")
    settle(database, settings, State.FAILED, "timed_out")
    text = reader.get(page).text
    assert 'role="alert">Stopped: ' in text
    assert "The other 8 stay as they are." in text
    assert "The analysis took longer than its limit and was stopped." in text
    assert "Preview it again" in text
    assert states(database) == [State.FAILED] * 9
    assert "was stopped by its canary" in reader.get("/failures").text
    assert group(reader) != page


def test_a_second_confirmation_changes_nothing(reader: Browser, admin: Browser, fail: Fail,
                                               database: Database) -> None:  # fmt: skip
    fail(2)
    page = group(reader, canary="no")
    assert "All at once, without a canary." in reader.get(page).text
    reader.post(f"{page}/confirm")
    assert states(database) == [State.RECEIVED] * 2
    admin.post(f"{page}/confirm")
    assert "This was confirmed before; nothing was sent twice." in admin.get(page).text
    with database.read() as session:
        assert session.scalars(select(Audit.actor).where(Audit.action == "retry")).all() == ["rita"]


def test_of_two_people_with_two_previews_one_makes_the_attempt(reader: Browser, admin: Browser, fail: Fail,
                                                              database: Database) -> None:  # fmt: skip
    ids = fail(1)
    one, other = ({"of": "studies", "study": ids} for _ in range(2))
    first = str(reader.post("/failures/previews", one).location).split("?")[0]
    second = str(admin.post("/failures/previews", other).location).split("?")[0]
    reader.post(f"{first}/confirm")
    admin.post(f"{second}/confirm")
    text = admin.get(second).text
    assert "Somebody or something has moved it since it was chosen." in text
    with database.read() as session:
        sent = session.scalars(select(BulkMember.state).where(BulkMember.state == "sent")).all()
    assert len(sent) == 1


def test_the_selected_a_batch_and_what_matches_a_filter(reader: Browser, fail: Fail, database: Database) -> None:
    one, two, three = *fail(2), *fail(1, "bbbb2222", "other")
    with database.read() as session:
        batch = session.scalars(select(Screening.study_id).where(Screening.study_id == three)).one()
        own = session.get_one(makers.Study, batch).batch_id
    for form, count in (
        ({"of": "studies", "study": [one, three]}, 2), ({"of": "batch", "batch": own}, 1), ({"of": "filter"}, 3),
        ({"of": "filter", "reason": "timed_out", "since": "2026-01-01T00:00"}, 3),
        ({"of": "filter", "fingerprint": "bbbb2222"}, 1), ({"of": "filter", "batch": own}, 1),
    ):  # fmt: skip
        page = str(reader.post("/failures/previews", form).location)
        assert f'<span class="number">{count}</span> of {count} ' in reader.get(page).text, form
    assert two


def test_a_retry_of_one_study_leads_back_to_it(reader: Browser, fail: Fail) -> None:
    (study,) = fail(1)
    assert 'action="/failures/previews"' in reader.get(f"/studies/{study}").text
    back = f"/studies/{study}"
    answer = reader.post("/failures/previews", {"of": "studies", "study": study, "back": back})
    assert f'href="{back}">Leave it' in reader.get(str(answer.location)).text
    answer = reader.post("/failures/previews", {"of": "studies", "study": study, "back": "https://evil.example/"})
    assert "evil" not in reader.get(str(answer.location)).text


def test_discard_asks_for_a_reason_and_cancels(reader: Browser, fail: Fail, database: Database) -> None:
    fail(2)
    form = {"of": "group", "fingerprint": GROUP, "action": "discard"}
    assert reader.post("/failures/previews", form | {"reason": " "}).location == "/failures"
    assert "Say why they are discarded" in reader.get("/failures").text
    for reason in ("x" * 401, "a\x1b[31m card"):
        assert reader.post("/failures/previews", form | {"reason": reason}).location == "/failures"
        assert "a reason has 1 to 400 printable characters" in reader.get("/failures").text
    page = group(reader, action="discard", reason="a <test> card")
    text = reader.get(page).text
    assert "2</span> of 2 studies would be discarded" in text
    assert "a &lt;test&gt; card" in text
    assert states(database) == [State.FAILED] * 2
    reader.post(f"{page}/confirm")
    assert states(database) == [State.CANCELLED] * 2
    text = reader.get(page).text
    assert "2</span> studies are discarded" in text
    assert "<strong>Discarded</strong>" in text
    assert "Sent" not in text
    assert "<strong>Discarded</strong>" in reader.get("/failures").text
    with database.read() as session:
        assert session.scalars(select(Bulk.reason)).all() == ["a <test> card"]


def test_the_bell_is_rung_and_a_missing_broker_is_said(app: Flask, reader: Browser, fail: Fail,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    one, two = fail(2)
    pages = [str(reader.post("/failures/previews", {"of": "studies", "study": study}).location).split("?")[0]
             for study in (one, two)]  # fmt: skip
    reader.post(f"{pages[0]}/confirm")
    if not app.extensions["cspine"].settings.redis_url:
        assert "The message broker does not answer; work waits" in reader.get("/failures").text
    rung: list[tuple[Stage, str, int]] = []
    monkeypatch.setattr(Bell, "ring", lambda self, stage, lane, ids: rung.append((stage, lane, len(list(ids)))))
    reader.post(f"{pages[1]}/confirm")
    assert rung == [(Stage.PREPARE, Lane.NORMAL, 1)]


@pytest.mark.parametrize(
    "form",
    [{"of": "group", "fingerprint": "cccc3333"}, {"of": "filter", "reason": "poison"}, {"of": "batch"},
     {"of": "filter", "fingerprint": "cccc3333", "action": "discard", "reason": "a test card"}],
)  # fmt: skip
def test_of_what_has_no_member_nothing_is_kept(reader: Browser, fail: Fail, database: Database,
                                               form: dict[str, str]) -> None:  # fmt: skip
    fail(1)
    with database.write() as session:
        form = form | ({"batch": makers.batch(session, name="empty").id} if form["of"] == "batch" else {})
    assert reader.post("/failures/previews", form).location == "/failures"
    assert "Nothing was done: nothing " in reader.get("/failures").text
    with database.read() as session:
        assert session.scalars(select(Bulk)).all() == []


def test_what_is_no_selection(reader: Browser, fail: Fail) -> None:
    fail(1)
    assert reader.post("/failures/previews", {"of": "studies"}).location == "/failures"
    assert "Choose at least one study." in reader.get("/failures").text
    for form in ({}, {"of": "all"}, {"of": "group"}, {"of": "batch"}, {"of": "filter", "kind": "odd"},
                 {"of": "filter", "action": "delete"}):  # fmt: skip
        assert reader.post("/failures/previews", form).status_code == 400, form
    assert reader.post("/failures/previews", {"of": "studies", "study": "nothing"}).status_code == 404
    for of in ("batch", "filter"):
        assert reader.post("/failures/previews", {"of": of, "batch": "nothing"}).status_code == 404
    assert reader.post("/failures/previews", {"of": "studies", "study": [str(one) for one in range(1001)]}
                       ).status_code == 413  # fmt: skip
    for path in ("", "/state"):
        assert reader.get(f"/failures/bulks/nothing{path}").status_code == 404
    assert reader.post("/failures/bulks/nothing/confirm").status_code == 404


def test_a_stranger_sees_and_does_nothing(stranger: Browser, reader: Browser, fail: Fail, database: Database) -> None:
    fail(1)
    page = group(reader)
    assert stranger.get(page).status_code == 302
    assert stranger.client.post(f"{page}/confirm").status_code == 401
    assert states(database) == [State.FAILED]
