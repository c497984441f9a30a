"""A person at the pages: signs in, and sends a file in one form without holding it in memory."""

import http.client
import re
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode, urlsplit

HIDDEN = re.compile(r'name="(csrf_token|nonce)" value="([^"]+)"')
BOUNDARY = "cspine-memory"
CHUNK = 2**20
TIMEOUT_SECONDS = 300


class Pages:
    """One session."""

    def __init__(self, address: str, name: str, password: str) -> None:
        """Sign in."""
        self._host, self._cookie = urlsplit(address).netloc, ""
        body = urlencode(self._hidden("/login") | {"name": name, "password": password}).encode()
        self._ask("POST", "/login", body, "application/x-www-form-urlencoded")

    def upload(self, path: Path, batch: str) -> int:
        """Send a file into a batch of its own and return the status of the answer."""
        fields = self._hidden("/upload") | {"batch": batch}
        head = "".join(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                       for name, value in fields.items())  # fmt: skip
        head += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="{path.name}"\r\n\r\n'
        parts = [head.encode(), path, f"\r\n--{BOUNDARY}--\r\n".encode()]
        length = sum(part.stat().st_size if isinstance(part, Path) else len(part) for part in parts)
        status, _ = self._ask("POST", "/upload", _stream(parts), f"multipart/form-data; boundary={BOUNDARY}", length)
        return status

    def _hidden(self, path: str) -> dict[str, str]:
        _, text = self._ask("GET", path)
        return dict(HIDDEN.findall(text))

    def _ask(self, method: str, path: str, body: bytes | Iterator[bytes] | None = None, kind: str = "",
             length: int | None = None) -> tuple[int, str]:  # fmt: skip
        headers = {"Cookie": self._cookie} | ({"Content-Type": kind} if kind else {})
        if length is not None:
            headers["Content-Length"] = str(length)
        connection = http.client.HTTPConnection(self._host, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        cookies = SimpleCookie(answer.getheader("Set-Cookie") or "")
        self._cookie = "; ".join(f"{name}={held.value}" for name, held in cookies.items()) or self._cookie
        return answer.status, text


def _stream(parts: list[bytes | Path]) -> Iterator[bytes]:
    for part in parts:
        if isinstance(part, bytes):
            yield part
            continue
        with part.open("rb") as file:
            while piece := file.read(CHUNK):
                yield piece
