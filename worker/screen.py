"""Screen: the canonical pictures of all claimed studies go through the network together, in chunks.

An attempt ends before its time limit does, whatever its studies hold: what it came to is kept, the rest goes back.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from cspine import failure, preprocessing
from cspine.blobs import BlobStore
from cspine.errors import Permanent, ServiceFault
from cspine.failure import Failure
from cspine.reasons import Reason
from cspine.records import claims, endings, images, results, studies
from cspine.records.claims import Held, LeaseLost, Member
from cspine.records.endings import Settled
from cspine.records.screenings import Ring
from cspine.states import Stage
from cspine.tables import Image
from worker import writing
from worker.answers import answer
from worker.lease import Lease
from worker.network import Holder
from worker.runtime import Runtime

CHUNK = 32
STORE_SECONDS = 10.0
SHARE_OF_LIMIT = 0.5  # of the hard time limit, after which the rest is left to another attempt
Answer = dict[str, Any]
Answers = dict[int, list[Answer]]  # by screening
Failures = dict[int, Failure]


@dataclass(frozen=True)
class Examined:
    """What a release says, and of what the time did not suffice; all by screening."""

    answers: Answers  # that are not stored yet
    failures: Failures
    unfinished: set[int]

    def left(self, held: Held) -> list[Member]:
        """Return the members that are to go back to work: those unfinished that have not failed."""
        ids = self.unfinished - self.failures.keys()
        return [member for member in held.members if member.screening_id in ids]


@dataclass(frozen=True)
class Picture:
    """A canonical picture, uint8 (h, w), and how long it took to read in milliseconds."""

    image: Image
    pixels: NDArray[np.uint8]
    milliseconds: float

    @property
    def sha256(self) -> str:
        """The hash of the pixels that the answer is for."""
        return hashlib.sha256(self.pixels.tobytes()).hexdigest()


def claim(own: Runtime) -> Held | None:
    """Claim studies that are ready; null where there is nothing, or no sound release to screen with."""
    ready = own.network.ready()
    if ready is None:
        return None
    name, turn = own.name(Stage.SCREEN), own.turn()
    return own.claim(
        Stage.SCREEN,
        lambda session: claims.for_screen(session, name, ready.device, ready.row.id, own.settings, turn),
    )


def run(own: Runtime, held: Held, lease: Lease) -> None:
    """Analyse every image of the claimed studies that this release has no answer for.

    A study that is too large for one attempt keeps the answers that it has, unseen, and goes back for the others.
    """
    found = examine(own, own.network, held, lease)

    def write(session: Session, part: Held) -> Settled:
        settled = endings.settle(session, part, own.settings, found.failures, found.left(part))
        results.add(session, part, settled.kept, found.answers)
        results.add(session, part, settled.returned, found.answers, shown=False)
        if settled.kept:
            studies.refresh(session, *(member.study_id for member in settled.kept))
        return settled

    own.ring(returned(writing.settle(own, held, write)))


def returned(settled: Sequence[Settled]) -> list[Ring]:
    """Return a bell for what went back to work; one is enough: whoever hears it takes all that is there."""
    back = [member for one in settled for member in one.returned]
    return [Ring(Stage.SCREEN, member.lane, member.screening_id) for member in back[:1]]


def examine(own: Runtime, network: Holder, held: Held, lease: Lease) -> Examined:
    """Ask a release for what it has not answered yet, until half of the time limit is over.

    What it has said is stored on the way, where nobody is shown it before the whole study is done.
    """
    assert held.release_id is not None
    ends = time.monotonic() + own.settings.screen_seconds * SHARE_OF_LIMIT
    screening_of = {member.study_id: member.screening_id for member in held.members}
    with own.database.read() as session:
        todo = images.unanswered(session, list(screening_of), held.release_id, preprocessing.VERSION)
    found = Examined({id_: [] for id_ in screening_of.values()}, {}, set())
    stored: float | None = time.monotonic()
    for start in range(0, len(todo), CHUNK):
        if start and time.monotonic() > ends:
            found.unfinished.update(screening_of[image.study_id] for image in todo[start:])
            break
        lease.insist()
        for image, outcome in _outcomes(own, network, held, todo[start : start + CHUNK]):
            screening_id = screening_of[image.study_id]
            if isinstance(outcome, Failure):
                found.failures[screening_id] = outcome
            else:
                found.answers[screening_id].append(outcome)
        if stored is not None and time.monotonic() - stored > STORE_SECONDS:
            stored = time.monotonic() if _store(own, held, found.answers) else None
    return found


def _store(own: Runtime, held: Held, answers: Answers) -> bool:
    """Store answers in the middle of a run; false where that must be left to its end."""

    def store(session: Session) -> bool:
        kept = claims.kept(session, held)
        members = [member for member in held.members if member.screening_id in kept]
        results.add(session, held, members, answers, shown=False)
        return True

    if not writing.ahead(own, held, store):
        return False
    for said in answers.values():
        said.clear()
    return True


def _outcomes(
    own: Runtime, network: Holder, held: Held, chunk: Sequence[Image]
) -> Iterator[tuple[Image, Answer | Failure]]:
    """Analyse some images together; where that fails, each by itself, so that only the one at fault fails."""
    try:
        yield from zip(chunk, _analyse(own, network, held, chunk), strict=True)
    except (ServiceFault, LeaseLost, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  # recorded for the image that raises it alone
        if len(chunk) == 1:
            yield chunk[0], failure.of_error(error, held.stage, str(held.release_id))
            return
        for image in chunk:
            yield from _outcomes(own, network, held, [image])


def _analyse(own: Runtime, network: Holder, held: Held, chunk: Iterable[Image]) -> list[Answer]:
    card = network.on(held.device).card
    pictures = [own.reader.read(image.canonical_key, partial(_read, own.blobs, image)) for image in chunk]
    began = time.perf_counter()
    batch = np.stack([preprocessing.to_input(picture.pixels, card.input) for picture in pictures])
    found = network.predict(held.device, batch)
    share = (time.perf_counter() - began) * 1000 / len(pictures)
    return [
        answer(card, picture.pixels.shape, found.probabilities[i], int(found.explained[i]), found.saliency[i],
               float(found.ood_score[i]), bool(found.ood[i]))
        | {"image_id": picture.image.id, "input_sha256": picture.sha256, "preprocessing": preprocessing.VERSION,
           "timings": {"read_ms": round(picture.milliseconds, 2), "network_ms": round(share, 2),
                       "batch": len(pictures)}}
        for i, picture in enumerate(pictures)
    ]  # fmt: skip


def _read(blobs: BlobStore, image: Image) -> Picture:
    """Read a canonical picture; raises `Permanent` (blob_missing) where it is not there, or is not what was written."""
    began = time.perf_counter()
    data = np.frombuffer(blobs.get(image.canonical_key), np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    if pixels is None:
        raise Permanent("the canonical picture cannot be read", Reason.BLOB_MISSING)
    return Picture(image, np.asarray(pixels, np.uint8), (time.perf_counter() - began) * 1000)
