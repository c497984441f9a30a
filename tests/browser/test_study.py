"""The study page in a browser: the overlay, the images, and the answer that comes while one looks."""

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.records import explanations, studies
from cspine.states import State
from tests.browser import rows
from tests.browser.conftest import eventually

PEAK = """canvas => {
  const {width, height} = canvas;
  const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  let best = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i] > data[best + 3]) best = i - 3;
  return [(best / 4 % width + 0.5) / width, (Math.floor(best / 4 / width) + 0.5) / height, data[best + 3]];
}"""


def test_the_overlay_lies_where_the_grid_says(page: Page, database: Database, blobs: BlobStore) -> None:
    study_id = rows.study(database, blobs)  # hot cell: row 3, column 9 of 14; picture in the middle half of the square
    page.goto(f"/studies/{study_id}")
    canvas = page.locator("#overlay[data-drawn]")
    expect(canvas).to_be_visible()
    across, down, alpha = canvas.evaluate(PEAK)
    assert alpha > 240
    assert across == pytest.approx(((9.5 / 14) - 0.25) / 0.5, abs=0.02)
    assert down == pytest.approx(3.5 / 14, abs=0.02)
    film, overlay = page.locator("#film").bounding_box(), canvas.bounding_box()
    assert film == overlay
    expect(page.get_by_text("Not a localisation.")).to_be_visible()


def test_another_methods_map_is_asked_for_and_drawn(page: Page, database: Database, blobs: BlobStore) -> None:
    study_id = rows.study(database, blobs)
    page.goto(f"/studies/{study_id}")
    expect(page.locator("#overlay[data-drawn=hirescam]")).to_be_visible()
    page.get_by_label("Method").select_option("Gradient")
    expect(page.locator("#overlay-progress")).to_contain_text("no worker for maps runs")
    expect(page.locator("#overlay[data-drawn]")).to_have_count(0)
    with database.read() as session:
        detail = studies.detail(session, study_id)
    assert detail
    assert detail.images[0].result
    with database.write() as session:
        asked = explanations.of_result(session, detail.images[0].result.id, "gradient")
        assert asked
        work = explanations.claim(session, asked.id, "host:explain:1:2", 60)
        assert work
    expect(page.locator("#overlay-progress")).to_contain_text("being made")
    told = rows.saliency(150, 90, 224) | {"method": "gradient", "explained": "fracture", "input_size": rows.SIZE}
    with database.write() as session:
        explanations.finish(session, work, blobs.put_bytes(json.dumps(told).encode()), {})
    canvas = page.locator("#overlay[data-drawn=gradient]")
    expect(canvas).to_be_visible()
    across, down, alpha = canvas.evaluate(PEAK)
    assert alpha > 150  # one pixel of the input, smoothed
    assert across == pytest.approx(((90.5 / 224) - 0.25) / 0.5, abs=0.02)
    assert down == pytest.approx(150.5 / 224, abs=0.02)
    expect(page.get_by_text("how much the answer changes with each pixel")).to_be_visible()
    expect(page.get_by_text("Not a localisation.")).to_be_visible()
    page.get_by_label("Method").select_option("HiResCAM")
    expect(page.locator("#overlay[data-drawn=hirescam]")).to_be_visible()


def test_the_opacity_slider_and_the_switch(page: Page, database: Database, blobs: BlobStore) -> None:
    page.goto(f"/studies/{rows.study(database, blobs)}")
    canvas = page.locator("#overlay[data-drawn]")
    expect(canvas).to_have_css("opacity", "0.55")
    page.get_by_label("Opacity").fill("20")
    expect(canvas).to_have_css("opacity", "0.2")
    page.get_by_label("Saliency").uncheck()
    expect(canvas).to_be_hidden()
    expect(page.get_by_label("Opacity")).to_be_disabled()


def test_the_overlay_is_off_at_first_where_normal(page: Page, database: Database, blobs: BlobStore) -> None:
    page.goto(f"/studies/{rows.study(database, blobs, 'normal')}")
    expect(page.locator("#overlay[data-drawn]")).to_be_hidden()
    page.get_by_label("Saliency").check()
    expect(page.locator("#overlay[data-drawn]")).to_be_visible()


def test_every_image_is_a_click_away(page: Page, database: Database, blobs: BlobStore) -> None:
    study_id = rows.study(database, blobs, images=3)
    page.goto(f"/studies/{study_id}")
    expect(page.get_by_text("image 1 of 3")).to_be_visible()
    page.get_by_role("link", name="Image 2").click()
    expect(page.get_by_text("image 2 of 3")).to_be_visible()
    expect(page.locator(".bars")).to_contain_text("0.830")
    expect(page.locator("#overlay[data-drawn]")).to_be_visible()
    assert "?image=" in page.url
    page.reload()
    expect(page.get_by_text("image 2 of 3")).to_be_visible()


def test_the_answer_comes_while_one_looks(page: Page, database: Database, blobs: BlobStore) -> None:
    study_id = rows.study(database, blobs, state=State.RECEIVED)
    page.goto(f"/studies/{study_id}")
    expect(page.get_by_text("waiting for a worker to decode it").first).to_be_visible()
    page.evaluate("window.here = true")
    rows.answer(database, blobs, study_id, "fracture")
    expect(page.locator(".headline")).to_contain_text("fracture 0.93")
    expect(page.locator("#overlay[data-drawn]")).to_be_visible()
    assert page.evaluate("window.here") is True  # the page was not loaded anew


def test_without_script_the_page_comes_again_by_itself(
    open_page: Callable[..., Page], sign_in: Callable[[Page], Page], database: Database, blobs: BlobStore
) -> None:
    study_id = rows.study(database, blobs, state=State.RECEIVED)
    page = sign_in(open_page(java_script_enabled=False))
    page.goto(f"/studies/{study_id}")
    rows.answer(database, blobs, study_id, "fracture")
    eventually(lambda: "fracture 0.93" in page.locator(".headline").inner_text())


def test_mark_as_read_leads_back_to_the_list(page: Page, database: Database, blobs: BlobStore) -> None:
    study_id = rows.study(database, blobs)
    page.goto(f"/studies/{study_id}")
    page.get_by_role("button", name="Mark as read").click()
    page.wait_for_url("/")
    expect(page.get_by_text("Marked as read.")).to_be_visible()
    expect(page.locator(f'a[href="/studies/{study_id}"]')).to_have_count(0)
