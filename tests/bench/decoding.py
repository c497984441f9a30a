"""The first half of `make bench`: what a film costs by transfer syntax, part by part, beside pydicom.

Both sides are processes of their own and take turns. Medians are printed.
"""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from cspine.settings import Settings
from tests.bench import inputs
from tests.bench.peer import PYTHON, Peer
from tests.bench.syntaxes import LIBRARY, PARTS, SHUTTERS, SYNTAXES, Row, measured, own_process

SEED = 700_000


def main() -> int:
    """Write a film in each syntax, measure it, and print."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    if not PYTHON.is_file():
        print(f"{PYTHON} is missing; `make bench` makes it", file=sys.stderr)
        return 3
    rows, columns = inputs.FILM_SIZE
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(
        f"\nDICOM {rows}x{columns}, {inputs.BITS} bits in 16 (JPEG baseline: 8), one thread: CPU milliseconds of a film"
    )
    with tempfile.TemporaryDirectory(prefix="cspine-bench-") as folder, Peer() as peer:
        print("\n".join(table(list(found(Path(folder), peer, Settings())))))
    return 0


def found(folder: Path, peer: Peer, settings: Settings) -> Iterator[Row]:
    """Give the figures of each syntax."""
    for number, (name, syntax) in enumerate(SYNTAXES.items()):
        path = inputs.write_film(folder / f"{number}.dcm", SEED, syntax, shutter=SHUTTERS.get(name, 0))
        with own_process(settings) as take:
            yield measured(name, path, take, peer, settings)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Give the lines: our parts against their limit, then the peer's work, from the file to the small picture."""
    yield _line("our parts", [*PARTS, "our part", "limit"])
    for row in rows:
        figures = [f"{value:.1f}" for value in (*(row.parts[part] for part in PARTS), row.ours, row.limit)]
        yield _line(row.name, figures) + ("" if row.ours <= row.limit else "  above the limit")
    yield ""
    yield _line("the same work", ["ours", "pydicom", "times", "all ours", "times", "levels"]) + "   its pixel_array"
    for row in rows:
        if row.plugin is None:
            yield _line(row.name, [f"{row.same:.1f}"]) + "   no plugin of pydicom reads it"
            continue
        theirs = sum(row.peer.values())
        figures = [f"{row.same:.1f}", f"{theirs:.1f}", f"{theirs / row.same:.2f}"]
        figures += [f"{row.whole:.1f}", f"{theirs / row.whole:.2f}", str(row.difference)]
        yield _line(row.name, figures) + f"   {row.peer[LIBRARY]:.1f} by {row.plugin or 'pydicom itself'}"


def _line(name: str, cells: Sequence[str]) -> str:
    return f"  {name:18}" + "".join(f"{cell:>9}" for cell in cells)


if __name__ == "__main__":
    sys.exit(main())
