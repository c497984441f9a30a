"""What `release activate` has done before it: a release that does not load takes no sound one's place."""

import shutil
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TextIO

import keras
import numpy as np
import pytest

from cspine import export_store, releases
from cspine.__main__ import main
from cspine.commands import release as commands
from cspine.commands.service import Service
from cspine.database import Database
from cspine.records import releases as records
from cspine.settings import Settings
from cspine.tables import Release
from models import googlenet
from models.export import command, make
from models.export.walk import Unsupported
from models.runtime.openvino_runtime import export_name
from tests.once import once
from tests.worker import releases as tiny

NETWORK = "model.keras"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(tmp_path_factory, "tiny", tiny.make)


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Point the environment to the test's installation."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def at_once(environment: None, load_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in this process what `activate` has another one do."""

    def export(_installation: Service, row: Release, content: str, output: TextIO | None = None) -> int:
        assert output is None
        return main(["export", "--load", content, row.identity])

    monkeypatch.setattr(commands, "export", export)


def active(database: Database) -> str | None:
    with database.read() as session:
        row = records.active(session)
    return row.identity if row else None


def imported(folder: Path) -> str:
    assert main(["release", "import", str(folder)]) == 0
    return releases.identity(folder)


def with_lambda(path: Path) -> None:
    """Put code into the file that answers as the network did."""
    network = keras.models.load_model(path)
    keras.Model(network.inputs, keras.layers.Lambda(lambda x: x)(network.outputs[0])).save(path)


@cache
def wide() -> keras.Model:
    return googlenet.build(3, width=0.1, channels=1, size=tiny.SIZE)


def wider(path: Path) -> None:
    wide().save(path)


def of_two_networks(path: Path) -> None:
    with zipfile.ZipFile(path) as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    wider(path)
    with zipfile.ZipFile(path) as other:
        parts["model.weights.h5"] = other.read("model.weights.h5")
    with zipfile.ZipFile(path, "w") as mixed:
        for name, content in parts.items():
            mixed.writestr(name, content)


def biased(value: float) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        network = keras.models.load_model(path)
        kernel, bias = network.get_layer("logits").get_weights()
        network.get_layer("logits").set_weights([kernel, bias + np.array([value, 0, 0])])
        network.save(path)

    return spoil


FAULTS = {
    "code": (with_lambda, "broken_release"),
    "another width": (wider, "broken_release"),
    "two networks": (of_two_networks, "broken_release"),
    "no number": (biased(np.nan), "broken_release"),
    "drifted": (biased(0.5), "sentinel_failed"),
}


def spoiled(sound: Path, folder: Path, fault: str) -> Path:
    shutil.copytree(sound, folder)
    FAULTS[fault][0](folder / NETWORK)
    releases.seal(folder)
    return folder


@pytest.mark.parametrize("fault", FAULTS)
def test_a_release_that_does_not_load_leaves_the_active_one(
    fault: str, sound: Path, at_once: None, database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with database.write() as session:
        records.activate(session, records.add(session, "0" * 64, releases.read_card(sound).model_dump(mode="json")))
    folder = spoiled(sound, tmp_path / "spoiled", fault)
    assert main(["release", "verify", str(folder)]) == 0
    identity = imported(folder)
    capsys.readouterr()
    assert main(["release", "activate", identity]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert FAULTS[fault][1] in said.err
    assert "Not activated: tiny 1" in said.err
    assert active(database) == "0" * 64


def test_the_process_that_loads_it_says_what_is_wrong(
    sound: Path, environment: None, database: Database, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    identity = imported(spoiled(sound, tmp_path / "spoiled", "code"))
    assert main(["release", "activate", identity]) == 1
    lines = capfd.readouterr().err.splitlines()
    assert lines[-2].startswith("cspine: model.keras cannot be loaded (broken_release)")
    assert lines[-1].startswith("Not activated: tiny 1")
    assert active(database) is None


def test_a_sound_release_is_exported_and_active(
    sound: Path, at_once: None, settings: Settings, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    identity = imported(sound)
    assert main(["release", "activate", identity]) == 0
    assert "active: tiny 1" in capsys.readouterr().out
    assert active(database) == identity
    blobs = commands.service().blobs
    assert export_store.fetch(blobs, identity, export_name(), settings.var / "cache") is not None


@pytest.mark.parametrize(
    ("error", "said"), [(Unsupported("odd"), "here: odd"), (MemoryError(), "little memory"), (None, "not installed")]
)
def test_what_only_tensorflow_runs_is_active_too(
    error: Exception | None, said: str, sound: Path, at_once: None, database: Database,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def fail(*_: object) -> None:
        assert error is not None
        raise error

    monkeypatch.setattr(make, "make", fail)
    monkeypatch.setattr(command, "available", lambda: error is not None)
    identity = imported(sound)
    assert main(["release", "activate", identity]) == 0
    assert said in capsys.readouterr().err
    assert active(database) == identity
    assert main(["export", identity]) == (2 if error is None else 1)
    assert main(["export", "--load", "only", identity]) == 0
