"""The study page in every state, its pictures and its saliency map."""

import io

import pytest
from PIL import Image as Picture
from sqlalchemy import update

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.records import screenings, studies
from cspine.states import Outcome, State
from cspine.tables import Result, Study
from tests.cspine.records import makers
from tests.web.conftest import Browser

pytestmark = pytest.mark.services

CARD = {
    "name": "demo", "version": "1", "demo": True, "network": "googlenet", "temperature": 1.0,
    "normal_label": "normal",
    "labels": [{"name": name, "weight": int(name != "normal")} for name in ("normal", "fracture", "dislocation")],
    "input": {"size": 224, "channels": 1, "scale": "standardise", "fit": "letterbox"},
}  # fmt: skip
SALIENCY = {
    "grid": [[0.0, 1.0], [2.0, -1.0]], "method": "hirescam",
    "geometry": {"scale": 0.5, "top": 0, "left": 25, "height": 224, "width": 174},
}  # fmt: skip
SHARES = {"fracture": 0.93, "normal": 0.05, "dislocation": 0.02}


def jpeg(grey: int) -> bytes:
    buffer = io.BytesIO()
    Picture.new("L", (40, 50), grey).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def done(database: Database, blobs: BlobStore) -> dict[str, int | str]:
    """Make a study of two analysed images; return its id and the images' ids."""
    keys = [blobs.put_bytes(jpeg(grey)) for grey in (40, 200)]
    with database.write() as session:
        batch = makers.batch(session)
        release = makers.release(session, card=CARD, identity="abcdef" * 10 + "0123")
        study = makers.study(session, batch, patient_name="Müller^Ute=山田", patient_id="4711",
                             study_description="C-Spine lateral")  # fmt: skip
        screening = screenings.shown(session, study.id)
        assert screening
        screening.release_id = release.id
        file = studies.detail(session, study.id).files[0]  # type: ignore[union-attr]
        attempt = makers.attempt(session, screening, worker="host:screen:7", ended_at=makers.NIGHT)
        shape = {"display_rows": 50, "display_columns": 40}
        images = [makers.image(session, study, file, frame, preview_key=keys[frame], thumbnail_key=keys[frame],
                               instance_number=frame, **shape) for frame in (0, 1)]  # fmt: skip
        makers.result(session, images[0], attempt, release, "normal", 0.9,
                      probabilities={"normal": 0.9, "fracture": 0.06, "dislocation": 0.04})  # fmt: skip
        makers.result(session, images[1], attempt, release, "fracture", 0.93, probabilities=SHARES, saliency=SALIENCY,
                      explained="fracture", timings={"network_ms": 21.44, "batch": 16}, urgency=0.95)  # fmt: skip
        studies.refresh(session, study.id)
        return {"study": study.id, "normal": images[0].id, "fracture": images[1].id}


def test_the_answer_and_what_it_stands_on(reader: Browser, done: dict[str, str]) -> None:
    text = reader.get(f"/studies/{done['study']}").text
    assert "Müller, Ute · 山田" in text
    assert 'fracture <span class="number">0.93</span>' in text
    assert "model output, uncalibrated, demo release" in text
    assert "Demo release, trained on drawn phantoms" in text
    assert "fracture suspected, model output 0.93, in 1 of 2 images" in text
    assert "abcdefabcdef</code>" in text
    for words in ("version 1", "host:screen:7", "network 21.4 ms", "0" * 12, "C-Spine lateral", "lane normal", "a.png"):
        assert words in text, words


def test_the_probabilities_of_every_class_in_the_cards_order(reader: Browser, done: dict[str, str]) -> None:
    text = reader.get(f"/studies/{done['study']}").text.split("Probabilities")[1]
    places = [
        text.index(words) for words in (">normal<", ">0.050<", ">fracture<", ">0.930<", ">dislocation<", ">0.020<")
    ]
    assert places == sorted(places)


def test_the_worst_image_is_shown_first_and_another_on_demand(reader: Browser, done: dict[str, str]) -> None:
    base = f"/studies/{done['study']}"
    assert f'src="{base}/images/{done["fracture"]}/preview"' in reader.get(base).text
    other = reader.get(f"{base}?image={done['normal']}").text
    assert f'src="{base}/images/{done["normal"]}/preview"' in other
    assert ">0.900<" in other


def test_the_overlay_is_on_where_flagged_and_says_what_it_is(reader: Browser, done: dict[str, str]) -> None:
    text = reader.get(f"/studies/{done['study']}").text
    assert 'id="overlay-on" checked' in text
    assert "Not a localisation." in text
    assert "hirescam" in text


@pytest.mark.parametrize(("label", "flags"), [("normal", []), ("fracture", ["out_of_distribution"])])
def test_the_overlay_is_off_at_first_where_normal_or_unlike_the_training_data(
    reader: Browser, done: dict[str, str], database: Database, label: str, flags: list[str]
) -> None:
    with database.write() as session:
        detail = studies.detail(session, done["study"])
        assert detail
        for one in detail.images:
            assert one.result
            one.result.label, one.result.flags, one.result.saliency = label, flags, SALIENCY
            one.result.flagged, one.result.probabilities = label != "normal", {label: 0.9}
        studies.refresh(session, done["study"])
    text = reader.get(f"/studies/{done['study']}").text
    assert 'id="overlay-on"' in text
    assert 'id="overlay-on" checked' not in text


