"""Fetching, from a server of this test's own."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cspine.errors import Usage
from models.pretrained.fetch import KNOWN, Source, fetch

CONTENT = bytes(range(256)) * 9000


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT, whole or not."""

    def do_GET(self) -> None:
        place = self.path.strip("/")
        if place == "moved":
            self.send_response(302)
            self.send_header("Location", "/whole")
            self.end_headers()
        elif place == "elsewhere":
            self.send_response(302)
            self.send_header("Location", "file:///etc/hostname")
            self.end_headers()
        elif place in ("whole", "short", "unsized"):
            self.send_response(200)
            if place != "unsized":
                self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[: 1000 if place == "short" else None])
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Does not mind a client that leaves in the middle."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def source(url: str, algorithm: str = "sha256") -> Source:
    return Source(url, algorithm, hashlib.new(algorithm, CONTENT).hexdigest())


@pytest.mark.parametrize("place", ["whole", "moved", "unsized"])
@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_file_comes_whole(address: str, tmp_path: Path, place: str, algorithm: str) -> None:
    steps: list[tuple[int, int | None]] = []
    fetch(source(f"{address}/{place}", algorithm), tmp_path / "new" / "m", lambda *step: steps.append(step))
    assert (tmp_path / "new" / "m").read_bytes() == CONTENT
    assert [done for done, _ in steps] == sorted({done for done, _ in steps})
    assert steps[-1] == (len(CONTENT), None if place == "unsized" else len(CONTENT))


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("nowhere", "could not be fetched: Not Found"),
        ("short", "ended after 1,000 of"),
        ("elsewhere", "could not be fetched"),
    ],
)
def test_what_goes_wrong_is_named_and_nothing_is_kept(address: str, tmp_path: Path, place: str, words: str) -> None:
    (tmp_path / "m").write_bytes(b"what was there before")
    with pytest.raises(Usage, match=words):
        fetch(source(f"{address}/{place}"), tmp_path / "m", lambda *step: None)
    assert (tmp_path / "m").read_bytes() == b"what was there before"
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_another_digest_is_named_and_nothing_is_kept(address: str, tmp_path: Path) -> None:
    wrong = Source(f"{address}/whole", "sha1", "0" * 40)
    with pytest.raises(Usage, match=f"has the sha1 {hashlib.sha1(CONTENT).hexdigest()}, not 0000"):
        fetch(wrong, tmp_path / "m", lambda *step: None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["whole", "unsized"])
def test_a_file_too_large_is_not_taken(address: str, tmp_path: Path, place: str) -> None:
    with pytest.raises(Usage, match="1,000,000"):
        fetch(source(f"{address}/{place}"), tmp_path / "m", lambda *step: None, largest=1_000_000)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/m", "/etc/hostname"])
def test_other_addresses_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(Usage, match="no http or https address"):
        fetch(source(url), tmp_path / "m", lambda *step: None)


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="could not be fetched"):
        fetch(source("http://127.0.0.1:9/whole"), tmp_path / "m", lambda *step: None)


def test_bvlcs_files_are_known_by_their_sha1() -> None:
    assert {name: (known.algorithm, known.digest) for name, known in KNOWN.items()} == {
        "bvlc_alexnet.caffemodel": ("sha1", "9116a64c0fbe4459d18f4bb6b56d647b63920377"),
        "bvlc_googlenet.caffemodel": ("sha1", "405fc5acd08a3bb12de8ee5e23a96bec22f08204"),
    }
