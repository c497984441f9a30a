"""The pages of replays: who may do what, what they show, and that nothing shown changes before the promotion."""

import pytest
from sqlalchemy import select, update

from cspine.database import Database
from cspine.queue import EXPLAIN
from cspine.records import heartbeats, replays
from cspine.settings import Settings
from cspine.states import State
from cspine.tables import Replay, Result, Screening
from tests.cspine.records import work
from tests.cspine.records.night import Night
from tests.web.conftest import Browser

pytestmark = pytest.mark.services
GRID = {"grid": [[0.0, 0.5], [1.0, 0.25]], "geometry": {"top": 0, "left": 0, "height": 32, "width": 32},
        "method": "hirescam"}  # fmt: skip


@pytest.fixture
def night(database: Database) -> Night:
    own = Night(database)
    with database.write() as session:
        for release in (own.old, own.new):
            session.get_one(type(release), release.id).card = release.card | {"input": {"size": 32}}
    return own


@pytest.fixture
def replay(night: Night, database: Database, settings: Settings) -> Replay:
    """A replay that the candidate has answered."""
    one = night.begin()
    night.answer(one, settings)
    with database.write() as session:
        session.execute(update(Result).values(saliency=GRID, explained="fracture"))
    return one


def of(database: Database) -> list[Replay]:
    with database.read() as session:
        return list(session.scalars(select(Replay)))


def test_an_admin_begins_from_the_batch(admin: Browser, night: Night, database: Database) -> None:
    with database.write() as session:
        work_id = session.scalars(select(Screening.id).where(Screening.study_id == night.ids[4])).one()
        session.get_one(Screening, work_id).state = State.FAILED
    page = f"/replays/new?batch={night.batch.id}"
    text = admin.get(page).text
    assert night.new.identity in text
    assert "No replay yet" in text
    answer = admin.post("/replays", {"batch": night.batch.id, "release": night.new.identity})
    (one,) = of(database)
    assert (answer.status_code, answer.location, one.created_by) == (303, f"/replays/{one.id}", "ada")
    text = admin.get(answer.location).text
    assert "Left out: 1 failed." in text
    assert "no worker for replays runs" in text
    assert admin.post("/replays", {"batch": night.batch.id, "release": night.new.identity}).location == answer.location
    assert len(of(database)) == 1
    assert "under way" in admin.get(page).text
    assert "under way" in admin.get("/replays").text


def test_nothing_to_compare(admin: Browser, night: Night, database: Database) -> None:
    answer = admin.post("/replays", {"batch": night.batch.id, "release": night.old.identity})
    assert answer.location == f"/replays/new?batch={night.batch.id}"
    assert "Not begun: no study of this batch shows an answer of another release." in admin.get(answer.location).text
    assert of(database) == []


def test_a_reader_sees_and_changes_nothing(reader: Browser, night: Night, replay: Replay, database: Database) -> None:
    assert "An admin begins a replay" in reader.get(f"/replays/new?batch={night.batch.id}").text
    text = reader.get(f"/replays/{replay.id}").text
    assert "Changed studies" in text
    assert "Promote" not in text
    assert reader.post("/replays", {"batch": night.batch.id, "release": night.new.identity}).status_code == 403
    for action in ("promote", "cancel"):
        assert reader.post(f"/replays/{replay.id}/{action}").status_code == 403
    (one,) = of(database)
    assert (one.promoted_at, one.cancelled_at) == (None, None)


def test_strangers_see_nothing(stranger: Browser, replay: Replay, night: Night) -> None:
    for path in ("/replays", f"/replays/{replay.id}", f"/replays/new?batch={night.batch.id}"):
        assert stranger.get(path).status_code == 302
    assert stranger.get(f"/replays/{replay.id}/progress", headers={"Accept": "application/json"}).status_code == 401
    assert stranger.get(f"/replays/{replay.id}/studies/{night.ids[1]}/maps/before").status_code in {302, 401}


