"""The sweep's steps for blobs and counters, and `cspine sweep --blobs` as a person calls it."""

import os
import re
import subprocess
import sys

import pytest

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.queue import Bell
from cspine.records import blob_names, tallies
from cspine.settings import Settings
from cspine.tables import Screening
from tests.conftest import ROOT
from tests.cspine.records import makers
from worker.steps import STEPS, Step
from worker.sweep import Sweep

pytestmark = pytest.mark.services


def step(name: str) -> Step:
    return next(one for one in STEPS if one.name == name)


def test_the_sweep_counts_and_walks(database: Database, blobs: BlobStore, settings: Settings) -> None:
    blobs.put_bytes(b"some")
    with database.write() as session:
        study = makers.study(session, makers.batch(session))
        makers.attempt(session, session.query(Screening).filter_by(study_id=study.id).one(), ended_at=makers.NIGHT)
    own = Sweep(settings, database, Bell(settings))
    step("tally").run(own)
    for _ in range(20):
        step("orphan blobs").run(own)
    with database.read() as session:
        assert tallies.load(session).attempts.ended["screen", "done", "none"] == 1
        assert tallies.load(session).last_attempt == 1
        assert blob_names.seen(session) == {"blobs": 1, "blob_bytes": 4, "blobs_orphaned": 0}


def test_by_hand(database: Database, blobs: BlobStore, settings: Settings) -> None:
    old, new = blobs.put_bytes(b"old"), blobs.put_bytes(b"new")
    path = settings.var / "blobs" / old
    os.utime(path, (path.stat().st_mtime - 90_000,) * 2)

    def sweep(*options: str) -> list[int]:
        command = [sys.executable, "-m", "cspine", "sweep", "--blobs", *options]
        run = subprocess.run(command, cwd=ROOT, env=settings.environment(), capture_output=True, text=True, check=True)
        return [int(number) for number in re.findall(r"\d+", run.stdout)]

    assert sweep("--dry-run") == [2, 6, 24, 1, 3, 0]
    assert set(blobs.keys()) == {old, new}
    assert sweep() == [2, 6, 24, 1, 3, 1]
    assert list(blobs.keys()) == [new]
