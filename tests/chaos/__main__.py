"""`make chaos`: nights in which a monkey kills, freezes, cuts and restarts, and what is left of them.

python -m tests.chaos --seed 1 --seeds 3 [--short]

Prints what the monkey did, the ledger, the attempts, and ends with 1 where anything was lost, double or blamed.
"""

import argparse
import signal
import sys
import time

from cspine import logs
from tests.chaos.checks import Verdict
from tests.chaos.monkey import FAULTS
from tests.chaos.run import run
from tests.servers import missing

MOST_SHOWN = 40
SPARE_SECONDS = 20.0  # to stop everything and to check


def report(seed: int, verdict: Verdict, seconds: float) -> None:
    """Print the table of a night, its last line the one that counts."""
    print("Ledger")
    for name, value in verdict.ledger.as_dict().items():
        print(f"  {name:22} {value}")
    print("Attempts")
    for name, count in sorted(verdict.attempts.items()):
        print(f"  {name:22} {count}")
    print(f"Faults found: {len(verdict.faults) or 'none'}, {seconds:.0f} s")
    for fault in verdict.faults[:MOST_SHOWN]:
        print(f"  {fault}")
    print(f"chaos: seed {seed} received {verdict.received} lost {verdict.lost} double {verdict.double}", flush=True)


def main() -> int:
    """Run the nights."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first night")
    parser.add_argument("--seeds", type=int, default=1, help="how many nights, one after the other")
    parser.add_argument("--short", action="store_true", help="150 studies in place of 1,500")
    parser.add_argument("--faults", default="", help="some faults in place of the usual ones, with commas")
    parser.add_argument("--minutes", type=float, default=8.0, help="after which a night that goes on has failed")
    chosen = parser.parse_args()
    if words := missing():
        print(f"chaos: {words}", file=sys.stderr)
        return 3
    faults = [name for name in chosen.faults.split(",") if name]
    if unknown := set(faults) - set(FAULTS):
        parser.error(f"no such fault: {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}")
    logs.to_stderr()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers and folder go with us
    unsound = 0
    for seed in range(chosen.seed, chosen.seed + chosen.seeds):
        began = time.monotonic()
        verdict = run(seed, short=chosen.short, faults=faults, most_seconds=chosen.minutes * 60 - SPARE_SECONDS,
                      say=lambda words: print(words, flush=True))  # fmt: skip
        report(seed, verdict, time.monotonic() - began)
        unsound += not verdict.sound
    return 1 if unsound else 0


if __name__ == "__main__":
    sys.exit(main())
