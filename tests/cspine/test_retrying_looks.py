"""What a preview looks up in the blob store: all, or a part that it names; never all rows in memory, never a hang."""

import random
import shutil
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.errors import ServiceFault
from cspine.reasons import Reason
from cspine.records import freezing
from cspine.settings import Settings
from cspine.tables import ReceivedFile
from tests.cspine.records import makers
from tests.cspine.retries import Retries

pytestmark = pytest.mark.services


@pytest.fixture
def own(settings: Settings, database: Database, blobs: BlobStore) -> Retries:
    return Retries(settings, database, blobs)


@pytest.fixture
def bites(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[int], int]]:
    """Note which places were asked for together, and how many files were in hand."""
    found: list[tuple[list[int], int]] = []
    inputs = freezing.inputs

    def noted(session: Session, bulk_id: str, positions: Sequence[int], limit: int) -> Sequence[Any]:
        rows = inputs(session, bulk_id, positions, limit)
        found.append((list(positions), len(rows)))
        return rows

    monkeypatch.setattr(freezing, "inputs", noted)
    return found


def test_every_file_is_looked_up_bite_by_bite(
    own: Retries, bites: list[tuple[list[int], int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cspine.retrying.BITE", 8)
    studies = own.failed(35)
    with own.database.write() as session:
        session.execute(update(ReceivedFile).where(ReceivedFile.study_id == studies[34].id).values(blob_key="aa/gone"))
    seen = own.view(own.preview())
    assert (seen.files, seen.looked, seen.gone, seen.held) == (35, 35, 1, 34)
    assert [len(places) for places, _ in bites] == [10, 8, 8, 8, 1]
    assert bites[0][0] == list(range(10)), "the first of all, which are the canary"
    assert sorted(place for places, _ in bites for place in places) == list(range(35))


def test_a_sample_stands_for_very_many(
    own: Retries, bites: list[tuple[list[int], int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cspine.retrying.MOST_PLACES", 6)
    own.failed(40)
    seen = own.view(own.preview())
    assert (seen.files, seen.looked, seen.held) == (40, 16, 40)
    drawn = bites[1][0]
    assert len(set(drawn)) == 6
    assert min(drawn) >= 10
    assert random.Random(seen.id).sample(range(10, 40), 6) == drawn, "the same for whoever looks again"


def test_a_study_of_very_many_files_is_not_held_in_memory(
    own: Retries, bites: list[tuple[list[int], int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cspine.retrying.MOST_FILES", 5)
    (study,) = own.failed(1)
    with own.database.write() as session:
        for _ in range(20):
            makers.file(session, own.batch, study, blob_key=own.key)
    seen = own.view(own.preview())
    assert (seen.files, seen.looked, seen.gone, seen.held) == (21, 5, 0, 1)
    assert max(count for _, count in bites) == 5


def test_a_store_that_is_away_holds_up_no_preview(own: Retries) -> None:
    own.failed(3)
    assert own.blobs.folder
    shutil.rmtree(own.blobs.folder)
    seen = own.view(own.preview())
    assert (seen.state, seen.held, seen.files, seen.looked, seen.gone) == ("previewed", 3, 3, 0, 0)


def test_a_store_that_breaks_off_is_asked_no_more(own: Retries, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def exists(_: BlobStore, key: str) -> bool:
        asked.append(key)
        if len(asked) > 2:
            raise ServiceFault("", Reason.STORAGE_UNAVAILABLE)
        return True

    own.failed(5)
    monkeypatch.setattr(BlobStore, "exists", exists)
    seen = own.view(own.preview())
    assert (len(asked), seen.held, seen.looked, seen.gone) == (3, 5, 2, 0)
