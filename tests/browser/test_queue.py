"""The queue in a browser: paused with a reason, seen by everybody, resumed."""

from playwright.sync_api import Page, expect

from cspine.database import Database
from cspine.records import pauses
from cspine.states import State
from cspine.tables import Batch
from tests.browser import rows
from tests.cspine.records import makers

WAIT = 20_000  # milliseconds: for what is fetched anew now and then


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


def test_the_queue_and_its_banner_move_by_themselves(page: Page, database: Database) -> None:
    batch_id = rows.batch(database)
    page.goto("/batches")
    overnight = page.locator('tr[data-lane="overnight"]')
    expect(overnight).to_contain_text("open")
    due = page.locator('tr[data-lane="normal"] td').first
    before = int(due.inner_text())
    page.evaluate("window.here = true")
    with database.write() as session:
        pauses.pause(session, "overnight", "the store is being moved", "ada")
        makers.study(session, session.get_one(Batch, batch_id), State.RECEIVED)
    expect(page.locator(".banner")).to_contain_text("Lane overnight is paused by ada", timeout=WAIT)
    expect(overnight).to_contain_text("the store is being moved")
    expect(due).to_have_text(str(before + 1))
    with database.write() as session:
        pauses.resume(session, "overnight", "ada")
    later = rows.batch(database)
    expect(page.locator(".banner")).to_have_count(0, timeout=WAIT)
    expect(overnight).to_contain_text("open")
    expect(page.locator(f'[data-batch="{later}"]')).to_be_visible(timeout=WAIT)
    assert page.evaluate("window.here") is True


def test_a_form_that_somebody_fills_in_is_not_taken_away(page: Page, database: Database) -> None:
    page.goto("/batches")
    lane = page.locator('tr[data-lane="overnight"]')
    lane.get_by_label("Pause lane overnight").click()
    why = lane.get_by_label("Why lane overnight is paused")
    why.fill("the store")
    with database.write() as session:
        pauses.pause(session, "normal", "the scanner is repaired", "ada")
    expect(page.locator(".banner")).to_contain_text("Lane normal is paused by ada", timeout=WAIT)
    expect(why).to_have_value("the store")
    with database.write() as session:
        pauses.resume(session, "normal", "ada")


def pauses_of(database: Database) -> list[str]:
    with database.read() as session:
        return list(pauses.paused(session))
