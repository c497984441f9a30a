"""The disk of `var` fills up under the real server: 507 in words, nothing half stored, and it goes on with room."""

import http.client
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, select

from cspine.database import Database
from cspine.reasons import Reason
from cspine.settings import Settings
from cspine.tables import Announced, Image, ReceivedFile, Screening, Study
from tests.conftest import ROOT
from tests.disk import KINDS, Disk, disk
from tests.web import wire
from tests.web.conftest import AddUser, Browser, Server, serving, signed_in
from tests.web.test_upload import RAW, body_of, finished, form
from tests.worker.conftest import png
from web import create_app

FILM = png(1, 900, 900)
LEFT = (4096, 400_000)  # the database has no room either; a film has none
running: list[int] = []


@pytest.fixture(params=KINDS)
def full(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    with disk(request.param, tmp_path / "disk", lambda: running) as made:
        yield made


@pytest.fixture
def settings(full: Disk, tmp_path: Path) -> Settings:
    return Settings(var=tmp_path / "disk" / "var", secret_key="0123456789abcdef" * 4)


@pytest.fixture
def database(settings: Settings, template: Path) -> Iterator[Database]:
    database = Database.of(settings)
    shutil.copyfile(template, settings.var / "cspine.db")
    yield database
    database.dispose()


def rows(database: Database) -> list[int]:
    with database.read() as session:
        return [session.scalar(select(func.count()).select_from(table)) or 0
                for table in (ReceivedFile, Study, Screening, Image, Announced)]  # fmt: skip


def blobs(settings: Settings) -> list[Path]:
    return [path for path in (settings.var / "blobs").rglob("*") if path.is_file()]


def post(server: Server, browser: Browser, body: bytes, accept: str = "text/html") -> tuple[int, str]:
    name, _, value = wire.cookie(browser).strip().partition(": ")
    connection = http.client.HTTPConnection(urlsplit(server[0]).netloc, timeout=60)
    connection.request("POST", "/upload", body, {name: value, "Content-Type": RAW, "Accept": accept})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_an_upload_to_a_full_disk_is_507_and_is_taken_when_there_is_room(
    full: Disk, settings: Settings, database: Database, add_user: AddUser
) -> None:
    app = create_app(settings)
    reader = signed_in(app, database, add_user("rita", "reader"))
    body = body_of(form(reader), (FILM, "a.png"))
    with serving(settings.environment(), Path(os.devnull)) as server:
        running[:] = wire.family(server[1].pid)
        for left in LEFT:
            full.fill(left)
            status, page = post(server, reader, body)
            assert status == 507
            assert Reason.STORAGE_FULL.sentence in page
            assert "Traceback" not in page
            assert post(server, reader, body, "application/json") == (
                507, f'{{"error":"{Reason.STORAGE_FULL.sentence}"}}\n')  # fmt: skip
            assert (rows(database), finished(database), blobs(settings)) == ([0] * 5, 0, [])
            full.free()
        assert post(server, reader, body)[0] == 303
        assert rows(database)[:3] == [1, 1, 1]
        assert [path.read_bytes() for path in blobs(settings)] == [FILM]
        assert finished(database) == 1
        running.clear()
    app.extensions["cspine"].database.dispose()


LIMITED = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)), -1)); " \
          "from cspine.__main__ import main; sys.exit(main(sys.argv[1:]))"  # fmt: skip


def test_the_command_line_says_it_in_words_and_goes_on_when_there_is_room(
    full: Disk, settings: Settings, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(FILM)

    def screen(limit: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", LIMITED, str(limit), "screen", str(tmp_path / "a.png"), "--batch", "night"],
            cwd=ROOT, env=settings.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip

    full.fill(LEFT[0])
    ended = screen(LEFT[0])
    assert ended.returncode == 3, ended.stderr
    assert Reason.STORAGE_FULL.sentence in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    full.free()
    assert (rows(database), blobs(settings)) == ([0] * 5, [])
    assert screen(-1).returncode == 0
    assert (rows(database)[0], len(blobs(settings))) == (1, 1)
