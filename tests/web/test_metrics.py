"""`/metrics`: for who holds the token or is an admin, right in its figures, and without a word about patients."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update

from cspine import broker
from cspine.broker import Broker
from cspine.database import Database, now
from cspine.errors import ServiceFault
from cspine.reasons import Reason
from cspine.records import blob_names, heartbeats, pauses, tallies
from cspine.settings import Settings
from cspine.states import SHADOW, Disposition, Outcome, State
from cspine.tables import Attempt, Batch, Claim, Screening, Study
from tests.conftest import ROOT
from tests.cspine.records import makers
from tests.web.conftest import AddUser, Browser, signed_in
from web import create_app
from web.metrics import families, scrape

pytestmark = pytest.mark.services

TOKEN = "a token of more than sixteen characters"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SECRETS = (
    "DOE^JANE",
    "PID-4711",
    "ACC-99",
    "2.25.123456789",
    "jane doe knee.dcm",
    "night of Jane Doe",
    "C-arm of Jane",
)
TABLE = families.GAUGES | families.COUNTERS | families.HISTOGRAMS
Read = Callable[[], dict[tuple[str, ...], float]]


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings.model_copy(update={"metrics_token": TOKEN}))
    yield app
    app.extensions["cspine"].database.dispose()


@pytest.fixture(autouse=True)
def _a_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say what a broker would; the true one is asked in tests/cspine/test_broker.py."""
    monkeypatch.setattr(broker, "look", lambda settings: Broker({"prepare.urgent": 3}, 1000, 0))
    monkeypatch.setattr(scrape, "CACHE_SECONDS", 0.0)


@pytest.fixture
def read(stranger: Browser) -> Read:
    """Give a function that scrapes and returns values by name and labels' values."""

    def do() -> dict[tuple[str, ...], float]:
        answer = stranger.get("/metrics", headers=BEARER)
        assert answer.status_code == 200
        found = {}
        for family in text_string_to_metric_families(answer.text):
            labels = (*TABLE[family.name.removeprefix("cspine_")].labels, "le")  # in our order
            for sample in family.samples:
                values = [sample.labels[label] for label in labels if label in sample.labels]
                found[sample.name.removeprefix("cspine_"), *values] = sample.value
        return found

    return do


