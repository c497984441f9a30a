"""Milliseconds of the parts of the chain, for one film, in one process."""

import io
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from cspine import preprocessing
from cspine.blobs import Stored
from cspine.commands.release import DEMO
from cspine.commands.service import Service
from cspine.database import now
from cspine.decoding import Header, canonical, decode, previews, read_header
from cspine.records import batches, claims, endings, intake, studies, triage
from cspine.states import Lane
from models import release
from worker.prepare import PNG_LEVEL

REPEATS = 9
BATCH = 16


def milliseconds(work: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Return the median time of some work, after one run that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return median(times)


def of_file(made: Service, path: Path, repeats: int = REPEATS) -> Iterator[tuple[str, float]]:
    """Give the parts that a file goes through until its pictures are stored."""
    data, settings = path.read_bytes(), made.settings
    frame = decode(io.BytesIO(data), path.name, settings).frames[0]
    picture = canonical(frame)
    for name, work in {
        "blob and hash": lambda: made.blobs.put(io.BytesIO(data)),
        "header": lambda: read_header(io.BytesIO(data), path.name, settings),
        "decode": lambda: decode(io.BytesIO(data), path.name, settings),
        "canonical picture": lambda: canonical(frame),
        "canonical as PNG": lambda: cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL]),
        "preview and thumbnail": lambda: previews(frame),
        "hash of the pixels": lambda: frame.sha256,
    }.items():
        yield name, milliseconds(work, repeats)


def of_network(made: Service, path: Path, repeats: int = REPEATS) -> Iterator[tuple[str, float]]:
    """Give the network's parts, per picture in a batch of 16; the saliency is what the full pass takes beyond it."""
    loaded = release.load(DEMO)
    with path.open("rb") as file:
        picture = canonical(decode(file, path.name, made.settings).frames[0])
    batch = np.repeat(preprocessing.to_input(picture, loaded.card.input)[None], BATCH, axis=0)
    forward = tf.function(lambda x: loaded._logits(loaded._below(x, training=False)[0]))
    tensor = tf.constant(batch)
    plain = milliseconds(lambda: forward(tensor).numpy(), repeats) / BATCH
    full = milliseconds(lambda: loaded.predict(batch), repeats) / BATCH
    yield "network input", milliseconds(lambda: preprocessing.to_input(picture, loaded.card.input), repeats)
    yield f"network, batch of {BATCH}", plain
    yield "saliency and strangeness", full - plain


def of_sql(made: Service, repeats: int = REPEATS) -> Iterator[tuple[str, float]]:
    """Give the transactions of one study, and the first page of the triage list."""
    with made.database.write() as session:
        batch = batches.get_or_create(session, "bench", Lane.NORMAL)
    alone = made.settings.model_copy(update={"prepare_company": 1})
    received = itertools.count()

    def admit() -> None:
        number = next(received)
        stored = Stored(f"bench/{number}", f"{number:064x}", 1)
        with made.database.write() as session:
            (receipt,) = intake.admit(session, batch, [intake.Incoming("bench.png", stored, Header("png"))])
        assert receipt.ring is not None

    def work() -> None:
        with made.database.write() as session:
            held = claims.for_prepare(session, "bench:prepare:1:1", alone, 0)
        assert held is not None
        with made.database.write() as session:
            kept = endings.settle(session, held, made.settings).kept
            studies.refresh(session, *(member.study_id for member in kept))

    def page() -> None:
        with made.database.read() as session:
            triage.page(session, made.settings, now(session))

    yield "SQL: a file is received", milliseconds(admit, repeats)
    yield "SQL: claimed and settled", milliseconds(work, repeats)
    yield "SQL: a page of the list", milliseconds(page, repeats)
