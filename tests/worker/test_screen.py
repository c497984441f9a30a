"""Screen: one batch through a real (tiny) network, answers with their saliency, only by a sound and active release."""

import json
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from cspine import preprocessing, releases
from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.errors import ServiceFault
from cspine.reasons import Reason
from cspine.records import heartbeats
from cspine.states import State
from cspine.tables import Attempt, Image, Result, Study
from models import release as model_release
from models.release import LoadedRelease
from tests.cspine.decoding.objects import ROOT, dicom
from tests.cspine.records import work
from tests.worker import releases as tiny
from tests.worker.conftest import Activate, Receive, png
from worker import network, prepare, screen, tasks
from worker.runtime import Runtime

pytestmark = pytest.mark.services


def run(own: Runtime) -> list[int]:
    """Do what the task does; return the screenings that were in the claim."""
    held = screen.claim(own)
    if held is None:
        return []
    tasks.attempt(own, held, screen.run)
    return work.members(held)


def prepared(own: Runtime, ids: list[int]) -> list[int]:
    while held := prepare.claim(own):
        tasks.attempt(own, held, prepare.run)
    return ids


def results(database: Database) -> list[Result]:
    with database.read() as session:
        return list(session.scalars(select(Result).order_by(Result.image_id, Result.id)))


def test_a_batch_is_answered_in_one_claim(
    own: Runtime, receive: Receive, activate: Activate, database: Database, tiny_release: Path
) -> None:
    release = activate(tiny_release)
    ids = prepared(own, receive(png(1), png(2, rows=100), png(3)))
    assert run(own) == ids
    assert work.states(database, ids) == {State.DONE}
    found = results(database)
    assert len(found) == 3
    for result in found:
        assert result.release_id == release.id
        assert sum(result.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert result.label == max(result.probabilities, key=lambda name: result.probabilities[name])
        weighted = 0.8 * result.probabilities["fracture"] + result.probabilities["dislocation"]
        assert result.urgency == pytest.approx(weighted, abs=1e-6)
        suspicious = 1 - result.probabilities["normal"] >= release.card["thresholds"]["flag"]
        assert result.flagged == (result.label != "normal" or suspicious)
        assert result.saliency is not None
        assert np.array(result.saliency["grid"]).shape == (tiny.SIZE // 16, tiny.SIZE // 16)
        assert result.flags == []
        assert result.timings["batch"] == 3
    geometry = preprocessing.letterbox_geometry(100, 50, tiny.SIZE)
    assert found[1].saliency is not None
    assert found[1].saliency["geometry"] == vars(geometry)
    with database.read() as session:
        study = session.scalars(select(Study).where(Study.id == work.row(database, ids[0]).study_id)).one()
        assert study.label == found[0].label
        assert study.urgency == found[0].urgency


def test_the_answer_does_not_depend_on_its_company(
    own: Runtime, receive: Receive, activate: Activate, database: Database, tiny_release: Path
) -> None:
    activate(tiny_release)
    ids = prepared(own, receive(png(1), png(2), png(3)))
    own.settings = own.settings.model_copy(update={"screen_batch": 1})
    assert run(own) == ids[:1]
    own.settings = own.settings.model_copy(update={"screen_batch": 2})
    assert run(own) == ids[1:]
    together = results(database)
    with database.read() as session:
        images = {image.id: image for image in session.scalars(select(Image))}
        (alone,) = session.scalars(select(Attempt.id).where(Attempt.screening_id == ids[0], Attempt.stage == "screen"))
    assert together[0].attempt_id == alone
    for result in together:
        picture = screen._read(own.blobs, images[result.image_id])
        card = own.network.on("cpu").card
        answer = own.network.predict("cpu", preprocessing.to_input(picture.pixels, card.input)[None])
        assert list(result.probabilities.values()) == pytest.approx(answer.probabilities[0].tolist(), abs=1e-5)
        assert result.input_sha256 == picture.sha256


def test_only_the_study_at_fault_fails(
    own: Runtime, receive: Receive, activate: Activate, database: Database, tiny_release: Path
) -> None:
    activate(tiny_release)
    ids = prepared(own, receive(png(1), png(2), png(3)))
    with database.read() as session:
        image = session.scalars(select(Image).where(Image.study_id == work.row(database, ids[1]).study_id)).one()
    own.blobs.delete(image.canonical_key)
    run(own)
    assert [work.row(database, id_).state for id_ in ids] == [State.DONE, State.FAILED, State.DONE]
    assert work.row(database, ids[1]).reason == "blob_missing"
    assert len(results(database)) == 2


def test_what_one_image_says_is_kept_though_its_study_fails(
    own: Runtime, receive: Receive, activate: Activate, database: Database, tiny_release: Path
) -> None:
    activate(tiny_release)
    cells = np.random.default_rng(0).integers(0, 4095, (2, 50, 40), np.uint16)
    (id_,) = prepared(
        own, receive(dicom(cells[:1], SOPInstanceUID=ROOT + "3"), dicom(cells[1:], SOPInstanceUID=ROOT + "4"))
    )
    with database.read() as session:
        first, second = session.scalars(select(Image).order_by(Image.id))
    own.blobs.delete(second.canonical_key)
    run(own)
    assert work.row(database, id_).state == State.FAILED
    assert [result.image_id for result in results(database)] == [first.id]


def test_a_further_file_adds_its_answer_and_repeats_none(
    own: Runtime, receive: Receive, activate: Activate, database: Database, tiny_release: Path
) -> None:
    activate(tiny_release)
    cells = np.random.default_rng(0).integers(0, 4095, (50, 40), np.uint16)
    ids = prepared(own, receive(dicom(cells)))
    run(own)
    (first,) = results(database)
    prepared(own, receive(dicom(cells[::-1], SOPInstanceUID=ROOT + "4")))
    run(own)
    assert work.row(database, ids[0]).state == State.DONE
    assert len(results(database)) == 2
    assert results(database)[0].id == first.id


def test_a_part_that_comes_while_the_first_is_screened_leaves_no_answer_of_half(
    own: Runtime, receive: Receive, activate: Activate, database: Database, tiny_release: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    activate(tiny_release)
    cells = np.random.default_rng(0).integers(0, 4095, (50, 40), np.uint16)
    ids = prepared(own, receive(dicom(cells)))
    true = screen._read

    def read(store: BlobStore, image: Image) -> screen.Picture:
        monkeypatch.setattr(screen, "_read", true)
        receive(dicom(cells[::-1], SOPInstanceUID=ROOT + "4"))
        return true(store, image)

    monkeypatch.setattr(screen, "_read", read)
    run(own)
    assert (work.row(database, ids[0]).state, results(database)) == (State.RECEIVED, [])
    prepared(own, ids)
    run(own)
    assert work.row(database, ids[0]).state == State.DONE
    assert len({result.image_id for result in results(database)}) == len(results(database)) == 2
    with database.read() as session:
        outcomes = session.scalars(select(Attempt.outcome).where(Attempt.stage == "screen").order_by(Attempt.id)).all()
    assert outcomes == ["superseded", "done"]


def test_unlike_the_training_data_is_flagged(
    own: Runtime, receive: Receive, activate: Activate, database: Database, tiny_release: Path, tmp_path: Path
) -> None:
    activate(tiny.variant(tiny_release, tmp_path / "narrow", "2", threshold=-1.0))
    prepared(own, receive(png(1)))
    run(own)
    (result,) = results(database)
    assert result.flags == ["out_of_distribution"]
    with database.read() as session:
        assert session.scalars(select(Study.bucket)).one() == "not_analysed"


def test_a_broken_release_screens_nothing_and_says_which_file(
    own: Runtime, receive: Receive, activate: Activate, database: Database, blobs: BlobStore, tiny_release: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(network, "RETRY_SECONDS", 0.0)
    release = activate(tiny_release)
    ids = prepared(own, receive(png(1)))
    key = f"releases/{release.identity}/model.keras"
    whole = blobs.get(key)
    blobs.delete(key)
    blobs.put_bytes(whole[:-1], key=key)
    assert run(own) == []
    assert work.row(database, ids[0]).state == State.READY
    assert [attempt.stage for attempt in work.attempts(database, ids[0])] == ["prepare"], "no try was counted"
    with database.read() as session:
        fault = heartbeats.fault(session)
    assert fault is not None
    assert fault.reason is Reason.BROKEN_RELEASE
    assert "model.keras" in fault.detail
    blobs.delete(key)
    blobs.put_bytes(whole, key=key)
    assert run(own) == ids
    with database.read() as session:
        assert heartbeats.fault(session) is None


def fault(database: Database) -> heartbeats.Fault:
    with database.read() as session:
        found = heartbeats.fault(session)
    assert found is not None
    return found


def test_a_release_whose_files_do_not_fit_screens_nothing_and_says_which_file(
    own: Runtime, receive: Receive, activate: Activate, database: Database, tiny_release: Path, tmp_path: Path
) -> None:
    folder = tiny.variant(tiny_release, tmp_path / "unfit", "2")
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"input": card["input"] | {"size": 64}}))
    releases.seal(folder)
    activate(folder)
    ids = prepared(own, receive(png(1)))
    assert run(own) == []
    assert (work.row(database, ids[0]).state, work.row(database, ids[0]).tries) == (State.READY, 0)
    assert fault(database).detail == "tiny 2: model.keras does not fit card.json"
    activate(tiny_release)
    assert run(own) == ids, "another release is loaded at once"


@pytest.mark.parametrize(("error", "reason"), [(ValueError("Doe^Jane"), Reason.BROKEN_RELEASE),
                                               (MemoryError(), Reason.OUT_OF_MEMORY)])  # fmt: skip
def test_whatever_keeps_a_release_from_loading_is_said_and_not_tried_at_each_message(
    own: Runtime, receive: Receive, activate: Activate, database: Database, tiny_release: Path,
    monkeypatch: pytest.MonkeyPatch, error: Exception, reason: Reason,
) -> None:  # fmt: skip
    activate(tiny_release)
    ids = prepared(own, receive(png(1)))
    loaded: list[Path] = []
    true = model_release.load

    def load(folder: Path) -> LoadedRelease:
        loaded.append(folder)
        if len(loaded) == 1:
            raise error
        return true(folder)

    monkeypatch.setattr(model_release, "load", load)
    assert [run(own) for _ in range(3)] == [[], [], []]
    assert len(loaded) == 1
    assert (fault(database).reason, fault(database).detail) == (
        reason, f"tiny 1 cannot be loaded ({type(error).__name__})"
    )  # fmt: skip
    steady = network.time.monotonic
    monkeypatch.setattr(network.time, "monotonic", lambda: steady() + network.RETRY_SECONDS)
    assert run(own) == ids
    with database.read() as session:
        assert heartbeats.fault(session) is None


def test_without_a_release_nothing_is_claimed(own: Runtime, receive: Receive, database: Database) -> None:
    prepared(own, receive(png(1)))
    assert run(own) == []
    with database.read() as session:
        fault = heartbeats.fault(session)
    assert fault is not None
    assert fault.reason is Reason.NO_RELEASE


def test_each_result_says_which_release_made_it(
    own: Runtime, receive: Receive, activate: Activate, database: Database, tiny_release: Path, tmp_path: Path
) -> None:
    first = activate(tiny_release)
    ids = prepared(own, receive(png(1), png(2)))
    own.settings = own.settings.model_copy(update={"screen_batch": 1})
    run(own)
    second = activate(tiny.variant(tiny_release, tmp_path / "second", "2"))
    run(own)
    assert [result.release_id for result in results(database)] == [first.id, second.id]
    assert [work.row(database, id_).release_id for id_ in ids] == [first.id, second.id]


def test_a_database_that_is_away_at_the_end_leaves_no_trace(
    own: Runtime, receive: Receive, activate: Activate, database: Database, tiny_release: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    activate(tiny_release)
    ids = prepared(own, receive(png(1)))

    def away(*_: object) -> None:
        raise ServiceFault("gone", Reason.DATABASE_UNAVAILABLE)

    monkeypatch.setattr("cspine.records.results.add", away)
    run(own)
    waiting = work.row(database, ids[0])
    assert (waiting.state, waiting.tries, waiting.reason) == (State.WAITING, 0, "database_unavailable")
    assert results(database) == []
