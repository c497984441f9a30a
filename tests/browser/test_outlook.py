"""The end of a batch in a browser: foreseen, moving with the work, a deadline and its warning; cancelled at last."""

from datetime import UTC, datetime, timedelta

from playwright.sync_api import Page, expect

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.tables import Batch, Study
from tests.browser import failing
from tests.browser.test_batches import begin, finish
from tests.cspine.records import pacing


def test_the_end_is_foreseen_and_moves_with_the_work(page: Page, database: Database) -> None:
    batch_id = begin(database, 12)
    with database.write() as session:
        pacing.work(session, seconds=5.0)
    page.goto(f"/batches/{batch_id}")
    outlook = page.locator("#outlook")
    expect(outlook).to_contain_text("12 studies are left; done by")
    expect(outlook).to_contain_text("studies a minute lately")
    expect(outlook.get_by_role("alert")).to_be_hidden()
    outlook.get_by_label("Deadline").fill("soon")
    outlook.get_by_role("button", name="Set it").click()
    expect(page.locator("#messages")).to_contain_text("Not set: a deadline is")
    outlook.get_by_label("Deadline").fill("2100-01-01 07:00")
    outlook.get_by_role("button", name="Set it").click()
    expect(outlook).to_contain_text("The deadline is 2100-01-01 07:00.")
    expect(outlook.get_by_label("Deadline")).to_have_value("2100-01-01 07:00")
    with database.write() as session:
        session.get_one(Batch, batch_id).deadline = datetime.now(UTC) + timedelta(seconds=1)
    finish(database, batch_id, 3)
    expect(outlook.get_by_role("alert")).to_contain_text("9 studies are left")
    expect(outlook.locator("[data-words]")).to_be_hidden()


def test_a_batch_is_cancelled_after_a_preview_and_its_ledger_is_taken_away(page: Page, database: Database) -> None:
    batch_id = begin(database, 3)
    finish(database, batch_id, 1)
    page.goto(f"/batches/{batch_id}")
    page.get_by_role("link", name="Cancel…").click()
    expect(page.get_by_text("2 studies would be cancelled")).to_be_visible()
    page.get_by_role("button", name="Cancel 2 studies").click()
    expect(page.locator("#messages")).to_contain_text("2 studies are cancelled.")
    expect(page.locator('#ledger [data-count="cancelled"]')).to_have_text("2")
    expect(page.get_by_role("link", name="Cancel…")).to_be_hidden()
    with page.expect_download() as download:
        page.get_by_role("link", name="Ledger as CSV").click()
    assert download.value.suggested_filename == f"cspine-ledger-{batch_id}.csv"
    lines = download.value.path().read_text().splitlines()
    assert [line.split(",")[1] for line in lines[1:]].count("cancelled") == 2


def test_what_failed_of_a_batch_is_tried_again_from_its_page(page: Page, database: Database, blobs: BlobStore) -> None:
    _, (study_id,) = failing.group(database, blobs, 1)
    with database.read() as session:
        batch_id = session.get_one(Study, study_id).batch_id
    page.goto(f"/batches/{batch_id}")
    page.get_by_role("button", name="Try what failed again").click()
    expect(page.get_by_text("1 of 1 study would be tried again")).to_be_visible()
    page.get_by_role("button", name="Try 1 again").click()
    expect(page.get_by_text("0 of 1 tried again have an answer")).to_be_visible()
