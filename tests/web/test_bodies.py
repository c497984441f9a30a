"""What comes in: slow senders end in time, and a stranger sends a few kilobytes at most."""

import socket
import subprocess
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.web.conftest import Browser

pytestmark = pytest.mark.services

POST = b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 99\r\n"


@pytest.mark.parametrize("sent", [POST + b"\r\nname=", POST], ids=["body", "headers"])
def test_slow_strangers_do_not_stop_the_server(server: tuple[str, subprocess.Popen[bytes], Path], sent: bytes) -> None:
    address = urlsplit(server[0])
    slow = [socket.create_connection((address.hostname, address.port), timeout=60) for _ in range(6)]
    for connection in slow:
        connection.sendall(sent)
    with urllib.request.urlopen(f"{server[0]}/login", timeout=60) as answer:  # the server has four threads
        assert answer.status == 200
    for connection in slow:
        with connection:
            status = connection.recv(100).split(b"\r\n")[0]
        assert status.upper() in (
            {b"HTTP/1.1 408 REQUEST TIMEOUT"} if b"name" in sent else {b"", b"HTTP/1.1 400 BAD REQUEST"}
        )


def test_a_stranger_sends_a_few_kilobytes_at_most(stranger: Browser, reader: Browser) -> None:
    for path in ("/login", "/signin/x"):
        assert stranger.post(path, {"name": "x" * 10_000}, form="/login").status_code == 413
    assert reader.post("/account", {"current": "x" * 10_000}).status_code == 400
