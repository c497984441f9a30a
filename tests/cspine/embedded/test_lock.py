"""The lock of an installation: one holder, which may hand it to a child."""

import subprocess
import sys
from pathlib import Path

from cspine.embedded.lock import Lock
from cspine.settings import Settings


def test_one_holder_at_a_time(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path)
    first, second = Lock(settings), Lock(settings)
    assert first.acquire()
    assert not second.acquire()
    first.close()
    assert second.acquire()
    second.close()


def test_a_child_that_it_was_handed_to_holds_on(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path)
    mine = Lock(settings)
    assert mine.acquire()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(mine.descriptor,))
    mine.close()
    other = Lock(settings)
    assert not other.acquire()
    child.communicate(b"\n")
    assert other.acquire()
    other.close()
