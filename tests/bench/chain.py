"""The whole chain, from a file on disk to the answer in SQL, beside the same network called one picture at a time.

python -m tests.bench.chain

screens 500 films (JPEG lossless, 2500x2048, 25 pictures under UIDs of their own) with the services of one machine and
prints studies a second beside the bound: what the cores could do if they did nothing but prepare, by the CPU time that
one film takes alone, measured before and after in each round. A table says who used the processors.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from cspine import migrate, preprocessing, releases
from cspine.blobs import BlobStore
from cspine.commands.release import DEMO, ensure
from cspine.commands.screen import submit
from cspine.commands.service import Service
from cspine.database import Database
from cspine.decoding import canonical, decode
from cspine.embedded import running
from cspine.queue import Bell
from cspine.records import batches, heartbeats
from cspine.settings import Settings
from cspine.states import Lane, Stage
from tests.bench import inputs, shares
from tests.integration.night import services
from worker import prepare, tasks
from worker.runtime import Runtime

POLL_SECONDS, POLL_SECONDS_OF_ONE = 0.5, 0.005  # often at the end, which is to be met, and rarely before
PATIENCE_SECONDS = 120.0
PICTURES, SEED = 25, 700_000
SHARE = 0.7
BROKER = frozenset({"broker"})


class Chain:
    """A running installation to submit to."""

    def __init__(self, installation: Service) -> None:
        """Keep the installation, whose workers run."""
        self._installation = installation

    def rate(self, folder: Path) -> float:
        """Screen a folder of new studies and return studies per second, from the first byte to the last answer."""
        began = time.perf_counter()
        batch, rung = submit(self._installation, [folder], folder.name, Lane.NORMAL)
        assert rung, "the broker is down"
        while True:
            with self._installation.database.read() as session:
                ledger = batches.ledger(session, batch)
            if not ledger.waiting:
                break
            time.sleep(min(POLL_SECONDS, ledger.waiting * POLL_SECONDS_OF_ONE))
        seconds = time.perf_counter() - began
        assert ledger.analysed == ledger.received, ledger
        return ledger.studies / seconds


def installation(settings: Settings) -> Service:
    """Make an installation with the demo release."""
    made = Service(settings, Database.of(settings), BlobStore(settings.blobs), Bell(settings))
    migrate.upgrade(made.database)
    ensure(made)
    return made


def warmed(settings: Settings, films: Path, use: Callable[[Chain], None]) -> None:
    """Start the workers, screen some films so that the network is loaded, then use the chain."""
    made = installation(settings)
    with services(settings):
        end = time.monotonic() + PATIENCE_SECONDS
        while not all(_alive(made, stage) for stage in Stage):
            assert time.monotonic() < end, "the workers do not start"
            time.sleep(0.2)
        chain = Chain(made)
        chain.rate(films)
        use(chain)


class OneByOne:
    """What a script does that screens a folder: decode a file, resize it, call `model.predict`, take the next."""

    def __init__(self, settings: Settings) -> None:
        """Load the demo release's network as Keras gives it."""
        import models.lrn  # noqa: F401  # registers the custom layer

        self._settings, self._card = settings, releases.read_card(DEMO)
        self._network = keras.saving.load_model(DEMO / "model.keras", compile=False)

    def logits(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the network's output (1, classes) for a canonical picture, uint8 (h, w)."""
        answer: NDArray[np.float32] = self._network.predict(self._input(picture), verbose=0)
        return answer

    def rates(self, paths: Sequence[Path]) -> tuple[float, float]:
        """Return pictures per second: of `model.predict` alone, and with reading and decoding."""
        predicting, began = 0.0, time.perf_counter()
        for path in paths:
            with path.open("rb") as file:
                picture = canonical(decode(file, path.name, self._settings).frames[0])
            batch = self._input(picture)
            start = time.perf_counter()
            self._network.predict(batch, verbose=0)
            predicting += time.perf_counter() - start
        return len(paths) / predicting, len(paths) / (time.perf_counter() - began)

    def _input(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        return preprocessing.to_input(picture, self._card.input)[None]


def _alive(made: Service, stage: Stage) -> bool:
    with made.database.read() as session:
        return heartbeats.alive(session, stage.value)


def alone(settings: Settings, films: Path) -> tuple[float, float]:
    """Return the CPU seconds that one film's prepare takes in a process that does nothing else: pictures, and all."""
    made = installation(settings)
    with running(settings, BROKER):
        submit(made, [films], "alone", Lane.NORMAL)
        return _prepared_alone(settings)


def _prepared_alone(settings: Settings) -> tuple[float, float]:
    own = Runtime(settings.model_copy(update={"prepare_company": 1}))
    pictures: list[float] = []
    true = prepare._pictures

    def timed(*given: Any) -> prepare.Pictures:
        began = time.process_time()
        made = true(*given)
        pictures.append(time.process_time() - began)
        return made

    prepare._pictures = timed
    whole: list[float] = []
    try:
        while True:
            began = time.process_time()
            held = prepare.claim(own)
            if held is None:
                break
            tasks.attempt(own, held, prepare.run)
            whole.append(time.process_time() - began)
    finally:
        prepare._pictures = true
        own.database.dispose()
    return median(pictures), median(whole)


@dataclass(frozen=True)
class Night:
    """What one round found: CPU seconds of a film's prepare alone, before and after, and the chain beside it."""

    pictures: float
    whole: float
    seconds: float  # of all its films
    spent: dict[str, float]  # CPU seconds by kind


def night(root: Path, films: int, seed: int) -> Night:
    """Measure prepare alone, the whole chain, and prepare alone once more."""
    settings = Settings().model_copy(update={"database_url": "", "redis_url": "", "blob_url": ""})
    inputs.write_copies(root / "films", films, PICTURES, seed)
    inputs.write_films(root / "few", PICTURES, seed - 100)
    inputs.write_films(root / "warm", 4, seed - 200)
    os.sync()  # the films of a night have been on the disk for long
    found = [alone(settings.model_copy(update={"var": root / "alone-0"}), root / "few")]
    spent: dict[str, float] = {}
    rates: list[float] = []

    def use(chain: Chain) -> None:
        before = shares.cpu()
        rates.append(chain.rate(root / "films"))
        spent.update(shares.used(before, shares.cpu()))

    warmed(settings.model_copy(update={"var": root / "var"}), root / "warm", use)
    found.append(alone(settings.model_copy(update={"var": root / "alone-1"}), root / "few"))
    pictures, whole = (mean(values) for values in zip(*found, strict=True))
    return Night(pictures, whole, films / rates[0], spent)


def main() -> int:
    """Measure some rounds in temporary folders and print; 1 where the chain stays below its share of the bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    nights: list[Night] = []
    for number in range(chosen.rounds):
        with tempfile.TemporaryDirectory(prefix="cspine-bench-") as folder:
            nights.append(night(Path(folder), chosen.films, SEED))
        share = share_of_bound(nights[-1], chosen.films)
        print(f"round {number + 1}: {chosen.films / nights[-1].seconds:.2f} studies/s, {share:.1%} of the bound",
              flush=True)  # fmt: skip
    return report(nights, chosen.films)


def share_of_bound(found: Night, films: int) -> float:
    """Return the rate as a share of that at which all cores would only prepare."""
    return films / found.seconds * found.whole / (os.cpu_count() or 1)


def report(nights: Sequence[Night], films: int) -> int:
    """Print medians: the rate, the bound and who used the processors."""
    cores = os.cpu_count() or 1
    share = median(share_of_bound(one, films) for one in nights)
    rate = median(films / one.seconds for one in nights)
    pictures, whole = median(one.pictures for one in nights), median(one.whole for one in nights)
    print(f"{films} films, {cores} cores, medians of {len(nights)} rounds: {rate:.2f} studies/s, {share:.1%} of the "
          f"bound (at least {SHARE:.0%})")  # fmt: skip
    print(f"  the bound: {cores / whole:.2f} studies/s; prepare of a film alone takes {1000 * whole:.1f} ms of a core, "
          f"its pictures {1000 * pictures:.1f}")  # fmt: skip
    print("  milliseconds of a core for each film")
    all_ = median(cores * one.seconds for one in nights)
    spent = {kind: median(one.spent[kind] for one in nights) for kind in nights[0].spent}
    spent["no one of us"] = median(cores * one.seconds - sum(one.spent.values()) for one in nights)
    for kind, value in spent.items():
        print(f"    {kind:12} {1000 * value / films:7.1f}   {value / all_:5.0%} of the time of all cores")
    print("  no one of us: waiting, the system's own work, or others")
    return 0 if share >= SHARE else 1


if __name__ == "__main__":
    sys.exit(main())
