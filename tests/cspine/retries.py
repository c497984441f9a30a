"""Retries in bulk for tests: an installation with studies that failed, and the bells that were sent."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import update

from cspine import retrying
from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.records import bulk as views
from cspine.records import screenings
from cspine.records.screenings import Ring
from cspine.records.selections import Selection
from cspine.settings import Settings
from cspine.tables import ReceivedFile, Study
from tests.cspine.records import crowd, makers

GROUP = Selection(fingerprint="f1")


class Retries:
    """The installation, with studies that failed, and the bells that were sent."""

    def __init__(self, settings: Settings, database: Database, blobs: BlobStore) -> None:
        self.settings, self.database, self.blobs = settings, database, blobs
        self.rings: list[Ring] = []
        self.key = blobs.put_bytes(b"film")
        with database.write() as session:
            makers.release(session)
            self.batch = makers.batch(session)

    def failed(self, count: int, **values: object) -> list[Study]:
        with self.database.write() as session:
            made = crowd.failed(session, self.batch, count, **values)  # type: ignore[arg-type]
            session.execute(update(ReceivedFile).values(blob_key=self.key))
        return made

    def preview(self, selection: Selection = GROUP, action: str = "retry", actor: str = "ana",
                reason: str | None = None) -> str:  # fmt: skip
        return retrying.preview(self.database, self.blobs, self.settings, action, selection, actor, reason)

    def confirm(self, bulk_id: str, actor: str = "ana") -> retrying.Confirmed:
        return retrying.confirm(self.database, self.send, self.settings, bulk_id, actor)

    def begin(self, selection: Selection = GROUP, **values: str) -> str:
        bulk_id = self.preview(selection, **values)
        assert self.confirm(bulk_id).first
        return bulk_id

    def send(self, rings: Sequence[Ring]) -> None:
        self.rings += rings

    def step(self) -> list[Ring]:
        return retrying.step(self.database, self.settings)

    def view(self, bulk_id: str) -> views.BulkView:
        with self.database.read() as session:
            seen = views.view(session, bulk_id, self.settings)
        assert seen is not None
        return seen

    def end(self, id_: int, fails: bool = False) -> None:
        crowd.end(self.database, self.settings, id_, crowd.bug() if fails else None)


def spy_on_restarts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which each screening that is sent back to work is added."""
    sent: list[int] = []
    true = screenings.restart_many

    def restart_many(*arguments: Any, **options: Any) -> list[screenings.Restarted]:
        moved = true(*arguments, **options)
        sent.extend(one.ring.screening_id for one in moved)
        return moved

    monkeypatch.setattr(screenings, "restart_many", restart_many)
    return sent
