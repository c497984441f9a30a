"""The worker of the queue's benchmark: the real tasks, claims, endings and messages, but no picture and no network.

python -m tests.bench.noop

consumes both stages with as many children as plain Celery beside it has.
"""

import sys
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from sqlalchemy import select

from cspine import preprocessing
from cspine.decoding import Header
from cspine.queue import queues_of
from cspine.records.claims import CPU, Held
from cspine.states import Stage
from cspine.tables import Image, ReceivedFile, Release
from tests.bench.plain import CHILDREN
from worker import prepare, runtime, screen
from worker.app import app
from worker.runtime import Runtime

FRAME: dict[str, Any] = {
    "frame": 0, "rows": 1000, "columns": 800, "display_rows": 1000, "display_columns": 800, "pixel_sha256": "0" * 64,
    "canonical_key": "ab/c.png", "preview_key": "ab/p.jpg", "thumbnail_key": "ab/t.jpg", "flags": [],
}  # fmt: skip
ANSWER: dict[str, Any] = {
    "label": "normal", "probabilities": {"normal": 0.9, "fracture": 0.06, "dislocation": 0.04}, "urgency": 0.1,
    "flagged": False, "flags": [], "ood_score": 0.1, "explained": "fracture", "input_sha256": "0" * 64,
    "saliency": {"grid": [[0.25] * 14] * 14, "geometry": {}, "method": "hirescam"},
    "preprocessing": preprocessing.VERSION, "timings": {"batch": 1},
}  # fmt: skip


class NoNetwork:
    """Stands for a network that answers at once."""

    def __init__(self, own: Runtime) -> None:
        """Find the release that its answers are said to be of."""
        with own.database.read() as session:
            self._row = session.scalars(select(Release).where(Release.active)).one()

    def ready(self) -> SimpleNamespace:
        """Return the release and a device."""
        return SimpleNamespace(row=self._row, device=CPU)


def no_pictures(_own: Runtime, _file: ReceivedFile) -> prepare.Pictures:
    """Return what decoding a file of one frame gives."""
    return prepare.Pictures(Header("png"), [dict(FRAME)], [])


def no_answers(_own: Runtime, _network: object, _held: Held, chunk: Iterable[Image]) -> list[dict[str, Any]]:
    """Return what the network would say of some images."""
    return [ANSWER | {"image_id": image.id} for image in chunk]


def main() -> None:
    """Run the worker until it is told to stop."""
    prepare._pictures = no_pictures
    screen._analyse = no_answers
    runtime.Runtime.network = property(NoNetwork)  # type: ignore[assignment, arg-type]
    # The later stage first: one worker that hears both shall not put off one for the other.
    queues = [*queues_of(Stage.SCREEN), *queues_of(Stage.PREPARE)]
    app.worker_main(["worker", "--queues", ",".join(queues), "--concurrency", str(CHILDREN), "--pool", "prefork",
                     "--hostname", "bench@%h", "--loglevel", "WARNING", "--without-gossip", "--without-mingle",
                     "--without-heartbeat"])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