def test_a_stranger_needs_the_token(stranger: Browser) -> None:
    for headers in ({}, {"Authorization": "Bearer "}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": TOKEN}):
        answer = stranger.get("/metrics", headers=headers)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert stranger.get("/metrics", headers=BEARER).status_code == 200
    assert stranger.get("/", headers=BEARER).status_code == 302, "the token opens nothing else"


def test_of_the_people_only_an_admin(admin: Browser, app: Flask, database: Database, add_user: AddUser) -> None:
    assert admin.get("/metrics").status_code == 200
    assert signed_in(app, database, add_user("rita", "reader")).get("/metrics").status_code == 403


def test_without_a_token_no_token_is_right(settings: Settings) -> None:
    app = create_app(settings)
    assert app.test_client().get("/metrics", headers={"Authorization": "Bearer "}).status_code == 401
    app.extensions["cspine"].database.dispose()


def test_it_is_what_prometheus_reads(stranger: Browser) -> None:
    answer = stranger.get("/metrics", headers=BEARER)
    assert answer.content_type == scrape.CONTENT_TYPE
    assert answer.headers["Cache-Control"] == "no-store"
    assert list(text_string_to_metric_families(answer.text))


def test_the_queue(database: Database, read: Read) -> None:
    with database.write() as session:
        batch = makers.batch(session)
        for minutes in (1, 2):
            makers.study(session, batch, State.READY, minutes=minutes)
        shadow = makers.study(session, batch, State.READY)
        session.execute(update(Screening).where(Screening.study_id == shadow.id).values(lane=SHADOW, shadow=True))
        session.execute(update(Screening).values(changed_at=now(session) - timedelta(seconds=90)))
    values = read()
    assert values["queue_studies", "screen", "normal"] == 2
    assert 90 <= values["queue_oldest_age_seconds", "screen", "normal"] < 120
    assert (values["queue_studies", "prepare", "urgent"], values["queue_oldest_age_seconds", "prepare", "urgent"]) == (
        0,
        0,
    )
    assert values["screenings", "ready", "shadow"] == 1
    assert values["broker_messages", "prepare.urgent"] == 3


def test_a_pause(database: Database, read: Read) -> None:
    with database.write() as session:
        pauses.pause(session, "normal", "the scanner is being repaired", "ada")
    values = read()
    assert [values["lane_open", lane] for lane in ("urgent", "normal", "overnight")] == [1, 0, 1]
    assert [values["lane_paused", lane] for lane in ("urgent", "normal", "overnight")] == [0, 1, 0]


def test_answers_and_what_has_none(database: Database, read: Read) -> None:
    with database.write() as session:
        batch = makers.batch(session, unbalanced_since=now(session))
        makers.study(session, batch, State.DONE, bucket="positive", received_at=now(session) - timedelta(hours=3))
        makers.study(session, batch, State.DONE, bucket="normal", read_at=now(session))
        for state, reason in ((State.FAILED, "corrupt"), (State.FAILED, "corrupt"), (State.WAITING, "no such code")):
            study = makers.study(session, batch, state, read_at=now(session))
            session.execute(update(Screening).where(Screening.study_id == study.id).values(reason=reason))
        makers.file(session, batch, disposition=Disposition.REJECTED, reason="too_small", original=False)
    values = read()
    assert values["unread_studies", "positive"] == 1
    assert 10_800 <= values["unread_oldest_age_seconds", "positive"] < 10_860
    assert ("unread_studies", "normal") not in values
    assert values["unanswered_studies", "failed", "prepare", "corrupt"] == 2
    assert values["unanswered_studies", "waiting", "prepare", "other"] == 1
    assert values["files_set_aside", "rejected", "too_small"] == 1
    assert values["batches_unbalanced",] == 1
    assert values["files_received_total",] == 6


def test_processes(database: Database, read: Read) -> None:
    with database.write() as session:
        heartbeats.beat(session, "a:screen:1", "screen", {"fault": "broken_release", "detail": "model.keras"})
        heartbeats.beat(session, "a:prepare:1", "prepare")
        heartbeats.beat(session, "a:sweep:1", "sweep")
        makers.release(session, identity="ab" * 32, name="spine", version="3")
        blob_names.note(session, blob_bytes=12_000, blobs=7, blobs_orphaned=1)
    values = read()
    assert (values["processes", "screen"], values["processes", "prepare"]) == (1, 1)
    assert values["processes_with_fault", "screen", "broken_release"] == 1
    assert values["sweep_age_seconds",] < 60
    assert values["release_info", "spine", "3", "ab" * 6] == 1
    assert (values["blob_bytes",], values["blobs",], values["blobs_orphaned",]) == (12_000, 7, 1)
    assert ("processes", "note") not in values
    assert 0 < values["disk_free_bytes", "var"] <= values["disk_bytes", "var"]


def test_the_past(database: Database, read: Read) -> None:
    with database.write() as session:
        study = makers.study(session, makers.batch(session))
        screening = session.query(Screening).filter_by(study_id=study.id).one()
        for number, stage, outcome in ((1, "prepare", Outcome.EXPIRED), (2, "prepare", Outcome.DONE),
                                       (3, "screen", Outcome.DONE)):  # fmt: skip
            makers.attempt(session, screening, number=number, stage=stage, outcome=outcome, ended_at=makers.NIGHT,
                           reason="lease_expired" if outcome is Outcome.EXPIRED else None)  # fmt: skip
        session.execute(update(Claim).values(ended_at=makers.NIGHT + timedelta(seconds=4), size=3))
    before = read()
    assert before["attempts_total", "prepare", "expired", "lease_expired"] == 1
    assert before["attempts_total", "screen", "done", "none"] == 1
    assert (before["retries_total", "prepare"], before["retries_total", "screen"]) == (1, 0)
    assert before["leases_expired_total", "prepare"] == 1
    assert before["claim_duration_seconds_sum", "screen"] == pytest.approx(12, abs=0.01)
    assert before["claim_duration_seconds_bucket", "screen", "2.5"] == 0
    assert before["claim_duration_seconds_bucket", "screen", "5.0"] == 3
    assert (before["claim_studies_sum", "screen"], before["claim_studies_bucket", "screen", "2.0"]) == (9, 0)
    with database.write() as session:
        tally = tallies.load(session)
        assert not tally.advance(session)
        tallies.save(session, tally)
    assert {key: value for key, value in read().items() if "_total" in key[0] or "claim" in key[0]} == {
        key: value for key, value in before.items() if "_total" in key[0] or "claim" in key[0]
    }, "it makes no difference what the sweep has counted already"


def test_each_stage_and_outcome_is_counted_from_nought_on(database: Database, read: Read) -> None:
    fresh = {key[1:]: value for key, value in read().items() if key[0] == "attempts_ended_total"}
    assert set(fresh) == {(stage, outcome.value) for stage in ("prepare", "screen", "replay")
                          for outcome in Outcome if outcome is not Outcome.RUNNING}  # fmt: skip
    assert set(fresh.values()) == {0}
    with database.write() as session:
        study = makers.study(session, makers.batch(session))
        screening = session.query(Screening).filter_by(study_id=study.id).one()
        for number, reason in enumerate(("corrupt", "timed_out"), 1):
            makers.attempt(session, screening, number=number, stage="prepare", outcome=Outcome.FAILED,
                           ended_at=makers.NIGHT, reason=reason)  # fmt: skip
    later = {key[1:]: value for key, value in read().items() if key[0] == "attempts_ended_total"}
    assert later == fresh | {("prepare", "failed"): 2}


def test_no_counter_while_there_is_too_much_to_count(database: Database, read: Read,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(tallies, "MOST_LEFT", 0)
    with database.write() as session:
        study = makers.study(session, makers.batch(session))
        makers.attempt(session, session.query(Screening).filter_by(study_id=study.id).one(), ended_at=makers.NIGHT)
    values = read()
    assert ("files_received_total",) not in values
    assert values["up", "database"] == 1


def test_a_part_that_is_away_leaves_the_others(app: Flask, read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_settings: Settings) -> Broker:
        raise ServiceFault("away", Reason.BROKER_UNAVAILABLE)

    monkeypatch.setattr(broker, "look", away)
    values = read()
    assert (values["up", "database"], values["up", "broker"]) == (1, 0)
    assert ("queue_studies", "prepare", "urgent") in values
    own = app.extensions["cspine"]
    lost = Database("sqlite+pysqlite:////nowhere/at/all.db")
    app.extensions["cspine"] = type(own)(own.settings, lost, own.blobs, own.bell)
    app.extensions.pop("cspine_metrics")
    values = read()
    assert (values["up", "database"], values["up", "broker"]) == (0, 0)
    assert ("disk_free_bytes", "var") in values
    own.database.dispose()


def test_it_is_collected_once_in_some_seconds(app: Flask, stranger: Browser, database: Database,
                                              monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(scrape, "CACHE_SECONDS", 3600.0)
    first = stranger.get("/metrics", headers=BEARER).text
    with database.write() as session:
        makers.study(session, makers.batch(session), State.READY)
    assert stranger.get("/metrics", headers=BEARER).text == first


def test_no_patient_and_no_person(stranger: Browser, database: Database) -> None:
    """Whatever stands in names, ids, file names, batch names and texts of people, none of it comes out."""
    name, patient, accession, uid, file, night, station = SECRETS
    with database.write() as session:
        batch = makers.batch(session, name=night, created_by="jane doe")
        for state in State:
            study = makers.study(session, batch, state, patient_name=name, patient_id=patient, station=station,
                                 accession_number=accession, study_uid=f"{uid}{list(State).index(state)}",
                                 reason=f"of {name}", label="fracture")  # fmt: skip
            source = makers.file(session, batch, study, name=file, disposition=Disposition.REJECTED, reason=name)
            makers.image(session, study, source)
            screening = session.query(Screening).filter_by(study_id=study.id).one()
            screening.reason = name
            makers.attempt(session, screening, ended_at=now(session), outcome=Outcome.FAILED, reason=name,
                           traceback=f"{name} {file}", place=file)  # fmt: skip
        pauses.pause(session, "all", f"wait for {name}", "jane doe")
        ids = [row.id for row in session.query(Study)] + [batch.id] + [row.claim_id for row in session.query(Attempt)]
        assert session.query(Batch).count() == 1
    text = stranger.get("/metrics", headers=BEARER).text
    assert 'reason="other"' in text
    for secret in [*SECRETS, "jane", "Jane", "JANE", *ids]:
        assert secret not in text


def test_only_known_labels_and_the_papers_name_every_metric(stranger: Browser) -> None:
    text = stranger.get("/metrics", headers=BEARER).text
    found = {(family.name.removeprefix("cspine_"), key) for family in text_string_to_metric_families(text)
             for sample in family.samples for key in sample.labels}  # fmt: skip
    assert {(name, label) for name, label in found if label not in (*TABLE[name].labels, "le")} == set()
    paper = (ROOT / "docs" / "metrics.md").read_text()
    said = {(row[1], row[2]) for row in re.finditer(r"^\| `cspine_(\w+?)(?:_total)?` \| ([^|]*) \|", paper, re.M)}
    assert said == {(name, ", ".join(f"`{label}`" for label in one.labels)) for name, one in TABLE.items()}
