"""Screening by OpenVINO: the export is made once, fetched, verified; whoever answers otherwise than pinned is held."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cspine import export_store, releases
from cspine.blobs import BlobStore
from cspine.commands import doctor
from cspine.commands.service import Service
from cspine.database import Database
from cspine.queue import Bell
from cspine.reasons import Reason
from cspine.records import heartbeats
from cspine.settings import Settings
from cspine.states import State
from cspine.tables import Release
from models.runtime.openvino_runtime import GRAPH, export_name
from tests.conftest import ROOT
from tests.cspine.records import work
from tests.worker.conftest import Activate, Receive, png
from tests.worker.test_screen import prepared, results, run
from worker import network
from worker.exports import Exports
from worker.runtime import Runtime

pytestmark = pytest.mark.services


@pytest.fixture(autouse=True)
def by_openvino(by_tensorflow: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let OpenVINO run the releases, and let a failed load be tried again at once."""
    monkeypatch.setattr(network, "available", lambda: True)
    monkeypatch.setattr(network, "NVIDIA", ())
    monkeypatch.setattr(network, "RETRY_SECONDS", 0.0)


@pytest.fixture
def exported(activate: Activate, blobs: BlobStore, tiny_release: Path, tiny_export: Path) -> Release:
    """Activate the tiny release, its export in the store."""
    row = activate(tiny_release)
    export_store.store(blobs, row.identity, export_name(), tiny_export)
    return row


def fault(database: Database) -> heartbeats.Fault | None:
    with database.read() as session:
        return heartbeats.fault(session)


def louder(export: Path, folder: Path) -> Path:
    """Write an export whose weights are others, its sums in order."""
    folder.mkdir()
    weights = np.fromfile((export / GRAPH).with_suffix(".bin"), np.uint8)
    values = weights[: len(weights) // 4 * 4].view(np.float32)
    values[(np.abs(values) > 1e-3) & (np.abs(values) < 1)] *= 1.5
    weights.tofile(folder / "graph.bin")
    (folder / GRAPH).write_bytes((export / GRAPH).read_bytes())
    releases.seal(folder)
    return folder


def test_openvino_answers_as_tensorflow_does(
    own: Runtime, receive: Receive, exported: Release, database: Database, monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
) -> None:  # fmt: skip
    ids = prepared(own, receive(png(1), png(2)))
    assert set(run(own)) == set(ids)
    assert own.network.on("cpu").runtime == "OpenVINO"
    found = results(database)
    monkeypatch.setattr(network, "available", lambda: False)
    other = Runtime(settings, patience=0.0)
    assert other.network.ready() is not None
    assert other.network.on("cpu").runtime == "TensorFlow"
    batch = np.random.default_rng(0).normal(size=(3, 32, 32, 1)).astype(np.float32)
    ours, theirs = own.network.predict("cpu", batch), other.network.predict("cpu", batch)
    other.database.dispose()
    np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=5e-4)
    np.testing.assert_allclose(ours.saliency, theirs.saliency, atol=1e-3 * np.abs(theirs.saliency).max())
    assert len(found) == 2


def test_a_worker_makes_what_is_missing_and_imports_no_tensorflow(
    settings: Settings, activate: Activate, tiny_release: Path, blobs: BlobStore
) -> None:
    row = activate(tiny_release)
    code = (
        "import sys; from cspine.settings import Settings; from worker.runtime import Runtime;"
        "from worker import network; network.NVIDIA = (); own = Runtime(Settings()).network; ready = own.ready();"
        "print(ready.device, own.on('cpu').runtime, {'tensorflow', 'keras'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=ROOT, env=settings.environment(), capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "cpu OpenVINO set()"
    assert blobs.exists(f"exports/{row.identity}/{export_name()}.zip"), "other workers need not make it"


def test_a_damaged_copy_is_replaced(own: Runtime, exported: Release, settings: Settings) -> None:
    assert own.network.ready() is not None
    copy = export_store.place(exported.identity, export_name(), settings.var.absolute() / "cache")
    (copy / "graph.bin").write_bytes(b"")
    again = Runtime(settings, patience=0.0)
    assert again.network.ready() is not None
    assert again.network.on("cpu").runtime == "OpenVINO"
    again.database.dispose()


def test_an_export_that_openvino_does_not_read_is_made_anew(
    own: Runtime, exported: Release, blobs: BlobStore, tiny_export: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder = louder(tiny_export, tmp_path / "other")
    (folder / GRAPH).write_text("<net/>")
    releases.seal(folder)
    export_store.store(blobs, exported.identity, export_name(), folder)

    def made(self: Exports, identity: str) -> bool:
        export_store.store(blobs, identity, export_name(), tiny_export)
        return True

    monkeypatch.setattr(Exports, "_make", made)
    assert own.network.ready() is not None
    assert own.network.on("cpu").runtime == "OpenVINO"


def test_where_none_can_be_made_tensorflow_runs_the_release(
    own: Runtime, activate: Activate, tiny_release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    activate(tiny_release)
    tried: list[str] = []
    monkeypatch.setattr(Exports, "_make", lambda self, identity: bool(tried.append(identity)))
    assert own.network.ready() is not None
    assert own.network.on("cpu").runtime == "TensorFlow"
    own.network._loaded.clear()
    assert own.network.ready() is not None
    assert len(tried) == 1


def test_weights_that_were_changed_hold_the_queue_until_they_are_repaired(
    own: Runtime, receive: Receive, exported: Release, database: Database, blobs: BlobStore, settings: Settings,
    tiny_export: Path, tmp_path: Path,
) -> None:  # fmt: skip
    name = export_name()
    export_store.store(blobs, exported.identity, name, louder(tiny_export, tmp_path / "louder"))
    ids = prepared(own, receive(png(1)))
    for _ in range(2):
        assert run(own) == []
        assert (work.row(database, ids[0]).state, work.row(database, ids[0]).tries) == (State.READY, 0)
        found = fault(database)
        assert found is not None
        assert found.reason is Reason.SENTINEL_FAILED
        assert found.detail.startswith("tiny 1: the answers of OpenVINO differ from sentinel.npz by 0.")
    told = [words for good, _, words in doctor.examine(Service(settings, database, blobs, Bell(settings))) if not good]
    assert f"sentinel_failed: {found.detail}" in told
    export_store.store(blobs, exported.identity, name, tiny_export)
    assert run(own) == ids
    assert fault(database) is None


def test_pinned_answers_that_were_changed_hold_the_queue_until_a_sound_release_is_active(
    own: Runtime, receive: Receive, activate: Activate, database: Database, blobs: BlobStore, tiny_release: Path,
    exported: Release, tiny_export: Path, tmp_path: Path,
) -> None:  # fmt: skip
    folder = tmp_path / "tampered"
    folder.mkdir()
    for path in tiny_release.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    with np.load(folder / "sentinel.npz") as pinned:
        arrays = dict(pinned)
    np.savez_compressed(folder / "sentinel.npz", **arrays | {"probabilities": 1 - arrays["probabilities"]})
    releases.seal(folder)
    row = activate(folder)
    export_store.store(blobs, row.identity, export_name(), tiny_export)
    ids = prepared(own, receive(png(1)))
    assert run(own) == []
    assert work.row(database, ids[0]).state == State.READY
    found = fault(database)
    assert found is not None
    assert found.reason is Reason.SENTINEL_FAILED
    activate(tiny_release)
    assert run(own) == ids
    assert fault(database) is None
