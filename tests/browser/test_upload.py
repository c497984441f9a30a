"""Upload in a browser: chooser, drag and drop, progress, limits, without script."""

import base64
from collections.abc import Callable

from playwright.sync_api import FilePayload, Page, expect

from cspine.blobs import BlobStore
from cspine.database import Database
from tests.browser import rows
from tests.browser.conftest import eventually

DROP = """(zone, files) => {
  const transfer = new DataTransfer();
  for (const [name, data] of files) {
    const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
    transfer.items.add(new File([bytes], name));
  }
  zone.dispatchEvent(new DragEvent("dragover", {dataTransfer: transfer, bubbles: true, cancelable: true}));
  zone.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
}"""


def payload(name: str = "neck.png") -> FilePayload:
    return {"name": name, "mimeType": "image/png", "buffer": rows.picture(format="PNG")}


def test_one_chosen_picture_leads_to_its_study_and_the_answer(page: Page, database: Database, blobs: BlobStore) -> None:
    page.goto("/")
    page.get_by_role("link", name="Upload", exact=True).click()
    page.get_by_label("or choose them").set_input_files(payload())
    expect(page.get_by_text("neck.png, ")).to_be_visible()
    page.get_by_role("button", name="Upload").click()
    page.wait_for_url("**/studies/*")
    expect(page.get_by_role("heading", name="neck.png")).to_be_visible()
    expect(page.get_by_text("work waits and is taken up later")).to_be_visible()  # there is no broker here
    rows.answer(database, blobs, page.url.rsplit("/", 1)[1], "fracture")
    expect(page.locator(".headline")).to_contain_text("fracture 0.93")


def test_dropped_files_lead_to_their_batch(page: Page) -> None:
    page.goto("/upload")
    files = [(name, base64.b64encode(rows.picture(format="PNG")).decode()) for name in ("a.png", "b.png")]
    page.locator("#drop").evaluate(DROP, [*files, ("c.txt", base64.b64encode(b"hello").decode())])
    expect(page.get_by_text("3 files, ")).to_be_visible()
    page.get_by_label("Batch").fill("dropped")
    page.get_by_label("Lane").select_option("urgent")
    page.get_by_role("button", name="Upload").click()
    page.wait_for_url("**/batches/*")
    expect(page.get_by_role("heading", name="dropped")).to_be_visible()
    expect(page.get_by_text("3 files received: 2 accepted, 1 could not be read.")).to_be_visible()
    expect(page.get_by_text("This kind of file is not a radiograph that cspine reads.")).to_be_visible()


def test_the_transfer_has_a_bar_and_can_be_stopped(page: Page) -> None:
    page.goto("/upload")
    slow = page.context.new_cdp_session(page)
    slow.send("Network.enable")
    slow.send("Network.emulateNetworkConditions",
              {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 300_000})  # fmt: skip
    page.get_by_label("or choose them").set_input_files(
        {"name": "big.dcm", "mimeType": "application/dicom", "buffer": b"\0" * 2_000_000}
    )
    page.get_by_role("button", name="Upload").click()
    bar = page.get_by_label("Transfer")
    eventually(lambda: 0 < float(bar.evaluate("bar => bar.value")) < 1)
    expect(page.locator("#transfer-words")).to_contain_text(" of 2.0 MB, ")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("alert")).to_have_text("Stopped. What had arrived is kept.")
    expect(page.get_by_role("button", name="Upload")).to_be_enabled()


def test_too_much_is_said_before_it_is_sent(page: Page) -> None:
    page.goto("/upload")
    chooser = page.get_by_label("or choose them")
    chooser.set_input_files({"name": "big.dcm", "mimeType": "", "buffer": b"\0" * 5_100_000})
    expect(page.get_by_role("alert")).to_have_text("At most 5.0 MB at once.")
    page.get_by_role("button", name="Upload").click()
    assert page.url.endswith("/upload")


def test_a_413_of_the_server_is_readable(page: Page) -> None:
    page.goto("/upload")
    page.get_by_label("or choose them").set_input_files(
        [{"name": f"{i}.dcm", "mimeType": "", "buffer": bytes([i]) * 2_499_999} for i in range(2)]
    )  # under the limit by itself, over it with the form around it
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("alert")).to_have_text("More bytes or more files were sent than this installation accepts.")


def test_without_script_the_form_works(open_page: Callable[..., Page], sign_in: Callable[[Page], Page]) -> None:
    page = sign_in(open_page(java_script_enabled=False))
    page.goto("/upload")
    page.get_by_label("or choose them").set_input_files(payload("plain.png"))
    page.get_by_role("button", name="Upload").click()
    page.wait_for_url("**/studies/*")
    expect(page.get_by_role("heading", name="plain.png")).to_be_visible()
