"""The triage list: its order, its words, its filters, and marking as read."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from cspine.database import Database
from cspine.reasons import Reason
from cspine.records import heartbeats, screenings
from cspine.settings import Settings
from cspine.states import State
from cspine.tables import Audit, Batch, Review, Study
from tests.cspine.records import makers
from tests.web.conftest import AddUser, Browser, signed_in
from web import create_app

pytestmark = pytest.mark.services


@pytest.fixture
def night(database: Database) -> dict[str, str]:
    """Make a study of every bucket, the unreadable files of a batch, and return the ids."""
    now = datetime.now(UTC)
    with database.write() as session:
        batch = makers.batch(session, name="night <b>one</b>", unreadable_files=7, unreadable_since=now)
        release = makers.release(session, card={"name": "demo", "version": "1", "demo": True, "temperature": 1.7})
        rows = {
            "normal": {"bucket": "normal", "reason": "Nothing flagged", "label": "normal", "urgency": 0.04,
                           "probabilities": {"normal": 0.96, "fracture": 0.04}, "patient_name": "Nielsen^Nora"},
            "positive": {"bucket": "positive", "reason": "Fracture suspected, model output 0.93", "label": "fracture",
                             "urgency": 0.93, "probabilities": {"normal": 0.07, "fracture": 0.93},
                             "patient_name": "Doe^Jane", "patient_id": "4711", "study_date": "2026-03-01"},
            "failed": {"bucket": "not_analysed", "reason": "Failed: the file cannot be decoded",
                           "flags": ["partial", "uid_conflict"]},
            "old": {"bucket": "normal", "reason": "Nothing flagged", "label": "normal", "urgency": 0.02,
                        "probabilities": {"normal": 0.98}, "received_at": now - timedelta(hours=30)},
        }  # fmt: skip
        ids = {}
        for name, values in rows.items():
            state = State.FAILED if name == "failed" else State.DONE
            study = makers.study(
                session, batch, state, **{"received_at": now - timedelta(minutes=95, seconds=5)} | values
            )
            ids[name] = study.id
            shown = screenings.shown(session, study.id)
            assert shown
            shown.release_id = release.id if state is State.DONE else None
        return ids | {"batch": batch.id}


def test_order_is_the_designs(reader: Browser, night: dict[str, str]) -> None:
    text = reader.get("/").text
    places = [text.index(f'/studies/{night[name]}"') for name in ("old", "positive", "failed", "normal")]
    assert places == sorted(places)
    assert text.index("Overdue</span>") < text.index("Positive</span>") < text.index("Not analysed</span>")


def test_a_worker_that_holds_its_queue_is_said(reader: Browser, night: dict[str, str], database: Database) -> None:
    assert "screens nothing" not in reader.get("/").text
    with database.write() as session:
        heartbeats.beat(session, "host:screen:1:2", "screen", {"fault": "sentinel_failed", "detail": "demo 1: by 0.02"})
    text = reader.get("/").text
    assert f"A worker screens nothing: {Reason.SENTINEL_FAILED.sentence}" in text
    assert "demo 1: by 0.02" in text


def test_a_probability_is_said_as_what_it_is(reader: Browser, night: dict[str, str]) -> None:
    text = reader.get("/").text
    assert '<strong>fracture</strong> <span class="number">0.93</span>' in text
    assert "model output, temperature-scaled, demo release" in text
    assert "Fracture suspected, model output 0.93" in text
    assert "An aid for reading order, not a diagnosis." in text


def test_flags_are_codes_with_their_sentence(reader: Browser, night: dict[str, str]) -> None:
    text = reader.get("/").text
    assert (
        'title="Some of the study could not be read or never came; the answer covers only the rest.">partial</li>'
        in text
    )
    assert ">uid conflict</li>" in text


def test_patient_waiting_time_and_unreadable_files(reader: Browser, night: dict[str, str]) -> None:
    text = reader.get("/").text
    assert "<bdi>Doe, Jane</bdi>" in text
    assert "1 h 35 min" in text
    assert "Unread for 30 h; nothing flagged" in text
    assert "7 files could not be read" in text
    assert "night &lt;b&gt;one&lt;/b&gt;" in text
    assert "<b>one" not in text


def test_filter_by_bucket_with_counts(reader: Browser, night: dict[str, str]) -> None:
    text = reader.get("/?bucket=positive").text
    assert night["positive"] in text
    assert night["normal"] not in text
    for bucket, count in {"overdue": 1, "positive": 1, "not_analysed": 2, "normal": 1}.items():
        assert f'data-count="{bucket}">{count}<' in text


def test_times_are_in_the_sites_zone(settings: Settings, database: Database, add_user: AddUser,
                                     night: dict[str, str]) -> None:  # fmt: skip
    app = create_app(settings.model_copy(update={"site_timezone": "Asia/Tokyo"}))
    text = signed_in(app, database, add_user("rita", "reader")).get("/").text
    app.extensions["cspine"].database.dispose()
    with database.read() as session:
        tokyo = session.get_one(Study, night["positive"]).received_at.astimezone(ZoneInfo("Asia/Tokyo"))
    assert f">{tokyo:%Y-%m-%d %H:%M}</time>" in text
    assert "Times: Asia/Tokyo" in text


def test_mark_as_read_takes_it_off_the_unread_list_only(reader: Browser, night: dict[str, str],
                                                        database: Database) -> None:  # fmt: skip
    answer = reader.post(f"/studies/{night['positive']}/read", {"back": "/?bucket=positive"})
    assert (answer.status_code, answer.location) == (303, "/?bucket=positive")
    assert night["positive"] not in reader.get("/").text
    everything = reader.get("/?show=all").text
    assert night["positive"] in everything
    assert "read by <bdi>rita</bdi>" in everything
    with database.read() as session:
        assert session.scalars(select(Review.action)).all() == ["read"]
        assert session.scalars(select(Audit.action).where(Audit.subject == night["positive"])).all() == ["read"]


def test_a_double_click_is_one_review(reader: Browser, night: dict[str, str], database: Database) -> None:
    for _ in range(2):
        reader.post(f"/studies/{night['normal']}/read")
    with database.read() as session:
        assert len(session.scalars(select(Review)).all()) == 1


def test_mark_as_unread_puts_it_back(reader: Browser, night: dict[str, str], database: Database) -> None:
    reader.post(f"/studies/{night['normal']}/read")
    token = reader.token()
    answer = reader.client.post(f"/studies/{night['normal']}/unread",
                                headers={"X-CSRFToken": token, "Accept": "application/json"})  # fmt: skip
    assert answer.status_code == 204
    assert night["normal"] in reader.get("/").text


def test_unreadable_files_can_be_marked_as_read(reader: Browser, night: dict[str, str], database: Database) -> None:
    reader.post(f"/batches/{night['batch']}/unreadable/read")
    assert "7 files could not be read" not in reader.get("/").text
    assert "7 files could not be read" in reader.get("/?show=all").text
    assert reader.post("/batches/nobatch/unreadable/read").status_code == 404


def test_pages_follow_by_key_and_hold_every_row_once(reader: Browser, database: Database) -> None:
    with database.write() as session:
        batch = makers.batch(session)
        wanted = {makers.study(session, batch, urgency=i / 200, bucket="positive", received_at=datetime.now(UTC)).id
                  for i in range(120)}  # fmt: skip
    seen: list[str] = []
    address: str | None = "/"
    while address:
        text = reader.get(address).text
        seen += [part.split('"')[0] for part in text.split('class="title" href="/studies/')[1:]]
        following = text.split('rel="next" href="')
        address = following[1].split('"')[0].replace("&amp;", "&") if len(following) > 1 else None
    assert len(seen) == 120
    assert set(seen) == wanted


@pytest.mark.parametrize("query", ["bucket=all", "bucket='; DROP TABLE study", "after=zzz", "after=", "after=%00"])
def test_odd_addresses_are_refused_or_sane(reader: Browser, query: str) -> None:
    assert reader.get(f"/?{query}").status_code in ({200} if query == "after=" else {400})


def test_empty_list_says_what_to_do(reader: Browser) -> None:
    text = reader.get("/").text
    assert "Nothing unread here" in text
    assert 'href="/upload"' in text


def test_a_get_changes_nothing(reader: Browser, night: dict[str, str], database: Database) -> None:
    assert reader.get(f"/studies/{night['positive']}/read").status_code == 405
    with database.read() as session:
        study = session.get(Study, night["positive"])
        assert study is not None and study.read_at is None
        assert session.get(Batch, night["batch"]).unreadable_read_at is None  # type: ignore[union-attr]


def test_unknown_study_is_404(reader: Browser) -> None:
    assert reader.post("/studies/nothing/read").status_code == 404


def test_counts_for_a_list_that_was_opened_a_while_ago(reader: Browser, night: dict[str, str]) -> None:
    assert reader.get("/counts").json == {"overdue": 1, "positive": 1, "not_analysed": 2, "normal": 1}
    reader.post(f"/studies/{night['old']}/read")
    assert reader.get("/counts").json == {"overdue": 0, "positive": 1, "not_analysed": 2, "normal": 1}
    assert reader.get("/counts?show=all").json == {"overdue": 0, "positive": 1, "not_analysed": 2, "normal": 2}
