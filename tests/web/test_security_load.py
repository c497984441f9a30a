"""security.md, "Upload": lines 5, 6, 8 and 9, against the real server: what is too much is refused in flat memory."""

import io
import json
import struct
import subprocess
import sys
import threading
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from socket import socket, socketpair

import numpy as np
import pytest
from flask import Flask
from sqlalchemy import select

from cspine.database import Database
from cspine.settings import Settings
from cspine.tables import ReceivedFile
from tests.conftest import ROOT
from tests.cspine.decoding import objects
from tests.web import wire
from tests.web.conftest import Browser, Server
from tests.web.test_upload import RAW, body_of, count, form, picture
from web.upload import parts

pytestmark = pytest.mark.services

MEBIBYTE = 2**20
FLAT = 32 * MEBIBYTE
# Through a small process: what a child begins with counts as its own, and the process of the tests is large.
MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.fixture
def limits() -> dict[str, int]:
    """Give the limits that a test sets; none unless it says so."""
    return {}


@pytest.fixture
def environment(settings: Settings, limits: dict[str, int]) -> dict[str, str]:
    return settings.model_copy(update=limits).environment()


def chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Frame pieces as a chunked body."""
    for piece in pieces:
        yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    yield b"0\r\n\r\n"


def film(size: int) -> Iterator[bytes]:
    """Give a form's file part of so many bytes."""
    yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    for _ in range(0, size, 2**16):
        yield bytes(2**16)
    yield b"\r\n--x--\r\n"


def fields(reader: Browser) -> bytes:
    return body_of(form(reader))[: -len(b"--x--\r\n")]


@pytest.mark.parametrize("limits", [{"max_upload_bytes": 2**20}])
def test_line_05_a_body_over_the_limit_is_413_with_and_without_a_length(
    reader: Browser, server: Server, database: Database
) -> None:
    before = fields(reader)
    whole = before + b"".join(film(2 * MEBIBYTE))
    with_length = [wire.head(reader, "/upload", f"Content-Length: {len(whole)}"), whole]
    assert wire.ask(server, with_length) == 413

    def chunked() -> Iterator[bytes]:
        yield wire.head(reader, "/upload", "Transfer-Encoding: chunked")
        yield from chunks(iter([before, *film(2 * MEBIBYTE)]))

    assert wire.ask(server, chunked()) == 413
    assert count(database, ReceivedFile) == 0


def test_line_06_too_many_parts_and_fields_are_4xx_in_flat_memory(reader: Browser, server: Server) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename=""\r\n\r\n\r\n'
    field = b'--x\r\nContent-Disposition: form-data; name="f"\r\n\r\nx\r\n'
    end, own = b"--x--\r\n", fields(reader)
    huge = b'--x\r\nContent-Disposition: form-data; name="batch"\r\n\r\n'
    gigabyte = [bytes(MEBIBYTE)] * 1024
    for path, body in (
        ("/upload", [own, part * 1100, end]),
        ("/upload", [own, field * 100_000, end]),
        ("/account", [field * 100_000, end]),
        ("/upload", [own, huge, *gigabyte, end]),
        ("/account", [huge, *gigabyte, end]),
    ):
        before = wire.peak(server)
        length = sum(map(len, body))
        assert wire.ask(server, [wire.head(reader, path, f"Content-Length: {length}"), *body]) == 413
        assert wire.peak(server) - before < FLAT


def claim(rows: int, columns: int) -> bytes:
    """Return a PNG that says it has so many pixels, in a few bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data))

    head = struct.pack(">LLBBBBB", columns, rows, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")
    )


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    """Make pictures that are small as they come and large as they unpack."""
    return {
        "claim.png": claim(50_000, 50_000),
        "full.png": claim(30_000, 30_000),
        "deflated.dcm": objects.dicom(np.zeros((9500, 9500), np.uint8), objects.DEFLATED, bits=8),
        "stream.dcm": objects.dicom(np.zeros((60_000, 2), np.uint8), objects.J2K, bits=8, Rows=60_000, Columns=60_000),
    }


def test_line_08_a_pixel_bomb_costs_the_web_server_nothing(
    reader: Browser, server: Server, database: Database, bombs: dict[str, bytes]
) -> None:
    body = body_of(form(reader), *((data, name) for name, data in bombs.items()))
    before = wire.peak(server)
    assert wire.ask(server, [wire.head(reader, "/upload", f"Content-Length: {len(body)}"), body]) == 303
    assert wire.peak(server) - before < FLAT
    with database.read() as session:
        assert len(session.scalars(select(ReceivedFile)).all()) == len(bombs)


def test_line_08_a_pixel_bomb_is_refused_in_a_child_of_bounded_memory(
    tmp_path: Path, bombs: dict[str, bytes], settings: Settings
) -> None:
    folder = tmp_path / "bombs"
    folder.mkdir()
    for name, data in (bombs | {"good.png": picture()}).items():
        (folder / name).write_bytes(data)
    command = [sys.executable, "-c", MEASURED, sys.executable, "-m", "cspine", "inspect", "--json", str(folder)]
    ended = subprocess.run(command, cwd=ROOT, env=settings.environment(), capture_output=True, text=True, check=True)
    *lines, most = ended.stdout.splitlines()
    said = [json.loads(line) for line in lines]
    reasons = {Path(line["file"]).name: line["reason"] for line in said}
    assert reasons.pop("good.png") is None
    assert set(reasons) == set(bombs)
    assert set(reasons.values()) <= {"too_many_pixels", "decompression_bomb", "corrupt"}
    assert int(most) * 1024 < 512 * MEBIBYTE


def test_line_09_fifty_slow_uploads_keep_nobody_waiting(reader: Browser, server: Server) -> None:
    """The server has four threads, of which one takes an upload and one more tells others to wait."""
    head = wire.head(reader, "/upload", "Content-Length: 1000000")
    slow = [wire.connect(server) for _ in range(50)]
    for connection in slow:
        connection.sendall(head)
    ended = threading.Event()

    def drip() -> None:
        while not ended.wait(1.0):
            for connection in slow:
                try:
                    connection.send(b"-")
                except OSError:  # told to wait
                    continue

    thread = threading.Thread(target=drip)
    thread.start()
    for path in ("/login", "/healthz", "/login"):
        with urllib.request.urlopen(f"{server[0]}{path}", timeout=60) as answer:
            assert answer.status == 200
    ended.set()
    thread.join()
    waiting = [connection for connection in slow if not answered(connection)]
    assert waiting, "some upload went on meanwhile"
    for connection in slow:
        connection.close()


def answered(connection: socket) -> bool:
    """Say whether the server has answered or closed."""
    connection.setblocking(False)
    try:
        connection.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def test_line_09_an_upload_that_is_too_slow_ends_and_frees_its_place(
    app: Flask, reader: Browser, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "CHUNK_SECONDS", 0.3)
    body = body_of(form(reader), (picture(), "a.png"))
    ours, theirs = socketpair()
    with ours, theirs, theirs.makefile("rb") as stream:
        ours.sendall(body[:-200])
        overrides = {"gunicorn.socket": theirs, "wsgi.input": stream, "CONTENT_LENGTH": str(len(body))}
        answer = reader.client.post("/upload", content_type=RAW, environ_overrides=overrides)
    assert answer.status_code == 408
    assert count(database, ReceivedFile) == 0
    sent = reader.client.post("/upload", input_stream=io.BytesIO(body), content_length=len(body), content_type=RAW)
    assert sent.status_code == 303
