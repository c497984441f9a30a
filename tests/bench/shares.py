"""Who used the processors: CPU seconds of this process and of everything below it, by what it does."""

import os
from collections import defaultdict
from pathlib import Path

from cspine.embedded import process

TICK = os.sysconf("SC_CLK_TCK")
KINDS = {"--stage prepare": "prepare", "--stage screen": "screen", "--stage explain": "explain",
         "broker.sock": "broker", "cspine sweep": "sweep"}  # fmt: skip


def cpu() -> dict[str, float]:
    """Return the CPU seconds used so far, by kind; this process itself is the intake."""
    found: dict[str, float] = defaultdict(float)
    _add(found, os.getpid(), "intake")
    return found


def used(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Return the CPU seconds between two moments, the most first."""
    spent = {kind: after[kind] - before.get(kind, 0.0) for kind in after}
    return dict(sorted(spent.items(), key=lambda pair: -pair[1]))


def _add(found: dict[str, float], pid: int, kind: str) -> None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        command = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return  # it has ended meanwhile
    if not kind:
        kind = next((name for words, name in KINDS.items() if words in command), "supervisor")
    found[kind] += sum(int(fields[place]) for place in (11, 12)) / TICK  # utime, stime
    for child in process.children(pid):
        _add(found, child, kind if kind not in {"intake", "supervisor"} else "")
