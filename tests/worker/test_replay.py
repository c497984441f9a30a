"""Replay: a candidate answers in the shadow; whatever becomes of it, what is shown stays. With a real worker, too."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from cspine import export_store, release_store, releases
from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.queue import EXPLAIN
from cspine.records import batches, comparisons, freeing, heartbeats, replays, shadows
from cspine.records import releases as release_records
from cspine.records.failures import groups
from cspine.settings import Settings
from cspine.states import SHADOW, Stage, State
from cspine.tables import Attempt, Batch, Claim, Image, Release, Replay, Result, Screening, Study
from models.runtime.openvino_runtime import export_name
from tests.cspine.records import work
from tests.worker import services
from tests.worker.conftest import Activate, Receive, png
from tests.worker.test_screen import prepared, run
from worker import idle, replay, screen, tasks
from worker.runtime import Runtime

pytestmark = pytest.mark.services
Bring = Callable[[Path], Release]


def turned(release: Path, folder: Path, version: str = "2") -> Path:
    """Write a release of the same network that calls everything by another label."""
    shutil.copytree(release, folder)
    card = releases.read_card(folder)
    labels = (*card.labels[1:], card.labels[0])
    (folder / "card.json").write_text(card.model_copy(update={"version": version, "labels": labels}).model_dump_json())
    releases.seal(folder)
    return folder


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no test's process end for being idle, and no test find the candidate of another."""
    monkeypatch.setattr(idle, "rest", lambda seconds: None)
    monkeypatch.setattr(replay, "_candidate", None)
    monkeypatch.setattr(replay, "_loaded", None)
    yield


@pytest.fixture
def bring(database: Database, blobs: BlobStore) -> Bring:
    """Give a function that imports a release folder and leaves the active one active."""

    def do(folder: Path) -> Release:
        identity = release_store.store(blobs, folder)
        with database.write() as session:
            return release_records.add(session, identity, releases.read_card(folder).model_dump(mode="json"))

    return do


@pytest.fixture
def night(own: Runtime, receive: Receive, activate: Activate, tiny_release: Path) -> list[int]:
    """Screen three studies by the tiny release."""
    activate(tiny_release)
    ids = prepared(own, receive(png(1), png(2), png(3)))
    assert sorted(run(own)) == ids
    return ids


def begin(database: Database, release: Release) -> Replay:
    with database.write() as session:
        batch = session.scalars(select(Batch)).one()
        return replays.begin(session, batch, release, "ada").replay


def step(own: Runtime) -> list[int]:
    """Do what the task does; return the shadows that were in the claim."""
    held = replay.claim(own)
    if held is None:
        return []
    tasks.attempt(own, held, replay.run)
    return work.members(held)


def shown(database: Database) -> list[tuple[object, ...]]:
    """Everything that list, study page, ledger and failures page say."""
    with database.read() as session:
        studies = session.execute(select(*Study.__table__.columns).order_by(Study.id)).all()
        own = session.execute(select(*Result.__table__.columns).where(Result.shown).order_by(Result.id)).all()
        screenings = session.execute(
            select(*Screening.__table__.columns).where(Screening.shadow.is_(False)).order_by(Screening.id)
        ).all()
        ledger = batches.ledger(session, session.scalars(select(Batch)).one()).as_dict()
        return [*map(tuple, studies), *map(tuple, own), *map(tuple, screenings), tuple(ledger.items()),
                (len(groups(session)),)]  # fmt: skip


def row(database: Database, one: Replay) -> replays.Row:
    with database.read() as session:
        found = replays.row(session, one.id)
        assert found
        return found


