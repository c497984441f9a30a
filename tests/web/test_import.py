"""What importing the pages costs: no TensorFlow, no connection, no file."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import socket, sys
def refuse(*_, **__):
    raise AssertionError("a connection at import")
socket.socket.connect = refuse
import web, web.commands, web.server
heavy = sorted(name for name in sys.modules if name.split(".")[0] in {"tensorflow", "keras", "models", "worker"})
assert not heavy, heavy
"""


def test_importing_web_reaches_no_tensorflow_and_connects_to_nothing(tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(ROOT), "CSPINE_VAR": str(tmp_path / "var")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "var").exists()
