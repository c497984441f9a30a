"""A real Chromium against the real web server, on a database of their own; skipped where no Chromium is installed."""

import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from cspine.blobs import BlobStore
from cspine.database import Database
from cspine.records import people
from cspine.records.people import Role
from cspine.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
SECONDS = 15
expect.set_options(timeout=SECONDS * 1000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder, and skip it where it cannot run."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no Chromium is installed"))


def eventually(check: Callable[[], object]) -> None:
    """Wait until a check is true; the CSP refuses Playwright's own way of waiting for a function."""
    end = time.monotonic() + SECONDS
    while not check():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def site(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Serve the pages by `cspine web` on a database of the file's own, without a broker."""
    var = tmp_path_factory.mktemp("site") / "var"
    var.mkdir(mode=0o700)
    (var / "cspine.db").write_bytes(template.read_bytes())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    key = "0123456789abcdef" * 4
    settings = Settings(var=var, port=port, secret_key=key, max_upload_bytes=5_000_000, stream_seconds=1.5)
    with (var / "web.log").open("wb") as log:
        command = [sys.executable, "-m", "cspine", "web"]
        process = subprocess.Popen(command, cwd=ROOT, env=settings.environment(), stdout=log, stderr=log)
    try:
        for _ in range(300):
            with suppress(urllib.error.URLError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz"):
                break
            time.sleep(0.1)
        yield settings
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture
def database(site: Settings) -> Iterator[Database]:
    database = Database.of(site)
    yield database
    database.dispose()


@pytest.fixture
def blobs(site: Settings) -> BlobStore:
    return BlobStore(site.blobs)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser, site: Settings) -> Iterator[Callable[..., Page]]:
    """Open pages, each in a context of its own, in which no script may fail and nothing may be refused by the CSP."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_(**options: object) -> Page:
        context = chromium.new_context(base_url=f"http://127.0.0.1:{site.port}", **options)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(SECONDS * 1000)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        return page

    yield open_
    for context in contexts:
        context.close()
    assert [words for words in complaints if "status of 4" not in words] == []


@pytest.fixture
def sign_in(database: Database, site: Settings) -> Callable[[Page], Page]:
    """Sign a page in as a new admin, by a one-time address."""

    def sign_in_(page: Page) -> Page:
        with database.write() as session:
            user = people.add(session, f"ada-{secrets.token_hex(4)}", Role.ADMIN, "no password fits this")
            token = people.issue(session, user, people.Purpose.SIGNIN, timedelta(minutes=5))
        page.goto(f"/signin/{token}")
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("/")
        return page

    return sign_in_


@pytest.fixture
def page(open_page: Callable[..., Page], sign_in: Callable[[Page], Page]) -> Page:
    """Give a signed-in page."""
    return sign_in(open_page())
