"""Maps on demand over HTTP: asked for with a token, looked after, fetched; and the choice on the study page."""

import json

import pytest
from sqlalchemy import select

from cspine import saliency
from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.reasons import Reason
from cspine.records import explanations, heartbeats
from cspine.tables import Audit, Explanation, Release
from tests.web.conftest import Browser
from tests.web.test_studies import done  # noqa: F401  # a fixture

pytestmark = pytest.mark.services
Done = dict[str, int | str]


def address(done: Done, method: str = "gradcam", image: str = "fracture") -> str:  # noqa: F811
    return f"/studies/{done['study']}/images/{done[image]}/explanations/{method}"


def asked(database: Database) -> Explanation:
    with database.read() as session:
        return session.scalars(select(Explanation)).one()


def test_a_map_is_asked_for_looked_after_and_fetched(
    reader: Browser, done: Done, database: Database, blobs: BlobStore  # noqa: F811
) -> None:  # fmt: skip
    assert reader.get(address(done)).json == {"state": "none", "words": "", "map": None}
    first = reader.post(address(done))
    assert (first.status_code, first.json["state"]) == (202, "requested")  # type: ignore[index]
    assert reader.post(address(done)).status_code == 202, "a second click is one job"
    row = asked(database)
    assert (row.method, row.requested_by, row.state) == ("gradcam", "rita", "requested")
    assert "no worker for maps runs" in reader.get(address(done)).json["words"]  # type: ignore[index]
    with database.write() as session:
        heartbeats.beat(session, "host:explain:1", "explain")
    assert "waits for a worker" in reader.get(address(done)).json["words"]  # type: ignore[index]
    with database.write() as session:
        work = explanations.claim(session, row.id, "host:explain:1:2", 60)
    assert work is not None
    assert reader.get(address(done)).json["state"] == "running"  # type: ignore[index]
    assert reader.get(f"{address(done)}/map").status_code == 404
    told = {"grid": [[1.0]], "method": "gradcam"}
    with database.write() as session:
        explanations.finish(session, work, blobs.put_bytes(json.dumps(told).encode()), {})
    state = reader.get(address(done)).json
    assert state == {"state": "done", "words": "The map is there", "map": f"{address(done)}/map"}
    answer = reader.get(state["map"])
    assert answer.json == told
    assert answer.headers["Cache-Control"] == "no-store"
    with database.read() as session:
        assert set(session.scalars(select(Audit.action))) == {"explain"}


def test_why_there_is_no_map_is_said(reader: Browser, done: Done, database: Database) -> None:  # noqa: F811
    reader.post(address(done, "cam"))
    with database.write() as session:
        work = explanations.claim(session, asked(database).id, "host:explain:1:2", 60)
        assert work is not None
        explanations.fail(session, work, Reason.UNSUPPORTED_METHOD)
    state = reader.get(address(done, "cam")).json
    assert state
    assert state["words"] == f"There is no map: {Reason.UNSUPPORTED_METHOD.sentence}"
    reader.post(address(done, "cam"))
    assert asked(database).state == "requested"


def test_only_what_there_is_and_only_with_a_session_and_a_token(
    reader: Browser, stranger: Browser, done: Done, database: Database  # noqa: F811
) -> None:  # fmt: skip
    other = {"study": "A" * 22, "fracture": done["fracture"]}
    for path in (address(done, "guided_backprop"), address(other), address(done, image="study")):
        assert reader.get(path).status_code == 404
        assert reader.post(path).status_code == 404
    assert reader.client.post(address(done)).status_code == 400, "no token"
    assert stranger.get(address(done)).status_code == 302
    assert stranger.client.post(address(done)).status_code == 401
    with database.read() as session:
        assert session.scalars(select(Explanation.id)).all() == []


def test_the_page_offers_a_supervised_map_only_where_the_release_keeps_it(
    reader: Browser, done: Done, database: Database, blobs: BlobStore  # noqa: F811
) -> None:  # fmt: skip
    page = f"/studies/{done['study']}"
    text = reader.get(page).text
    for name, method in saliency.METHODS.items():
        assert (f'value="{name}"' in text) is not method.supervised
    assert 'value="hirescam" selected' in text
    with database.read() as session:
        identity = session.scalars(select(Release.identity)).one()
    blobs.put_bytes(b"arrays", key=f"releases/{identity}/{saliency.LESION_MAP_FILE}")
    assert "Lesion map (supervised)" in reader.get(page).text


@pytest.mark.parametrize(("network", "offered"), [("googlenet", True), ("alexnet", False), ("inception_v3", False)])
def test_the_page_offers_class_activation_only_where_the_network_allows_it(
    network: str, offered: bool, reader: Browser, done: Done, database: Database  # noqa: F811
) -> None:  # fmt: skip
    with database.write() as session:
        row = session.scalars(select(Release)).one()
        row.card = row.card | {"network": network}
    assert ('value="cam"' in reader.get(f"/studies/{done['study']}").text) is offered
