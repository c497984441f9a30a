"""Damage files by seed, decode each in a limited child, and count what comes of it.

python -m tests.fuzz --count 20000 --seed 0

ends with 1 where a file hung or ended in anything but pictures or a reason. A decoder in C may crash its child, which
costs that file alone; each such seed is listed. `--only SEED` tries one, and --save FILE keeps it.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from cspine.settings import Settings
from tests.fuzz.mutations import mutated, originals
from tests.fuzz.trials import ACCEPTED, CRASH, FAULT, HANG, MEMORY, MIB, Summary, Trial, alone, peak, trials

EVERY = 1000
SHOWN = 20  # seeds of one trouble


def main() -> int:
    """Run the trials and print the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--only", type=int)
    parser.add_argument("--save", type=Path)
    chosen = parser.parse_args()
    settings = Settings()
    if chosen.only is not None:
        return _only(settings, chosen.only, chosen.save)
    summary, began = Summary(), time.monotonic()
    at_once = min(4, os.cpu_count() or 1)
    for trial in trials(settings, range(chosen.seed, chosen.seed + chosen.count), at_once):
        summary.add(trial)
        if summary.count % EVERY == 0:
            print(
                f"{summary.count} files, {time.monotonic() - began:.0f} s, {len(summary.troubled)} troubled", flush=True
            )
    _print(summary, time.monotonic() - began)
    return 1 if summary.having(FAULT) or summary.having(HANG) else 0


def _only(settings: Settings, seed: int, save: Path | None) -> int:
    files = originals()
    if save:
        save.write_bytes(mutated(files, random.Random(seed)))
    with tempfile.TemporaryDirectory(prefix="cspine-fuzz-") as folder:
        trial = alone(settings, files, seed, Path(folder) / "journal")
    print(f"{', '.join(trial.outcomes)} {trial.words}")
    return 1 if {FAULT, HANG} & set(trial.outcomes) else 0


def _print(summary: Summary, seconds: float) -> None:
    print(f"\n{summary.count} damaged files, {summary.outcomes.total()} outcomes (an archive has one for each entry)")
    for outcome, count in summary.outcomes.most_common():
        print(f"  {outcome:32} {count:7}")
    accepted = summary.outcomes[ACCEPTED] / max(1, summary.outcomes.total())
    print(f"accepted                  {accepted:.1%}")
    for title, outcome in (("faults", FAULT), ("crashes of a child", CRASH), ("hangs", HANG), ("memory limit", MEMORY)):
        found = summary.having(outcome)
        print(f"{title:25} {len(found)}")
        for words in sorted({trial.words for trial in found}):
            seeds = [str(trial.seed) for trial in found if trial.words == words]
            print(f"  {words}: {len(seeds)}, seeds {' '.join(seeds[:SHOWN])}")
    print(f"peak of a child           {_largest(summary.largest)}")
    print(f"slowest                   {summary.slowest.seconds:.2f} s (seed {summary.slowest.seed})")
    print(f"peak of the parent        {peak() / MIB:.0f} MiB")
    print(f"{summary.count / seconds:.0f} files a second, {seconds:.0f} s")


def _largest(trial: Trial) -> str:
    return f"{trial.grown / MIB:.0f} MiB above what it had before (seed {trial.seed}: {', '.join(trial.outcomes[:3])})"


if __name__ == "__main__":
    sys.exit(main())
