"""The whole chain, from a file on disk to the answer in SQL, beside the same network called one picture at a time."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

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
from cspine.queue import Bell
from cspine.records import batches, heartbeats
from cspine.settings import Settings
from cspine.states import Lane, Stage
from tests.integration.night import services

POLL_SECONDS = 0.02
PATIENCE_SECONDS = 120.0


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
            time.sleep(POLL_SECONDS)
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
