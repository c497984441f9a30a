"""The log as the web process writes it: one record one line, no query, no token, no words about a header."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from web.logs import safe_path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = r"""
import logging, warnings
from datetime import timedelta
from types import SimpleNamespace
import structlog
from gunicorn.config import Config
from cspine import logs
from cspine.settings import Settings
from web.server import Log
logs.configure(Settings())
structlog.get_logger("own").warning("two\nlines", text="a\u2028b")
try:
    raise ValueError("Doe^Jane")
except ValueError:
    logging.getLogger("library").exception("failed at /signin/secret and /x?name=Doe\nDoe^Jane")
warnings.warn("Invalid value 'Doe^Jane'")
logging.getLogger("pydicom").warning("Doe^Jane")
environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/signin/secret", "QUERY_STRING": "a=Doe", "RAW_URI": "/signin/secret"}
gunicorn = Log(Config())
gunicorn.access(SimpleNamespace(status="200 OK", sent=12), None, environ, timedelta(milliseconds=3))
gunicorn.exception("Error handling request %s", "/signin/secret?name=Doe")
"""


def test_what_the_web_process_logs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT)},
    )
    own, library, access, gunicorn = [json.loads(line) for line in done.stderr.splitlines()]
    assert (own["event"], own["level"]) == ("two\nlines", "warning")
    assert library["event"] == "failed at /signin/... and /x?..."
    assert library["kind"] == "ValueError"
    assert {name: access[name] for name in ("method", "path", "status", "bytes", "ms")} == {
        "method": "GET", "path": "/signin/...", "status": 200, "bytes": 12, "ms": 3,
    }  # fmt: skip
    assert gunicorn["event"] == "Error handling request /signin/..."
    assert "Doe" not in done.stderr
    assert "secret" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("path", "logged"),
    [("/signin/abc", "/signin/..."), ("/studies/x?name=Doe", "/studies/x"), ("/" + "x" * 500, "/" + "x" * 199)],
)
def test_paths_as_they_may_be_logged(path: str, logged: str) -> None:
    assert safe_path(path) == logged