def test_a_candidate_answers_in_the_shadow(
    own: Runtime, night: list[int], bring: Bring, database: Database, tiny_release: Path, tmp_path: Path
) -> None:
    before = shown(database)
    candidate = bring(turned(tiny_release, tmp_path / "turned"))
    one = begin(database, candidate)
    assert len(step(own)) == 3
    assert shown(database) == before
    assert row(database, one).state == "complete"
    with database.read() as session:
        found = comparisons.compare(session, one.id)
        assert (found.agreement.count, found.agreement.same, found.changed) == (3, 0, 3)
        for change in comparisons.changes(session, one):
            assert change.before
            assert change.after
            assert change.before.result.saliency == change.after.result.saliency, "the same network, other words"
            assert change.after.result.release_id == candidate.id
        attempts = session.scalars(select(Attempt).join(Screening).where(Screening.shadow)).all()
        assert {attempt.worker.split(":")[1] for attempt in attempts} == {EXPLAIN}
    assert step(own) == []


def test_nothing_is_claimed_while_other_work_is_due(
    own: Runtime, night: list[int], bring: Bring, receive: Receive, database: Database, tiny_release: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    one = begin(database, bring(turned(tiny_release, tmp_path / "turned")))
    receive(png(4))
    assert step(own) == []
    assert row(database, one).replay.loads == 0, "the candidate is not loaded then either"


def test_a_candidate_that_is_broken_stops_its_replay_and_nothing_else(
    own: Runtime, night: list[int], bring: Bring, database: Database, blobs: BlobStore, tiny_release: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    candidate = bring(turned(tiny_release, tmp_path / "turned"))
    key = f"releases/{candidate.identity}/model.keras"
    whole = blobs.get(key)
    blobs.delete(key)
    blobs.put_bytes(whole[:-1], key=key)
    before = shown(database)
    one = begin(database, candidate)
    for _ in range(shadows.MOST_LOADS):
        assert row(database, one).state == "running"
        assert step(own) == []
    found = row(database, one)
    assert found.state == "stopped"
    assert "model.keras" in (found.replay.fault or "")
    assert shown(database) == before
    with database.read() as session:
        assert heartbeats.fault(session) is None, "no worker that screens is at fault"
    blobs.delete(key)
    blobs.put_bytes(whole, key=key)
    begin(database, candidate)
    assert len(step(own)) == 3
    assert row(database, one).replay.fault is None


def test_a_shadow_that_fails_is_on_no_page_but_its_own(
    own: Runtime, night: list[int], bring: Bring, database: Database, tiny_release: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    one = begin(database, bring(turned(tiny_release, tmp_path / "turned")))
    before = shown(database)
    with database.read() as session:
        image = session.scalars(select(Image).order_by(Image.id)).first()
    assert image
    whole = own.blobs.get(image.canonical_key)
    own.blobs.delete(image.canonical_key)
    step(own)
    assert shown(database) == before
    counts = row(database, one).progress
    assert (counts.done, counts.failed, counts.waiting) == (2, 1, 0)
    own.blobs.put_bytes(whole, key=image.canonical_key)


def test_a_shadow_that_kills_its_process_is_found_and_its_neighbours_are_answered(
    own: Runtime, night: list[int], bring: Bring, database: Database, settings: Settings, tiny_release: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    one = begin(database, bring(turned(tiny_release, tmp_path / "turned")))
    before = shown(database)
    with database.read() as session:
        poison = session.scalars(select(Screening.id).where(Screening.shadow).order_by(Screening.id)).all()[1]
    companies = []
    while held := replay.claim(own):
        if poison in work.members(held):
            companies.append(len(held.members))
            with database.write() as session:
                rings = freeing.crash(session, held.claim_id, settings)
            assert {ring.lane for ring in rings} <= {SHADOW}
        else:
            tasks.attempt(own, held, replay.run)
    assert companies == [3, 2, *[1] * settings.max_lone_attempts]
    counts = row(database, one).progress
    assert (counts.done, counts.quarantined, counts.waiting) == (2, 1, 0)
    assert shown(database) == before
    with database.write() as session:
        done = replays.promote(session, one.id, "ada")
    assert (done.promoted, done.unanswered) == (2, 1)


def test_a_new_release_in_the_middle_relabels_nothing(
    own: Runtime, receive: Receive, activate: Activate, database: Database, tiny_release: Path, tmp_path: Path
) -> None:
    """Claimed by the old release, answered by the old release; the next claim takes the new one."""
    old = activate(tiny_release)
    ids = prepared(own, receive(png(1), png(2), png(3)))
    own.settings = own.settings.model_copy(update={"screen_batch": 1})
    assert run(own) == ids[:1]
    held = screen.claim(own)
    assert held
    new = activate(turned(tiny_release, tmp_path / "turned"))
    tasks.attempt(own, held, screen.run)
    assert run(own) == ids[2:]
    with database.read() as session:
        said = session.execute(select(Result.release_id, Result.shown).order_by(Result.image_id)).all()
        by_screening = session.scalars(select(Screening.release_id).order_by(Screening.id)).all()
    assert said == [(old.id, True), (old.id, True), (new.id, True)]
    assert by_screening == [old.id, old.id, new.id]


def test_real_workers_through_an_upgrade_and_a_replay(
    settings: Settings, own: Runtime, receive: Receive, activate: Activate, database: Database, tiny_release: Path,
    tiny_export: Path, tmp_path: Path,
) -> None:  # fmt: skip
    """A release is activated with work queued and a batch in hand; then a replay survives the death of its child."""

    def export(release: Release) -> Release:
        export_store.store(own.blobs, release.identity, export_name(), tiny_export)  # both have the same network
        return release

    alone = settings.model_copy(update={"screen_batch": 2})
    old = export(activate(tiny_release))
    ids = prepared(own, receive(*(png(seed) for seed in range(6))))
    turned_release = turned(tiny_release, tmp_path / "turned")
    with services.broker(alone) as bell:
        trap = services.Trap(_picture(database, settings, ids[2]))
        with services.worker(alone, "screen") as worker:
            bell.ring(Stage.SCREEN, "normal", ids[:1])
            services.wait(lambda: work.row(database, ids[2]).state == State.SCREENING)
            new = export(activate(turned_release))
            trap.restore()
            os.kill(_holder(database, ids[2]), signal.SIGKILL)
            services.wait(lambda: work.states(database, ids) == {State.DONE})
            assert worker.end() == 0
        with database.read() as session:
            said = session.scalars(select(Result.release_id).order_by(Result.image_id)).all()
            made_by = session.scalars(
                select(Attempt.release_id).join(Result, Result.attempt_id == Attempt.id).order_by(Result.image_id)
            ).all()
        assert said == made_by == [old.id] * 2 + [new.id] * 4
        before = shown(database)
        one = begin(database, new)
        assert row(database, one).progress.studies == 2, "four show the new release already"
        trap = services.Trap(_picture(database, settings, ids[0]))
        with services.worker(alone, EXPLAIN) as worker:
            bell.ring(Stage.SCREEN, SHADOW, _shadows(database)[:1])
            (first, _) = _shadows(database)
            services.wait(lambda: work.row(database, first).state == State.SCREENING)
            trap.restore()
            os.kill(_holder(database, first), signal.SIGKILL)
            services.wait(lambda: row(database, one).progress.complete)
            assert row(database, one).progress.done == 2
            assert worker.end() == 0
    assert shown(database) == before
    with database.write() as session:
        assert replays.promote(session, one.id, "ada").promoted == 2
        session.flush()
        assert set(session.scalars(select(Result.release_id).where(Result.shown))) == {new.id}
        assert session.scalar(select(func.count()).select_from(Result)) == 8


def _picture(database: Database, settings: Settings, screening_id: int) -> Path:
    with database.read() as session:
        query = select(Image.canonical_key).join(Screening, Screening.study_id == Image.study_id)
        return settings.var / "blobs" / session.scalars(query.where(Screening.id == screening_id)).one()


def _shadows(database: Database) -> list[int]:
    with database.read() as session:
        return list(session.scalars(select(Screening.id).where(Screening.shadow).order_by(Screening.id)))


def _holder(database: Database, screening_id: int) -> int:
    """Return the process that holds a screening now."""
    with database.read() as session:
        query = select(Claim.worker).join(Screening, Screening.claim_id == Claim.id)
        return int(session.scalars(query.where(Screening.id == screening_id)).one().split(":")[3])
