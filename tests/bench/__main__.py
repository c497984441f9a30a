"""The second half of `make bench`: studies per second of the whole chain, beside the network alone, and the parts.

The rounds of both take turns in one run, so that what else the machine does meets both alike; medians are printed.
"""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from cspine.settings import Settings
from tests.bench import inputs, parts
from tests.bench.chain import Chain, OneByOne, installation, warmed

SEED = 500_000


def main() -> int:
    """Measure in a temporary folder and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pngs", type=int, default=60, help="studies in a round")
    parser.add_argument("--films", type=int, default=24, help="studies in a round")
    chosen = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with tempfile.TemporaryDirectory(prefix="cspine-bench-") as folder:
        root = Path(folder)
        settings = Settings().model_copy(
            update={"var": root / "var", "database_url": "", "redis_url": "", "blob_url": ""}
        )
        print(
            f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        )
        measure_chain(settings, root, chosen.rounds, chosen.pngs, chosen.films)
        measure_parts(settings, root)
    return 0


def measure_chain(settings: Settings, root: Path, rounds: int, pngs: int, films: int) -> None:
    """Print the rates of the chain and of the network one by one."""
    kinds = {
        "PNG 1000x800": [inputs.write_png(root / f"png-{one}", pngs, SEED + one * pngs) for one in range(rounds)],
        "DICOM JPEG lossless 2500x2048": [
            inputs.write_films(root / f"film-{one}", films, SEED + 10_000 + one * films) for one in range(rounds)
        ],
    }
    warm = inputs.write_png(root / "warm", 4, SEED - 4)
    single = OneByOne(settings)
    single.rates(warm)

    def use(chain: Chain) -> None:
        for kind, folders in kinds.items():
            found = [(chain.rate(paths[0].parent), *single.rates(paths[:20])) for paths in folders]
            whole, predict, script = (median(values) for values in zip(*found, strict=True))
            each = ", ".join(f"{one[0]:.1f}" for one in found)
            print(f"\n{kind}")
            print(f"  whole chain                    {whole:6.1f} studies/s (rounds: {each})")
            for name, rate in (("model.predict, one by one", predict), ("read, decode, predict in turn", script)):
                print(f"  {name:30} {rate:6.1f} pictures/s; the chain is {whole / rate:.2f} times that")
            sys.stdout.flush()

    warmed(settings, warm[0].parent, use)


def measure_parts(settings: Settings, root: Path) -> None:
    """Print the milliseconds of the parts."""
    made = installation(settings.model_copy(update={"var": root / "parts"}))
    png, film = root / "png-0" / f"{SEED}.png", root / "film-0" / f"{SEED + 10_000}.dcm"
    for title, figures in (
        ("PNG 1000x800, milliseconds", parts.of_file(made, png)),
        ("DICOM JPEG lossless 2500x2048, milliseconds", parts.of_file(made, film)),
        ("Network and database, milliseconds for one picture or study", both(made, film)),
    ):
        print(f"\n{title}")
        for name, value in figures:
            print(f"  {name:28} {value:8.2f}")


def both(made: parts.Service, film: Path) -> Iterator[tuple[str, float]]:
    """Give the parts that do not depend on the file."""
    yield from parts.of_network(made, film)
    yield from parts.of_sql(made)


if __name__ == "__main__":
    sys.exit(main())
