"""A training that is killed and resumed ends with the same bits as one that was not; so do two of one seed."""

import json
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_killed_in_epoch_3_and_resumed_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.models.training.killed", str(tmp_path)]
    told = json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
    (expected, whole), (before, killed), (after, resumed) = (told[name] for name in ("whole", "killed", "resumed"))
    assert killed == -signal.SIGKILL
    assert whole == resumed == 0
    # These few operations are exact on this processor anyway; others, and a GPU's, are only where it is asked for
    assert {before.pop(0), after.pop(0), expected.pop(0)} == {"exact True 1"}
    assert [line.split()[1] for line in expected[:4]] == ["1", "2", "3", "4"]
    assert before == [*expected[:2], "waiting"]  # two runs of one seed
    assert after == expected[2:]
    assert expected[-1].startswith("network ")
    assert len({line.split()[2] for line in expected[:4]}) == 4  # each epoch changes something
