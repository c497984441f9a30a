"""The pulse: seen by what changes, not by a clock that somebody may set."""

import os
from pathlib import Path

from cspine.embedded.pulse import Pulse, Watch, path
from cspine.settings import Settings


def test_silence_is_counted_from_the_last_beat(tmp_path: Path) -> None:
    pulse, watch = Pulse(Settings(var=tmp_path)), Watch(tmp_path, os.getpid())
    assert [watch.silent(10.0) for _ in range(3)] == [0.0] * 3, "it has not begun"
    pulse.beat()
    assert [watch.silent(10.0) for _ in range(3)] == [0.0, 10.0, 20.0]
    os.utime(path(tmp_path, os.getpid()), (1.0, 1.0))  # a clock that was set back
    assert [watch.silent(10.0) for _ in range(2)] == [0.0, 10.0]
    pulse.end()
    assert watch.silent(10.0) == 0.0


def test_the_file_of_an_earlier_process_of_this_id_says_nothing(tmp_path: Path) -> None:
    Pulse(Settings(var=tmp_path)).beat()
    watch = Watch(tmp_path, os.getpid())
    assert [watch.silent(10.0) for _ in range(3)] == [0.0] * 3


def test_without_a_folder_it_beats_on(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file in its place")
    Pulse(Settings(var=tmp_path)).beat()
