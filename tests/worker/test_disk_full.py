"""The disk fills up while a worker makes pictures: nobody's fault, nothing left behind, analysed once there is room."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.queue import Bell
from cspine.settings import Settings
from cspine.states import State
from tests.cspine.records import work
from tests.disk import KINDS, Disk, disk
from tests.worker.conftest import Activate, Receive, png
from worker import prepare, screen, tasks
from worker.runtime import Runtime
from worker.sweep import Sweep

LEFT = 300_000  # room for rows and for the canonical picture, and none for the preview


@pytest.fixture(params=KINDS)
def full(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    with disk(request.param, tmp_path / "disk", lambda: [os.getpid()]) as made:
        yield made


@pytest.fixture
def settings(full: Disk, tmp_path: Path, template: Path) -> Settings:
    var = tmp_path / "disk" / "var"
    var.mkdir()
    shutil.copy(template, var / "cspine.db")
    return Settings(var=var, retry_first_seconds=0.0)


def test_a_disk_without_room_for_pictures_is_nobodys_fault(
    full: Disk, own: Runtime, receive: Receive, database: Database, blobs: BlobStore, activate: Activate,
    tiny_release: Path,
) -> None:  # fmt: skip
    activate(tiny_release)
    (id_,) = receive(png(1, 1400, 1400))
    before = set(blobs.keys())
    for _ in range(2):
        with database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")  # the log of the rows begins anew
        full.fill(LEFT)
        held = prepare.claim(own)
        assert held is not None
        tasks.attempt(own, held, prepare.run)
        waiting = work.row(database, id_)
        assert (waiting.state, waiting.tries, waiting.lone_attempts) == (State.WAITING, 0, 0)
        assert waiting.reason == "storage_full"
        assert set(blobs.keys()) == before
        assert not list((own.settings.var / "blobs").rglob("*.part"))
        full.free()
        Sweep(own.settings, database, Bell(own.settings)).once()
        assert work.row(database, id_).state == State.RECEIVED
    for stage in (prepare, screen):
        held = stage.claim(own)
        assert held is not None
        tasks.attempt(own, held, stage.run)
    assert work.row(database, id_).state == State.DONE
