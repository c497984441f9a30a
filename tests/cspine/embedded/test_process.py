"""The space of process ids: one for all processes of a container, another for each container of the same name."""

import shutil
import subprocess
import sys

import pytest

from cspine.embedded import process

TELL = [sys.executable, "-c", "from cspine.embedded import process; print(process.space())"]


def told(*before: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*before, *TELL], capture_output=True, text=True, check=False, timeout=60)


def test_all_processes_of_a_container_tell_the_same() -> None:
    assert told().stdout.strip() == process.space()
    assert len(process.space()) == 8


def test_another_container_of_the_same_name_tells_another() -> None:
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("no unshare is installed")
    other = told(unshare, "--pid", "--fork")
    if other.returncode:
        pytest.skip("this user may not make a PID namespace")
    assert other.stdout.strip() != process.space()
