"""What tests of the workers need: the runtime of a child, a tiny release, studies received as they really are."""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from sqlalchemy import select

from cspine import release_store, releases
from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.ingest import Intake
from cspine.queue import Bell
from cspine.records import batches
from cspine.records import releases as release_records
from cspine.settings import Settings
from cspine.tables import Release, Screening
from models import release as model_release
from models.export.make import make
from models.release import LoadedRelease
from tests.once import once
from tests.worker import releases as tiny
from worker import network
from worker.runtime import Runtime

Receive = Callable[..., list[int]]
Activate = Callable[[Path], Release]
true_load = model_release.load


def png(seed: int = 0, rows: int = 60, columns: int = 50) -> bytes:
    """Return a picture of its own for each seed."""
    pixels = np.random.default_rng(seed).integers(0, 255, (rows, columns), np.uint8)
    return bytes(cv2.imencode(".png", pixels)[1].tobytes())


@pytest.fixture(scope="session")
def tiny_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a tiny release once."""
    return once(tmp_path_factory, "tiny", tiny.make)


@pytest.fixture(scope="session")
def tiny_export(tiny_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export the tiny release once; it is the export of others of the same network, too."""

    def export(folder: Path) -> None:
        folder.mkdir()
        make(true_load(tiny_release), tiny_release, folder)

    return once(tmp_path_factory, "tiny-export", export)


@pytest.fixture(scope="session")
def compiled() -> dict[str, LoadedRelease]:
    """Keep the networks that are in memory already, by their releases' identity."""
    return {}


@pytest.fixture(autouse=True)
def load_once(monkeypatch: pytest.MonkeyPatch, compiled: dict[str, LoadedRelease]) -> None:
    """Compile the network of a release once for all tests; each still fetches and verifies it."""

    def load(folder: Path) -> LoadedRelease:
        identity = releases.identity(folder)
        if identity not in compiled:
            compiled[identity] = true_load(folder)
        return compiled[identity]

    monkeypatch.setattr(model_release, "load", load)


@pytest.fixture(autouse=True)
def by_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let TensorFlow run the releases, whose networks are compiled already; `test_exports` is about OpenVINO."""
    monkeypatch.setattr(network, "available", lambda: False)


@pytest.fixture
def own(settings: Settings) -> Iterator[Runtime]:
    """Give the runtime of a child; a database that is away is not waited for."""
    runtime = Runtime(settings, patience=0.0)
    yield runtime
    runtime.database.dispose()


@pytest.fixture
def activate(database: Database, blobs: BlobStore) -> Activate:
    """Give a function that imports a release folder and makes it the active one."""

    def do(folder: Path) -> Release:
        identity = release_store.store(blobs, folder)
        with database.write() as session:
            row = release_records.add(session, identity, releases.read_card(folder).model_dump(mode="json"))
            release_records.activate(session, row)
        return row

    return do


@pytest.fixture
def receive(settings: Settings, database: Database, blobs: BlobStore) -> Receive:
    """Give a function that receives files into a batch and returns the screenings of all studies, oldest first."""

    def do(*contents: bytes, lane: str = "normal") -> list[int]:
        with database.write() as session:
            batch = batches.get_or_create(session, f"night {lane}", lane)
        intake = Intake(settings, database, blobs, Bell(settings), batch)
        for number, content in enumerate(contents):
            intake.receive(BytesIO(content), f"{number}.bin")
        intake.finish()
        with database.read() as session:
            return list(session.scalars(select(Screening.id).order_by(Screening.id)))

    return do
