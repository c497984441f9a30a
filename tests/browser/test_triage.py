"""The list in a browser: filter, mark as read with undo, dark mode, hostile names."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from cspine.blobs import BlobStore
from cspine.database import Database
from tests.browser import rows
from tests.browser.conftest import eventually

Open = Callable[..., Page]


def row(page: Page, study_id: str) -> object:
    return page.locator("tr.row", has=page.locator(f'a[href="/studies/{study_id}"]'))


def test_filter_by_bucket(page: Page, database: Database, blobs: BlobStore) -> None:
    positive = rows.study(database, blobs, "fracture")
    normal = rows.study(database, blobs, "normal")
    page.goto("/")
    expect(row(page, positive)).to_contain_text("fracture 0.93")
    expect(row(page, positive)).to_contain_text("model output, temperature-scaled, demo release")
    page.get_by_role("link", name="Normal").click()
    expect(row(page, normal)).to_be_visible()
    expect(row(page, positive)).to_have_count(0)
    assert page.url.endswith("/?bucket=normal")


def test_mark_as_read_and_undo_without_leaving_the_list(page: Page, database: Database, blobs: BlobStore) -> None:
    study_id = rows.study(database, blobs, "fracture")
    page.goto("/?bucket=positive")
    count = page.locator('[data-count="positive"]')
    before = int(count.inner_text())
    button = row(page, study_id).get_by_role("button", name="Mark as read")
    button.click()
    expect(row(page, study_id)).to_be_hidden()
    expect(count).to_have_text(str(before - 1))
    page.get_by_role("button", name="Undo").click()
    expect(row(page, study_id)).to_be_visible()
    expect(count).to_have_text(str(before))
    button.click()
    expect(row(page, study_id)).to_be_hidden()
    page.reload()
    expect(row(page, study_id)).to_have_count(0)
    page.get_by_role("link", name="All", exact=True).click()
    expect(row(page, study_id)).to_contain_text("read by")


def test_without_script_the_same_is_done_by_forms(open_page: Open, sign_in: Callable[[Page], Page], database: Database,
                                                  blobs: BlobStore) -> None:  # fmt: skip
    study_id = rows.study(database, blobs, "fracture")
    page = sign_in(open_page(java_script_enabled=False))
    page.goto("/?bucket=positive")
    row(page, study_id).get_by_role("button", name="Mark as read").click()
    expect(page.get_by_text("Marked as read.")).to_be_visible()
    assert page.url.endswith("/?bucket=positive")
    expect(row(page, study_id)).to_have_count(0)


def test_what_strangers_wrote_does_nothing(page: Page, database: Database, blobs: BlobStore) -> None:
    evil = "<img src=x onerror=alert(1)><script>document.title='owned'</script>{{7*7}}"
    study_id = rows.study(database, blobs, patient_name=evil, patient_id=evil, study_description=evil)
    for address in ("/", f"/studies/{study_id}"):
        page.goto(address)
        expect(page.get_by_text("{{7*7}}").first).to_be_visible()
        assert "owned" not in page.title()
        assert page.locator("img[src=x]").count() == 0


def test_dark_where_the_system_is_dark(open_page: Open) -> None:
    grounds = {}
    for scheme in ("light", "dark"):
        page = open_page(color_scheme=scheme)
        page.goto("/login")
        grounds[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red = {scheme: int(ground.split("(")[1].split(",")[0]) for scheme, ground in grounds.items()}
    assert red["light"] > 200
    assert red["dark"] < 40


def test_pictures_are_loaded(page: Page, database: Database, blobs: BlobStore) -> None:
    study_id = rows.study(database, blobs)
    page.goto("/?bucket=positive")
    picture = row(page, study_id).locator("img")
    picture.scroll_into_view_if_needed()
    eventually(lambda: picture.evaluate("image => image.complete && image.naturalWidth > 0"))


def test_news_is_told_and_moves_nothing(page: Page, database: Database, blobs: BlobStore) -> None:
    page.goto("/")
    news = page.get_by_role("button", name="The list has changed")
    expect(news).to_be_hidden()
    study_id = rows.study(database, blobs)
    expect(news).to_be_visible()
    expect(row(page, study_id)).to_have_count(0)
    news.click()
    expect(row(page, study_id)).to_be_visible()
    expect(news).to_be_hidden()
