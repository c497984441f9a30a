"""Replays in a browser: begun from a batch, followed, both maps looked at, promoted."""

import secrets
from datetime import UTC, datetime

from playwright.sync_api import Page, expect
from sqlalchemy import select

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.records import replays, shadows
from cspine.records.claims import Member
from cspine.states import SHADOW, State
from cspine.tables import Batch, Image, Release, Replay, Result, Screening
from tests.browser import rows
from tests.browser.test_study import PEAK
from tests.cspine.records import makers

BEFORE = ("normal", "fracture", "normal")
AFTER = ("normal", "normal", "fracture")


def night(database: Database, blobs: BlobStore) -> tuple[str, str]:
    """Make a batch of three studies with answers, and another release; return the batch and the release's identity."""
    batch_id = rows.batch(database)
    for label in BEFORE:
        with database.write() as session:
            study = makers.study(session, session.get_one(Batch, batch_id), received_at=datetime.now(UTC))
        rows.answer(database, blobs, study.id, label)
    with database.write() as session:
        identity = secrets.token_hex(32)
        makers.release(session, identity=identity, version="candidate", card=rows.CARD, active=False)
    return batch_id, identity


def answer(database: Database, replay_id: str) -> None:
    """Answer every shadow as a worker does; other tests' studies may be due, to which a worker would give way."""
    with database.write() as session:
        replay = session.get_one(Replay, replay_id)
        release = session.get_one(Release, replay.release_id)
        own = session.scalars(select(Screening).where(Screening.replay_id == replay_id)).all()
        oldest = sorted(own, key=lambda one: session.scalars(
            select(Image.id).where(Image.study_id == one.study_id)).one())  # fmt: skip
        for shadow, label in zip(oldest, AFTER, strict=True):
            image = session.scalars(select(Image).where(Image.study_id == shadow.study_id)).one()
            attempt = makers.attempt(session, shadow)
            makers.result(session, image, attempt, release, label, 0.8, explained=label,
                          saliency=rows.saliency(10, 5))  # fmt: skip
            shadow.state = State.DONE
            session.flush()
            shadows.answered(session, [Member(shadow.id, shadow.study_id, SHADOW, attempt.id)], release.id)


def test_from_the_batch_to_the_promotion(page: Page, database: Database, blobs: BlobStore) -> None:
    batch_id, identity = night(database, blobs)
    page.goto(f"/replays/new?batch={batch_id}")
    page.get_by_label("Candidate").select_option(identity)
    page.get_by_role("button", name="Begin the replay").click()
    expect(page.locator("#progress")).to_contain_text("0 of 3 studies are answered under way")
    expect(page.locator("[data-waits]")).to_contain_text("It waits")
    replay_id = page.url.rsplit("/", 1)[1]
    answer(database, replay_id)
    expect(page.locator("#progress")).to_contain_text("3 of 3 studies are answered complete")
    expect(page.locator(".change")).to_have_count(2)
    expect(page.locator(".figures")).to_contain_text("1 of 3")
    first = page.locator(".change").first
    first.scroll_into_view_if_needed()
    expect(first.locator("canvas[data-drawn]")).to_have_count(2)
    peaks = [canvas.evaluate(PEAK)[1] for canvas in first.locator("canvas").all()]
    assert [round(14 * down - 0.5) for down in peaks] == [3, 10], "each side has its own map"
    for side in first.locator(".frame").all():
        film, map_ = side.locator("img").bounding_box(), side.locator("canvas").bounding_box()
        assert film == map_
    page.get_by_text("Promote…").click()
    page.get_by_role("button", name="Promote", exact=True).click()
    expect(page.locator("#messages")).to_contain_text("3 studies show the candidate's answer now.")
    expect(page.locator("#progress")).to_contain_text("promoted")
    expect(page.get_by_role("button", name="Promote", exact=True)).to_have_count(0)
    with database.read() as session:
        found = replays.row(session, replay_id)
        assert found
        query = select(Result.label).join(Image, Image.id == Result.image_id).where(Result.shown)
        labels = session.scalars(query.where(Result.release_id == found.release.id).order_by(Image.id)).all()
    assert labels == list(AFTER)