def test_the_figures_and_both_maps(reader: Browser, replay: Replay, night: Night) -> None:
    text = reader.get(f"/replays/{replay.id}").text
    for words in ("2 of 5, 40.0 %", "11.8 to 76.9 %", "0.000", "1 as shown, 1 by the candidate", "p = 1",
                  "In the shadow", "Not a localisation."):  # fmt: skip
        assert words in text, words
    for study in (night.ids[1], night.ids[3], night.ids[4]):
        for side in ("before", "after"):
            path = f"/replays/{replay.id}/studies/{study}/maps/{side}"
            assert path in text
            told = reader.get(path).json
            assert told == GRID | {"input_size": 32, "explained": "fracture"}
    assert night.ids[0] not in text, "the same label and the same flag"
    assert reader.get(f"/replays/{replay.id}?from=2").text.count('class="card change"') == 1


def test_the_progress_says_what_it_waits_for(
    reader: Browser, night: Night, database: Database, settings: Settings
) -> None:
    one = night.begin()

    def told() -> dict[str, object]:
        answer = reader.get(f"/replays/{one.id}/progress").json
        assert isinstance(answer, dict)
        return answer

    assert (told()["state"], told()["waiting"]) == ("running", 5)
    assert "no worker" in str(told()["waits"])
    with database.write() as session:
        heartbeats.beat(session, "host:explain:1", EXPLAIN)
    assert told()["waits"] == ""
    (other,) = work.make(database, 1, State.RECEIVED)
    assert "other studies are due" in str(told()["waits"])
    work.set_state(database, other, State.DONE)
    night.answer(one, settings)
    assert (told()["state"], told()["done"], told()["waits"]) == ("complete", 5, "")


def test_promoted_by_an_admin(admin: Browser, replay: Replay, night: Night) -> None:
    before = night.shown()
    page = f"/replays/{replay.id}"
    assert "5 studies show the candidate's answer at once; 3 of them" in admin.get(page).text.replace("&#39;", "'")
    assert night.shown() == before, "looking changes nothing"
    assert admin.post(f"{page}/promote").location == page
    text = admin.get(page).text
    assert "5 studies show the candidate" in text
    assert "promoted" in text
    assert {release_id for _, release_id in night.shown()} == {night.new.id}
    admin.post(f"{page}/promote")
    assert "Not promoted: this replay was promoted already." in admin.get(page).text
    admin.post(f"{page}/cancel")
    assert "It has ended already." in admin.get(page).text
    study = admin.get(f"/studies/{night.ids[1]}").text
    assert "fracture" in study
    assert night.new.identity[:12] in study or "demo 2" in study


def test_an_incomplete_one_is_not_promoted_and_can_be_cancelled(
    admin: Browser, night: Night, database: Database
) -> None:
    one = night.begin()
    page = f"/replays/{one.id}"
    assert "/promote" not in admin.get(page).text
    admin.post(f"{page}/promote")
    assert "Not promoted: 5 of 5 studies are still to be answered" in admin.get(page).text
    admin.post(f"{page}/cancel")
    assert "nothing that is shown has changed" in admin.get(page).text
    with database.read() as session:
        found = replays.row(session, one.id)
    assert found
    assert found.state == "cancelled"


def test_unknown_ones(admin: Browser, night: Night, replay: Replay) -> None:
    for path in ("/replays/nothing", "/replays/nothing/progress", "/replays/new", "/replays/new?batch=nothing",
                 f"/replays/nothing/studies/{night.ids[0]}/maps/before",
                 f"/replays/{replay.id}/studies/nothing/maps/before",
                 f"/replays/{replay.id}/studies/{night.ids[0]}/maps/middle"):  # fmt: skip
        assert admin.get(path).status_code == 404, path
    assert admin.post("/replays/nothing/promote").status_code == 404
    assert admin.post("/replays", {"batch": "nothing", "release": night.new.identity}).status_code == 404
