"""A training that is killed and resumed ends with the same bits as one that was not; so do two of one seed."""

import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a training in a process of its own."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.models.training.killed", str(folder), *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def lines(process: subprocess.Popen[str], last: str) -> list[str]:
    """Read lines until one begins with these words, and that one."""
    assert process.stdout is not None
    found: list[str] = []
    while not (found and found[-1].startswith(last)):
        line = process.stdout.readline()
        assert line, f"it ended after {found}"
        found.append(line.strip())
    return found


def test_killed_in_epoch_3_and_resumed_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    with start(tmp_path / "whole") as whole:
        with start(tmp_path / "killed", "3") as killed:
            before = lines(killed, "waiting")
            killed.send_signal(signal.SIGKILL)
        assert killed.returncode == -signal.SIGKILL
        with start(tmp_path / "killed") as resumed:
            after, expected = lines(resumed, "network"), lines(whole, "network")
    assert whole.returncode == resumed.returncode == 0
    # These few operations are exact on this processor anyway; others, and a GPU's, are only where it is asked for
    assert {before.pop(0), after.pop(0), expected.pop(0)} == {"exact True 1"}
    assert [line.split()[1] for line in expected[:4]] == ["1", "2", "3", "4"]
    assert before == [*expected[:2], "waiting"]  # two runs of one seed
    assert after == expected[2:]
    assert len({line.split()[2] for line in expected[:4]}) == 4  # each epoch changes something
