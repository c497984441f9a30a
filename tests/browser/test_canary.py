"""A canary in a browser: it is seen while it runs; the rest follows, or stays, without a click."""

from playwright.sync_api import Page, expect

from cspine import retrying
from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.settings import Settings
from cspine.states import State
from tests.browser import failing


def begin(page: Page, fingerprint: str, count: int) -> None:
    page.goto(f"/failures?fingerprint={fingerprint}")
    page.locator("section.failure").get_by_role("button", name=f"Try all {count} again").click()
    expect(page.get_by_text("1 first, as a canary.")).to_be_visible()
    page.get_by_role("button", name="Try 1 first").click()
    expect(page.get_by_text(f"1 of {count} runs first")).to_be_visible()
    expect(page.get_by_role("row", name="running")).to_have_count(1)


def test_a_canary_that_succeeds_lets_the_rest_follow(page: Page, database: Database, blobs: BlobStore,
                                                     site: Settings) -> None:  # fmt: skip
    fingerprint, ids = failing.group(database, blobs, 5)
    begin(page, fingerprint, 5)
    page.evaluate("window.here = true")
    assert failing.end(database, ids, State.DONE) == 1
    retrying.step(database, site)
    expect(page.get_by_text("1 of 5 tried again have an answer")).to_be_visible()
    expect(page.locator(".verdict.succeeded")).to_have_count(1)
    assert failing.end(database, ids, State.DONE) == 4
    expect(page.get_by_text("5 of 5 tried again have an answer")).to_be_visible()
    assert page.evaluate("window.here") is True


def test_a_canary_that_fails_stops_it_and_says_so(page: Page, database: Database, blobs: BlobStore,
                                                  site: Settings) -> None:  # fmt: skip
    fingerprint, ids = failing.group(database, blobs, 6)
    begin(page, fingerprint, 6)
    assert failing.end(database, ids, State.FAILED, "out_of_memory") == 1
    retrying.step(database, site)
    alarm = page.get_by_role("alert")
    expect(alarm).to_contain_text("Stopped: 1 of 1 tried first failed again")
    expect(alarm).to_contain_text("The other 5 stay as they are.")
    expect(page.locator(".verdict.failed")).to_have_count(1)
    assert failing.states(database, ids) == [State.FAILED] * 6
    page.get_by_role("button", name="Preview it again").click()
    expect(page.get_by_text("would be tried again")).to_be_visible()
    page.goto("/failures")
    expect(page.locator("section.failure", has_text=fingerprint)).to_contain_text("was stopped by its canary")
