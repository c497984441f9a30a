"""A worker host needs DATABASE_URL, REDIS_URL and BLOB_URL, and nothing else: no folder and no setting is shared."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, select

from cspine import export_store, release_store
from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.embedded import process
from cspine.settings import Settings
from cspine.states import State
from cspine.tables import Release, Result, Screening
from models.runtime.openvino_runtime import GRAPH, export_name
from tests import servers
from tests.conftest import GIVEN_REDIS
from tests.cspine.s3 import Server, server
from tests.worker.conftest import Activate, Receive, png
from tests.worker.services import wait

pytestmark = pytest.mark.services

STUDIES = 4


@pytest.fixture(scope="module")
def store() -> Iterator[Server]:
    with server() as made:
        yield made


@pytest.fixture
def settings(settings: Settings, store: Server, tmp_path: Path) -> Iterator[Settings]:
    """Give the settings of the host that receives: a broker on a port, blobs in S3."""
    if not GIVEN_REDIS and shutil.which("redis-server") is None:
        pytest.skip("no redis-server on the PATH")
    with ExitStack() as stack:
        url = GIVEN_REDIS or stack.enter_context(servers.redis(tmp_path / "redis")).url
        yield settings.model_copy(update={"redis_url": url, "blob_url": store.url})


@contextmanager
def host(settings: Settings, stage: str, var: Path) -> Iterator[Path]:
    """Run a worker that knows three addresses and an empty folder of its own, until the block ends."""
    var.mkdir()
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": settings.database, "REDIS_URL": settings.redis_url,
                   "BLOB_URL": settings.blob_url, "CSPINE_VAR": str(var)}  # fmt: skip
    command = [sys.executable, "-m", "cspine", "worker", "--stage", stage, "--concurrency", "1"]
    log = var.with_suffix(".log")
    with log.open("wb") as output:
        running = process.spawn(command, environment, output)
    try:
        wait(lambda: "ready." in log.read_text())
        yield log
    finally:
        running.terminate()
        running.wait(60)


def done(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).where(Screening.state == State.DONE)) or 0


def test_two_hosts_with_nothing_shared_but_three_addresses(
    settings: Settings, database: Database, store: Server, activate: Activate, receive: Receive, tiny_release: Path,
    tiny_export: Path, tmp_path: Path,
) -> None:  # fmt: skip
    release: Release = activate(tiny_release)
    blobs, export = BlobStore(settings.blobs), export_name()
    assert release_store.holds(blobs, release.identity, "card.json")
    export_store.store(blobs, release.identity, export, tiny_export)
    receive(*(png(seed) for seed in range(STUDIES)))
    with host(settings, "prepare", tmp_path / "first"), host(settings, "screen", tmp_path / "second") as log:
        with store.counting() as asked:
            wait(lambda: done(database) == STUDIES)
        assert "release loaded" in log.read_text()
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Result)) == STUDIES
        assert set(session.scalars(select(Result.release_id))) == {release.id}
    assert asked["LIST"] == 0, "no worker looks for anything by listing"
    assert not (settings.var / "cache").exists()
    assert not (tmp_path / "first" / "cache").exists()
    cache = tmp_path / "second" / "cache"
    assert (cache / release.identity / "card.json").exists(), "fetched by the host itself"
    assert (export_store.place(release.identity, export, cache) / GRAPH).exists()
