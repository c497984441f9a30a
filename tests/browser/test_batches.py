"""Batches in a browser: counts that move by themselves, over the end of a stream, and the red banner."""

from datetime import UTC, datetime

from playwright.sync_api import Page, expect
from sqlalchemy import update

from cspine.database import Database
from cspine.states import State
from cspine.tables import Batch, Screening, Study
from tests.browser import rows
from tests.cspine.records import makers


def begin(database: Database, studies: int) -> str:
    batch_id = rows.batch(database)
    with database.write() as session:
        for _ in range(studies):
            makers.study(session, session.get_one(Batch, batch_id), State.RECEIVED)
    return batch_id


def finish(database: Database, batch_id: str, count: int) -> None:
    """Let some studies of a batch be done."""
    with database.write() as session:
        waiting = (
            session.query(Screening).join(Study, Study.id == Screening.study_id)
            .filter(Study.batch_id == batch_id, Screening.state == State.RECEIVED).limit(count)
        )  # fmt: skip
        ids = [screening.id for screening in waiting]
        done = {"state": State.DONE, "changed_at": datetime.now(UTC)}
        session.execute(update(Screening).where(Screening.id.in_(ids)).values(**done))


def test_a_batch_counts_while_one_looks(page: Page, database: Database) -> None:
    batch_id = begin(database, 4)
    page.goto(f"/batches/{batch_id}")
    ledger = page.locator("#ledger")
    expect(ledger).to_contain_text("0 of 4 files are through")
    page.evaluate("window.here = true")
    finish(database, batch_id, 1)
    expect(ledger).to_contain_text("1 of 4 files are through")
    page.wait_for_timeout(2000)  # the first stream ends; the browser takes up the next
    finish(database, batch_id, 3)
    expect(ledger).to_contain_text("4 of 4 files are through")
    expect(ledger.locator('[data-count="analysed"]')).to_have_text("4")
    expect(page.locator("#files")).not_to_contain_text("waiting")
    assert page.evaluate("window.here") is True


def test_the_list_of_batches_counts_too(page: Page, database: Database) -> None:
    batch_id = begin(database, 2)
    page.goto("/batches")
    row = page.locator(f'[data-batch="{batch_id}"]')
    expect(row.locator('[data-count="waiting"]')).to_have_text("2")
    finish(database, batch_id, 2)
    expect(row.locator('[data-count="analysed"]')).to_have_text("2")
    assert float(row.locator('[data-bar="analysed"]').get_attribute("width") or 0) == 1000


def test_a_ledger_that_does_not_balance_turns_red(page: Page, database: Database) -> None:
    batch_id = begin(database, 1)
    page.goto(f"/batches/{batch_id}")
    alarm = page.get_by_text("The ledger does not balance")
    expect(alarm).to_be_hidden()
    with database.write() as session:
        makers.file(session, session.get_one(Batch, batch_id))
    expect(alarm).to_be_visible()
