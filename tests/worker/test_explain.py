"""Maps on demand: made by the release that answered, stored with their place, failed with a reason; a real worker."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from cspine import preprocessing
from cspine.database import Database
from cspine.embedded import process
from cspine.records import explanations, heartbeats
from cspine.records.explanations import Progress
from cspine.saliency import METHODS
from cspine.settings import Settings
from cspine.tables import Explanation, Image, Result
from models import release as model_release
from tests.worker import releases as tiny
from tests.worker import services
from tests.worker.conftest import Activate, Receive, png
from tests.worker.test_screen import prepared, run
from worker import explain, idle
from worker.runtime import Runtime

pytestmark = pytest.mark.services


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no test's process end for being idle, and no map be made by another test's release."""
    monkeypatch.setattr(idle, "rest", lambda seconds: None)
    explain._loaded.clear()
    yield
    explain._loaded.clear()


@pytest.fixture
def result_id(own: Runtime, receive: Receive, activate: Activate, database: Database, tiny_release: Path) -> int:
    """Screen a study; the release that answered is then no longer the active one."""
    activate(tiny_release)
    prepared(own, receive(png(1, rows=100)))
    run(own)
    with database.read() as session:
        return session.scalars(select(Result.id)).one()


def ask(database: Database, result_id: int, method: str) -> int:
    with database.write() as session:
        return explanations.request(session, result_id, method, "rita").id


def row(database: Database, id_: int) -> Explanation:
    with database.read() as session:
        return session.get_one(Explanation, id_)


def stored(own: Runtime, id_: int) -> dict:
    key = row(own.database, id_).blob_key
    assert key is not None
    return json.loads(own.blobs.get(key))


def test_each_method_gives_the_map_of_the_release_that_answered(
    own: Runtime, activate: Activate, database: Database, tiny_release: Path, tmp_path: Path, result_id: int
) -> None:
    activate(tiny.variant(tiny_release, tmp_path / "second", "2"))
    release = model_release.load(tiny_release)
    with database.read() as session:
        result = session.get_one(Result, result_id)
        image = session.get_one(Image, result.image_id)
    pixels = explain.picture(own.blobs, image, result)
    batch = preprocessing.to_input(pixels, release.card.input)[None]
    assert result.explained is not None
    labels = np.array([release.card.names.index(result.explained)], np.int32)
    asked = {method: ask(database, result_id, method) for method in METHODS if method != "lesion_map"}
    for id_ in asked.values():
        explain.run(own, id_)
    ((identity, explainer),) = explain._loaded.items()
    assert identity == release.identity
    assert explainer.methods == list(asked)
    for method, id_ in asked.items():
        told = stored(own, id_)
        assert (told["method"], told["explained"], told["input_size"]) == (method, result.explained, tiny.SIZE)
        assert told["geometry"] == vars(preprocessing.letterbox_geometry(100, 50, tiny.SIZE))
        expected = explainer.explain(method, batch, labels)[0]
        np.testing.assert_allclose(told["grid"], expected, rtol=1e-2, atol=1e-4 * np.abs(expected).max())
    assert stored(own, ask(database, result_id, "smoothgrad"))["options"] == {"n": 16, "sigma": 0.1, "seed": 0}
    assert row(database, ask(database, result_id, "occlusion")).options == {"size": 32, "stride": 16, "fill": 0.0}
    assert result.saliency is not None
    same = np.array(stored(own, ask(database, result_id, "hirescam"))["grid"])
    np.testing.assert_allclose(same, result.saliency["grid"], rtol=1e-2, atol=1e-6)


def test_a_map_that_cannot_be_made_fails_with_its_reason(own: Runtime, database: Database, result_id: int) -> None:
    supervised = ask(database, result_id, "lesion_map")
    explain.run(own, supervised)
    assert (row(database, supervised).state, row(database, supervised).reason) == ("failed", "unsupported_method")
    with database.write() as session:
        session.get_one(Result, result_id).input_sha256 = "0" * 64  # another picture lies under the key by now
    other = ask(database, result_id, "cam")
    explain.run(own, other)
    assert (row(database, other).state, row(database, other).reason) == ("failed", "blob_missing")


def test_what_nobody_foresaw_fails_too(
    own: Runtime, database: Database, result_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("Doe^Jane")

    monkeypatch.setattr(explain, "_explainer", broken)
    id_ = ask(database, result_id, "cam")
    explain.run(own, id_)
    assert (row(database, id_).state, row(database, id_).reason) == ("failed", "internal_error")


def test_a_second_message_makes_nothing_again(own: Runtime, database: Database, result_id: int) -> None:
    id_ = ask(database, result_id, "cam")
    explain.run(own, id_)
    first = row(database, id_)
    explain.run(own, id_)
    assert first.state == Progress.DONE
    assert (row(database, id_).blob_key, row(database, id_).attempts) == (first.blob_key, 1)


def test_a_real_worker_makes_maps_survives_its_child_and_gives_its_memory_back(
    settings: Settings, database: Database, result_id: int, own: Runtime
) -> None:
    """The child is killed in the middle of a map, and another makes it; idle, that one ends, and a small one stands."""
    quick = settings.model_copy(update={"explain_idle_seconds": 0.5})
    with database.read() as session:
        key = session.scalars(select(Image.canonical_key)).one()
    with services.broker(quick) as bell, services.worker(quick, "explain") as worker:
        with database.read() as session:
            assert heartbeats.alive(session, "explain")
        trap = services.Trap(settings.var / "blobs" / key)
        id_ = ask(database, result_id, "gradient")
        bell.ask([id_])
        services.wait(lambda: row(database, id_).state == Progress.RUNNING)
        first = maker(row(database, id_))
        assert children(worker) == [first]
        trap.restore()
        os.kill(first, signal.SIGKILL)
        services.wait(lambda: row(database, id_).state == Progress.DONE)
        assert len(stored(own, id_)["grid"]) == tiny.SIZE
        assert row(database, id_).attempts == 2
        second = maker(row(database, id_))
        assert second != first
        services.wait(lambda: second not in children(worker) and len(children(worker)) == 1)
        assert worker.popen.poll() is None
        assert worker.end() == 0
    with database.read() as session:
        assert not heartbeats.alive(session, "explain")


def children(worker: services.Worker) -> list[int]:
    return process.children(worker.popen.pid)


def maker(made: Explanation) -> int:
    """Return the process that made a map, or is at it."""
    return int(str(made.worker).split(":")[3])


def test_the_methods_fit_their_column() -> None:
    assert max(map(len, METHODS)) <= 32
