"""Failures in a browser: a group is seen with its reason, and tried again."""

from playwright.sync_api import Page, expect

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.records import screenings
from cspine.states import State
from tests.browser import rows


def test_a_group_is_tried_again(page: Page, database: Database, blobs: BlobStore) -> None:
    ids = [rows.study(database, blobs, state=State.FAILED) for _ in range(2)]
    with database.write() as session:
        for study_id in ids:
            screening = screenings.shown(session, study_id)
            assert screening
            screening.fingerprint, screening.reason, screening.error_kind = "f00df00d", "timed_out", "transient"
    page.goto("/")
    page.get_by_role("link", name="Failures").click()
    group = page.locator("section.failure", has_text="f00df00d")
    expect(group).to_contain_text("The analysis took longer than its limit and was stopped.")
    group.get_by_role("button", name="Try all 2 again").click()
    expect(page.get_by_text("2 studies are sent back to work.")).to_be_visible()
    expect(page.locator("section.failure", has_text="f00df00d")).to_have_count(0)
    page.goto(f"/studies/{ids[0]}")
    expect(page.get_by_text("waiting for a worker to decode it").first).to_be_visible()
