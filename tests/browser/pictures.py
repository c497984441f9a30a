"""The pictures in the docs, made by the product: `python -m tests.browser.pictures [FOLDER]`.

A night of drawn phantoms is screened by the demo release in a folder of its own, with a few faults that a night has,
and Chromium takes a picture of each page.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright
from sqlalchemy import select

from cspine.blobs import BlobStore
from cspine.commands.screen import submit, wait_for
from cspine.commands.service import Service
from cspine.database import Database
from cspine.embedded import ALL, running, sign_in
from cspine.migrate import upgrade
from cspine.phantoms import write, write_night
from cspine.queue import Bell
from cspine.settings import Settings
from cspine.tables import ReceivedFile, Study
from tests.browser.conftest import ARGUMENTS, CHROMIUM, ROOT, eventually

PORT = 8765
SIZE = {"width": 1280, "height": 860}


def main() -> int:
    """Take all pictures into a folder, by default that of the docs."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "pictures"
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(var=Path(folder) / "var", port=PORT, database_url="", redis_url="", blob_url="")
        installation = Service(settings, Database.of(settings), BlobStore(settings.blobs), Bell(settings))
        upgrade(installation.database)
        night, more, cut = (Path(folder) / name for name in ("night", "more", "cut"))
        write_night(night, seed=2026, studies=44)
        (night / "truth.csv").unlink()
        write(more, count=150, seed=7, format="png")
        (more / "truth.csv").unlink()
        cut_short(more, cut, 14)
        batch, _ = submit(installation, [night, cut], "night of 24 November", "overnight")
        lose_blobs(installation, 3)
        with running(settings, ALL) as address, sync_playwright() as playwright:
            wait_for(installation, batch)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            page = browser.new_page(base_url=address, viewport=SIZE, color_scheme="light")
            page.goto(sign_in(settings) or "/")
            page.get_by_role("button").first.click()
            take(page, installation, target, more)
            browser.close()
    return 0


def take(page: Page, installation: Service, target: Path, more: Path) -> None:
    """Take the pictures; the batch is caught in the middle of its work."""
    page.goto("/account")
    page.locator("input[name=password]").fill("a password of the demonstration")
    page.locator("input[name=again]").fill("a password of the demonstration")
    page.get_by_role("main").get_by_role("button").click()
    page.goto("/", wait_until="networkidle")
    page.wait_for_timeout(1500)  # for the thumbnails to be painted
    page.screenshot(path=target / "list.png")
    with installation.database.read() as session:
        query = select(Study.id).where(Study.bucket == "positive", Study.image_count > 1).order_by(Study.urgency.desc())
        worst = session.scalars(query).first()
    page.goto(f"/studies/{worst}")
    page.wait_for_timeout(1500)
    page.screenshot(path=target / "study.png")
    page.goto("/failures")
    page.screenshot(path=target / "failures.png")
    retry(page, target)
    page.goto("/upload")
    page.locator("input[type=file]").first.set_input_files([str(path) for path in sorted(more.glob("*.png"))[:5]])
    page.screenshot(path=target / "upload.png")
    batch, _ = submit(installation, [more], "second half of the night", "overnight")
    page.goto(f"/batches/{batch.id}")
    page.get_by_label("Deadline").fill("07:00")
    page.get_by_role("button", name="Set it").click()
    page.goto(f"/batches/{batch.id}")
    eventually(lambda: "0 of 150" not in page.inner_text("main") and "75%" not in page.inner_text("main"))
    page.wait_for_timeout(2500)
    page.screenshot(path=target / "batch.png")
    pause(page, target)
    wait_for(installation, batch)


def retry(page: Page, target: Path) -> None:
    """Try again what fails again: a preview, and a canary that stops it."""
    page.get_by_role("button", name="Try all 14 again").click()
    page.get_by_text("14 of 14 studies would be tried again").wait_for()
    page.screenshot(path=target / "preview.png")
    page.get_by_role("button", name="Try 2 first").click()
    page.get_by_text("stay as they are.").wait_for(timeout=60_000)
    page.screenshot(path=target / "stopped.png")


def pause(page: Page, target: Path) -> None:
    """Pause a lane in the middle of its work, and resume it."""
    page.goto("/batches")
    page.get_by_label("Pause lane overnight").click()
    page.get_by_label("Why lane overnight is paused").fill("the archive is being moved")
    page.get_by_role("button", name="Pause lane overnight").click()
    page.get_by_text("Lane overnight is paused.").wait_for()
    page.goto("/batches")
    page.screenshot(path=target / "batches.png")
    page.get_by_role("button", name="Resume lane overnight").click()


def cut_short(films: Path, target: Path, count: int) -> None:
    """Write some films of which the end is missing, as a transfer that broke off leaves them."""
    target.mkdir()
    for number, film in enumerate(sorted(films.glob("*.png"))[-count:]):
        whole = film.read_bytes()
        (target / f"cut-{number:02}.png").write_bytes(whole[: len(whole) * 3 // 5])


def lose_blobs(installation: Service, count: int) -> None:
    """Delete some originals, as a disk may do."""
    with installation.database.read() as session:
        query = select(ReceivedFile.blob_key).where(ReceivedFile.name.like("study-02%")).order_by(ReceivedFile.id)
        for key in session.scalars(query.limit(count)):
            installation.blobs.delete(key or "")


if __name__ == "__main__":
    sys.exit(main())
