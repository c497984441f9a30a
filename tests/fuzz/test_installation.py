"""Damaged films in a real installation: each ends in one bucket, the pages stay up, and the next film is analysed."""

import random
import socket
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from cspine.blobs import BlobStore
from cspine.commands.screen import submit
from cspine.commands.service import Service
from cspine.database import Database
from cspine.embedded import ALL, running
from cspine.ledger import Ledger
from cspine.queue import EXPLAIN, Bell
from cspine.records import batches
from cspine.settings import Settings
from cspine.states import Disposition, Lane
from cspine.tables import Batch, ReceivedFile
from tests.cspine.decoding.objects import HTJ2K, J2K, LOSSLESS_SV1, ROOT, dicom
from tests.fuzz.mutations import PIXEL_DATA, bytes_changed, cut, number_changed, segment_moved, stream_wrecked
from tests.integration.house import with_demo
from tests.worker.services import wait

pytestmark = pytest.mark.services

FILMS = 36
DAMAGE = (bytes_changed, number_changed, cut, segment_moved, stream_wrecked)


def damaged_film(seed: int) -> bytes:
    """Return a film with a sound header, a study of its own, and damage in its compressed picture alone."""
    dice = random.Random(seed)
    cells = np.random.default_rng(seed).integers(0, 4096, (64, 48), np.uint16)
    film = dicom(cells, dice.choice([LOSSLESS_SV1, J2K, HTJ2K]), StudyInstanceUID=f"{ROOT}9.{seed}",
                 SOPInstanceUID=f"{ROOT}8.{seed}")  # fmt: skip
    at = film.rfind(PIXEL_DATA) + 12
    return film[:at] + dice.choice(DAMAGE)(film[at:], dice)


def test_damaged_films_cost_themselves_and_nothing_else(
    settings: Settings, database: Database, demo_export: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings = settings.model_copy(update={"port": free.getsockname()[1]})
    installation = Service(settings, database, BlobStore(settings.blobs), Bell(settings))
    with_demo(installation, demo_export)
    damaged, good = settings.var / "damaged", settings.var / "good"
    for folder in (damaged, good):
        folder.mkdir(parents=True)
    for seed in range(FILMS):
        (damaged / f"{seed}.dcm").write_bytes(damaged_film(seed))
    (good / "film.dcm").write_bytes(dicom(np.random.default_rng(0).integers(0, 4096, (300, 240), np.uint16)))

    def ledger(batch: Batch) -> Ledger:
        with database.read() as session:
            return batches.ledger(session, batch)

    with running(settings, ALL - {EXPLAIN}) as address:
        batch, _ = submit(installation, [damaged], "damaged", Lane.NORMAL)
        after, _ = submit(installation, [good], "good", Lane.NORMAL)
        wait(lambda: not ledger(batch).waiting and not ledger(after).waiting, 120, pause=0.2)
        with urllib.request.urlopen(f"{address}/healthz") as answer:
            assert answer.status == 200
    ends = ledger(batch)
    assert ends.balanced
    assert ends.received == FILMS
    assert ends.analysed
    assert ends.rejected
    assert ledger(after).analysed == 1
    with database.read() as session:
        files = session.scalars(select(ReceivedFile).where(ReceivedFile.batch_id == batch.id)).all()
    assert all(file.reason for file in files if file.disposition == Disposition.REJECTED)
