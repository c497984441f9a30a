"""The queue in a browser: paused with a reason, seen by everybody, resumed."""

from playwright.sync_api import Page, expect

from cspine.database import Database
from cspine.records import pauses


def test_a_lane_is_paused_with_a_reason_and_resumed(page: Page, database: Database) -> None:
    page.goto("/batches")
    lane = page.locator('tr[data-lane="overnight"]')
    expect(lane).to_contain_text("open")
    lane.get_by_label("Pause lane overnight").click()
    lane.get_by_role("button", name="Pause lane overnight").click()
    assert pauses_of(database) == []  # the browser asks for the reason first
    lane.get_by_label("Why lane overnight is paused").fill("the store is being moved")
    lane.get_by_role("button", name="Pause lane overnight").click()
    expect(page.locator("#messages")).to_contain_text("Lane overnight is paused.")
    expect(lane).to_contain_text("the store is being moved")
    assert pauses_of(database) == ["overnight"]
    page.goto("/")
    banner = page.locator(".banner")
    expect(banner).to_contain_text("Lane overnight is paused by ada-")
    expect(banner).to_contain_text("the store is being moved")
    banner.get_by_role("link", name="Queue").click()
    lane.get_by_role("button", name="Resume lane overnight").click()
    expect(page.locator("#messages")).to_contain_text("Lane overnight is resumed")
    expect(page.locator(".banner")).to_have_count(0)
    assert pauses_of(database) == []


def test_the_whole_queue_is_paused(page: Page, database: Database) -> None:
    page.goto("/batches")
    panel = page.locator("#queue")
    panel.get_by_text("Pause the whole queue").first.click()
    panel.get_by_label("Why the whole queue is paused").fill("a new release")
    panel.get_by_role("button", name="Pause the whole queue").click()
    expect(panel.get_by_text("paused with the whole queue")).to_have_count(3)
    panel.get_by_role("button", name="Resume the whole queue").click()
    expect(panel.get_by_text("open", exact=True)).to_have_count(3)
    assert pauses_of(database) == []


def pauses_of(database: Database) -> list[str]:
    with database.read() as session:
        return list(pauses.paused(session))
