"""Requests to the real server, written by hand: what no client library would send; and what memory the server took."""

import json
import socket
from collections.abc import Iterable
from pathlib import Path
from select import select
from urllib.parse import urlsplit

from tests.web.conftest import Browser, Server

SECONDS = 60


def cookie(browser: Browser) -> str:
    """Return the session of a browser of the test client; the server has the same key."""
    found = browser.client.get_cookie("cspine")
    assert found
    return f"Cookie: cspine={found.value}\r\n"


def head(browser: Browser, path: str, *lines: str) -> bytes:
    """Write the head of a POST of a form with the boundary x."""
    kind = "Content-Type: multipart/form-data; boundary=x\r\n"
    return (f"POST {path} HTTP/1.1\r\nHost: x\r\n{kind}{cookie(browser)}" + "".join(f"{line}\r\n" for line in lines)
            + "\r\n").encode()  # fmt: skip


def connect(server: Server) -> socket.socket:
    address = urlsplit(server[0])
    return socket.create_connection((address.hostname, address.port), timeout=SECONDS)


def status(connection: socket.socket) -> int:
    """Read the status of the answer."""
    return int(connection.recv(100).split()[1])


def ask(server: Server, pieces: Iterable[bytes]) -> int:
    """Send a request in pieces until it is answered, and return the status of the answer."""
    with connect(server) as connection:
        for piece in pieces:
            if select([connection], [], [], 0)[0]:
                break
            try:
                connection.sendall(piece)
            except OSError:  # the server has answered and does not listen any more
                break
        return status(connection)


def peak(server: Server) -> int:
    """Return the most memory, in bytes, that any process of the server ever had."""
    return max(_high_water(pid) for pid in family(server[1].pid))


def records(server: Server) -> list[dict[str, object]]:
    """Return the server's log; each line must be one record."""
    return [json.loads(line) for line in server[2].read_text().splitlines()]


def family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


def _high_water(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
