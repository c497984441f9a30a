"""Prepare in company: small studies are claimed, done and written together, and each has its own end."""

from typing import Any

import pytest

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.decoding import Decoded
from cspine.records import screenings
from cspine.settings import Settings
from cspine.states import State
from tests.cspine.decoding.objects import ROOT
from tests.cspine.records import work
from tests.worker.conftest import Receive, png
from tests.worker.test_prepare import broken, film, images, run
from worker import prepare, tasks
from worker.runtime import Runtime

pytestmark = pytest.mark.services


def test_small_studies_are_one_claim_and_each_has_its_own_end(
    own: Runtime, receive: Receive, database: Database
) -> None:
    ids = receive(png(1), broken("4"), png(2))
    run(own)
    assert [work.row(database, id_).state for id_ in ids] == [State.READY, State.FAILED, State.READY]
    assert work.row(database, ids[1]).reason == "no_usable_image"
    assert [work.attempts(database, id_)[0].company for id_ in ids] == [3, 3, 3]
    assert [work.outcomes(database, id_) for id_ in ids] == [["done"], ["failed"], ["done"]]


def test_what_has_not_begun_in_time_goes_back_and_is_not_counted(
    own: Runtime, receive: Receive, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "COMPANY_SECONDS", -1.0)
    ids = receive(png(1), png(2))
    run(own)
    assert [work.row(database, id_).state for id_ in ids] == [State.READY, State.RECEIVED]
    assert work.outcomes(database, ids[1]) == ["handed_back"]
    assert (work.row(database, ids[1]).lone_attempts, work.row(database, ids[1]).group_id) == (0, None)
    run(own)
    assert work.row(database, ids[1]).state == State.READY


def test_what_was_made_of_a_large_study_is_stored_on_the_way(
    own: Runtime, receive: Receive, database: Database, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "STORE_SECONDS", -1.0)
    (id_,) = receive(film(1, "3"), film(2, "4"))
    true = prepare.decode

    def decode(file: Any, name: str, settings: Settings) -> Decoded:
        if name == "1.bin":
            raise MemoryError
        return true(file, name, settings)

    monkeypatch.setattr(prepare, "decode", decode)
    with pytest.raises(MemoryError):
        run(own)
    assert [image.sop_uid for image in images(database)] == [ROOT + "3"]
    assert work.outcomes(database, id_) == ["crashed"]
    assert len(list(blobs.keys())) == 2 + 3


def test_one_that_was_cancelled_meanwhile_leaves_no_pictures_and_its_company_goes_on(
    own: Runtime, receive: Receive, database: Database, blobs: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = receive(png(1), png(2))
    true = prepare.decode

    def decode(file: Any, name: str, settings: Settings) -> Decoded:
        if name == "1.bin":
            with database.write() as session:
                screenings.cancel(session, ids[:1], "cancelled")
        return true(file, name, settings)

    monkeypatch.setattr(prepare, "decode", decode)
    run(own)
    assert [work.row(database, id_).state for id_ in ids] == [State.CANCELLED, State.READY]
    assert [image.study_id for image in images(database)] == [work.row(database, ids[1]).study_id]
    assert len(list(blobs.keys())) == 2 + 3


def test_a_poison_among_small_studies_is_found_by_halves_and_alone(
    own: Runtime, receive: Receive, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = receive(*(png(seed) for seed in range(8)))
    true = prepare.decode
    companies = []

    def decode(file: Any, name: str, settings: Settings) -> Decoded:
        if name == "5.bin":
            raise MemoryError
        return true(file, name, settings)

    monkeypatch.setattr(prepare, "decode", decode)
    while held := prepare.claim(own):
        if ids[5] in work.members(held):
            companies.append(len(held.members))
            with pytest.raises(MemoryError):
                tasks.attempt(own, held, prepare.run)
        else:
            tasks.attempt(own, held, prepare.run)
    assert companies == [8, 4, 2, 1, 1, 1]
    others = [id_ for id_ in ids if id_ != ids[5]]
    assert work.states(database, others) == {State.READY}
    assert {work.row(database, id_).lone_attempts for id_ in others} == {0}
    poison = work.row(database, ids[5])
    assert (poison.state, poison.reason, poison.lone_attempts) == (State.QUARANTINED, "decoder_crash", 3)
