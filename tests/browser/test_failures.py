"""Failures in a browser: a group with its trend, the filter, studies chosen one by one, a discard with its reason."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.states import State
from tests.browser import failing


def test_a_group_is_tried_again_after_a_preview(page: Page, database: Database, blobs: BlobStore) -> None:
    fingerprint, ids = failing.group(database, blobs, 2, station="ROOM 3")
    page.goto("/")
    page.get_by_role("link", name="Failures").click()
    group = page.locator("section.failure", has_text=fingerprint)
    expect(group).to_contain_text("The analysis took longer than its limit and was stopped.")
    expect(group).to_contain_text("ROOM 3")
    expect(group.get_by_role("img", name="Failed attempts by the hour")).to_be_visible()
    expect(group.locator(".trends .number")).to_have_text(["2", "2", "2"])
    group.get_by_role("button", name="Try all 2 again").click()
    expect(page.get_by_text("2 of 2 studies would be tried again")).to_be_visible()
    expect(page.get_by_text("all 2 stored files are there")).to_be_visible()
    assert failing.states(database, ids) == [State.FAILED] * 2
    page.get_by_role("button", name="Try 2 again").dblclick()
    expect(page.get_by_text("0 of 2 tried again have an answer")).to_be_visible()
    expect(page.get_by_text("This was confirmed before")).to_have_count(0)
    assert failing.states(database, ids) == [State.RECEIVED] * 2
    failing.end(database, ids, State.DONE)
    expect(page.get_by_text("2 of 2 tried again have an answer")).to_be_visible()
    page.get_by_role("link", name="To the failures").click()
    expect(page.locator("section.failure", has_text=fingerprint)).to_have_count(0)


def test_the_filter_leads_to_the_list_of_a_group_and_the_selected_are_tried_again(
    page: Page, database: Database, blobs: BlobStore
) -> None:
    fingerprint, ids = failing.group(database, blobs, 4, station="ROOM 9")
    other, _ = failing.group(database, blobs, 1)
    page.goto("/failures")
    page.get_by_label("Station").select_option("ROOM 9")
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.locator("section.failure", has_text=other)).to_have_count(0)
    group = page.locator("section.failure", has_text=fingerprint)
    group.get_by_role("link", name="4, as a list").click()
    bar = page.get_by_role("form", name="Selected studies")
    expect(bar).to_be_hidden()
    boxes = page.locator('input[name="study"][type="checkbox"]')
    expect(boxes).to_have_count(4)
    page.get_by_label("Select all on this page").check()
    expect(bar).to_contain_text("4 studies are selected")
    page.locator(f'input[value="{ids[0]}"]').uncheck()
    page.locator(f'input[value="{ids[2]}"]').uncheck()
    expect(bar).to_contain_text("2 studies are selected")
    bar.get_by_role("button", name="Try the selected again").click()
    expect(page.get_by_text("2 of 2 studies would be tried again")).to_be_visible()
    page.get_by_role("button", name="Try 2 again").click()
    expect(page.get_by_text("0 of 2 tried again have an answer")).to_be_visible()
    assert failing.states(database, ids) == [State.FAILED, State.RECEIVED] * 2


def test_one_is_discarded_with_a_reason(page: Page, database: Database, blobs: BlobStore) -> None:
    fingerprint, ids = failing.group(database, blobs, 2)
    page.goto("/failures")
    group = page.locator("section.failure", has_text=fingerprint)
    group.locator(f'input[value="{ids[0]}"][type="checkbox"]').check()
    bar = page.get_by_role("form", name="Selected studies")
    bar.get_by_text("Discard the selected…").click()
    bar.get_by_role("button", name="Preview the discard").click()
    assert page.url.endswith("/failures")  # the browser asks for the reason first
    bar.get_by_label("Why the selected are discarded").fill("a test card")
    bar.get_by_role("button", name="Preview the discard").click()
    expect(page.get_by_text("1 of 1 study would be discarded")).to_be_visible()
    expect(page.get_by_text("a test card")).to_be_visible()
    page.get_by_role("button", name="Discard 1").click()
    expect(page.get_by_text("1 study is discarded")).to_be_visible()
    assert failing.states(database, ids) == [State.CANCELLED, State.FAILED]


def test_without_script_studies_are_chosen_by_a_form(open_page: Callable[..., Page], sign_in: Callable[[Page], Page],
                                                     database: Database, blobs: BlobStore) -> None:  # fmt: skip
    fingerprint, ids = failing.group(database, blobs, 3)
    page = sign_in(open_page(java_script_enabled=False))
    page.goto(f"/failures?fingerprint={fingerprint}")
    page.locator(f'input[value="{ids[1]}"][type="checkbox"]').check()
    page.get_by_role("button", name="Try the selected again").click()
    page.get_by_role("button", name="Try 1 again").click()
    expect(page.get_by_text("0 of 1 tried again have an answer")).to_be_visible()
    assert failing.states(database, ids) == [State.FAILED, State.RECEIVED, State.FAILED]


def test_the_history_of_a_study_says_what_changed_since(page: Page, database: Database, blobs: BlobStore) -> None:
    fingerprint, ids = failing.group(database, blobs, 1)
    page.goto(f"/studies/{ids[0]}")
    attempts = page.locator("#attempts")
    for words in ("host:1", "cpu", "2.00 s", "timed_out", "unknown", "cspine 0 -> "):
        expect(attempts).to_contain_text(words)
    attempts.get_by_role("link", name="What failed alike").click()
    expect(page.get_by_role("heading", name="Studies that failed")).to_be_visible()
    expect(page.locator("main")).to_contain_text(fingerprint)