def test_saliency_is_the_raw_grid_with_its_place(reader: Browser, done: dict[str, str]) -> None:
    answer = reader.get(f"/studies/{done['study']}/images/{done['fracture']}/saliency")
    assert answer.json == SALIENCY | {"input_size": 224, "explained": "fracture"}
    assert reader.get(f"/studies/{done['study']}/images/{done['normal']}/saliency").status_code == 404


def test_pictures_are_jpeg_and_kept_by_no_cache(reader: Browser, done: dict[str, str]) -> None:
    base = f"/studies/{done['study']}"
    for path in ("/thumbnail", f"/images/{done['normal']}/thumbnail", f"/images/{done['fracture']}/preview"):
        answer = reader.get(base + path)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert Picture.open(io.BytesIO(answer.data)).size == (40, 50)


def test_pictures_need_a_session_and_their_own_study(
    stranger: Browser, reader: Browser, done: dict[str, str], database: Database
) -> None:
    path = f"/images/{done['normal']}/preview"
    assert stranger.get(f"/studies/{done['study']}{path}").status_code == 302
    with database.write() as session:
        other = makers.study(session, makers.batch(session, name="other"))
    assert reader.get(f"/studies/{other.id}{path}").status_code == 404


def test_a_picture_whose_blob_is_gone_is_404(reader: Browser, done: dict[str, str], blobs: BlobStore,
                                             database: Database) -> None:  # fmt: skip
    with database.read() as session:
        study = session.get(Study, done["study"])
    assert study and study.thumbnail_key
    blobs.delete(study.thumbnail_key)
    assert reader.get(f"/studies/{done['study']}/thumbnail").status_code == 404


@pytest.mark.parametrize("state", [state for state in State if state is not State.DONE])
def test_a_study_without_an_answer_in_every_state(reader: Browser, database: Database, state: State) -> None:
    with database.write() as session:
        study = makers.study(session, makers.batch(session), state)
        screening = screenings.shown(session, study.id)
        assert screening
        screening.reason = "corrupt"
        makers.attempt(session, screening, outcome=Outcome.FAILED, reason="corrupt", traceback="Traceback: secret line")
        studies.refresh(session, study.id)
    in_work = state in {State.RECEIVED, State.PREPARING, State.READY, State.SCREENING, State.WAITING}
    text = reader.get(f"/studies/{study.id}").text
    assert ("data-in-work" in text) is in_work
    assert ("Try again" in text) is not in_work
    assert ('http-equiv="refresh"' in text) is in_work
    assert "a.png" in text
    assert "The file cannot be decoded" in text
    assert "secret line" not in text


def test_why_it_was_handed_back(reader: Browser, database: Database) -> None:
    with database.write() as session:
        study = makers.study(session, makers.batch(session), State.RECEIVED)
        screening = screenings.shown(session, study.id)
        assert screening
        makers.attempt(session, screening, outcome=Outcome.HANDED_BACK)
    assert "It was given back before it was done" in reader.get(f"/studies/{study.id}").text


def test_a_traceback_is_for_admins(admin: Browser, database: Database) -> None:
    with database.write() as session:
        study = makers.study(session, makers.batch(session), State.FAILED)
        screening = screenings.shown(session, study.id)
        assert screening
        makers.attempt(session, screening, outcome=Outcome.FAILED, traceback="Traceback: secret line")
    assert "secret line" in admin.get(f"/studies/{study.id}").text


def test_the_state_changes_its_version_when_the_answer_comes(reader: Browser, database: Database) -> None:
    with database.write() as session:
        study = makers.study(session, makers.batch(session), State.RECEIVED)
    first = reader.get(f"/studies/{study.id}/state").json
    assert first and first["state"] == "received"
    assert first["version"] in reader.get(f"/studies/{study.id}").text
    with database.write() as session:
        screening = screenings.shown(session, study.id)
        assert screening
        screening.state = State.READY
    second = reader.get(f"/studies/{study.id}/state").json
    assert second and second["version"] != first["version"]
    assert second["words"] == "decoded, waiting for the network"


def test_an_image_number_that_is_none_shows_the_study(reader: Browser, done: dict[str, str]) -> None:
    for query in ("image=999999", "image=x", "image=-1"):
        assert reader.get(f"/studies/{done['study']}?{query}").status_code == 200


def test_the_shares_of_a_foreign_picture_are_not_to_be_relied_on(
    reader: Browser, done: dict[str, int | str], database: Database
) -> None:
    words = "Not to be relied on"
    assert words not in reader.get(f"/studies/{done['study']}").text
    with database.write() as session:
        session.execute(update(Result).values(flags=["out_of_distribution"]))
        studies.refresh(session, str(done["study"]))
    assert words in reader.get(f"/studies/{done['study']}").text
